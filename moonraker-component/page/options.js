// Klipper's menu as a form. Klipper's own kconfiglib evaluates it on the printer: each change is sent, and the whole menu comes back.
import { h } from './dom.js';
import { fault } from './flash.js';
import { Refusal } from './moonraker.js';
import { moonraker, refusal, state, update } from './state.js';
import { t } from './texts.js';

/** @type {any} */
let form = null;
/** @type {Record<string, string>} */
let set = {};
/** @type {Refusal | null} */
let failed = null;
let isBusy = false;
let isSaved = false;
let turn = 0;
/** Options whose help is shown. @type {Set<string>} */
const helped = new Set();

/** @param {string} board */
export function openOptions(board) {
  [form, set, failed, isSaved] = [null, {}, null, false];
  evaluate(board, false);
}

/** @param {string} board @param {boolean} save */
async function evaluate(board, save) {
  const mine = ++turn;
  isBusy = true;
  update();
  try {
    const answer = await moonraker.ask('options', { board, set, save });
    if (mine !== turn) return;   // a later change is on its way
    [form, failed, isSaved] = [answer.options, null, answer.options.saved];
    const refused = new Set((form.refused ?? []).map((/** @type {any} */ one) => one.name));
    set = save && form.saved ? {} : Object.fromEntries(Object.entries(set).filter(([name]) => !refused.has(name)));
  } catch (fault) {
    if (mine === turn) failed = refusal(fault);
  }
  isBusy = false;
  update();
}

/** @param {string} name @param {string} value */
function change(name, value) {
  delete set[name];   // the last one counts, of two options of a choice as well
  set = { ...set, [name]: value };
  isSaved = false;
  evaluate(state.subject, false);
}

export function options() {
  const board = state.subject;
  return [
    h('div.bar', null, h('a.button', { href: '#boards' }, t.back), h('h2', null, t.optionsOf(board))),
    h('p.quiet', null, t.optionsText),
    failed && fault(failed),
    !form && !failed && h('p.quiet', { role: 'status' }, t.loading),
    form && h('form.options', { onsubmit: (/** @type {Event} */ event) => event.preventDefault(), 'aria-busy': String(isBusy) },
      (form.refused ?? []).map((/** @type {any} */ one) => h('p.bad', { role: 'alert' }, `${one.name}: ${one.reason}`)),
      form.nodes.map(node)),
    form && h('div.bar.sticky', null,
      h('button.primary', { key: 'save', disabled: isBusy, onclick: () => evaluate(board, true) }, isBusy ? t.loading : t.save),
      h('button', { disabled: isBusy || Object.keys(set).length === 0, onclick: () => openOptions(board) }, t.reset),
      h('span', { role: 'status' }, isSaved ? t.saved : (form.changed ?? []).length > 0 ? t.changed(form.changed.length) : '')),
  ];
}

/** @param {any} node */
function node(node) {
  const id = `option-${(node.name ?? node.prompt).replace(/\W+/g, '-')}`;
  const inner = (node.nodes ?? []).map(nodeOf);
  if (node.kind === 'menu') return h('fieldset', { key: id }, h('legend', null, node.prompt), inner);
  if (node.kind === 'comment') return h('p.quiet', { key: id }, node.prompt);
  const help = node.help && h('button.help', { type: 'button', 'aria-expanded': String(helped.has(id)), 'aria-label': `${t.help}: ${node.prompt}`, onclick: () => toggle(id) }, '?');
  return h('div.option', { key: id },
    h('label', { for: id }, node.prompt), field(node, id), help,
    node.range && h('span.quiet', null, t.range(String(node.range[0]), String(node.range[1]))),
    node.board && h('span.mark', null, `${t.knownOf}: ${node.board}`),
    helped.has(id) && h('p.quiet.wide', null, node.help),
    inner.length > 0 && h('div.inner', null, inner));
}

/** @param {any} one @returns {any} */
const nodeOf = one => node(one);

/** @param {any} node @param {string} id */
function field(node, id) {
  const disabled = node.assignable === false;
  switch (node.kind) {
    case 'choice':
      return h('select', { id, disabled, value: node.value, onchange: (/** @type {any} */ event) => change(event.target.value, 'y') },
        node.options.map((/** @type {any} */ option) => h('option', { value: option.name, selected: option.name === node.value }, option.prompt)));
    case 'bool':
      return h('input', { id, type: 'checkbox', disabled, checked: node.value === 'y',
        onchange: (/** @type {any} */ event) => change(node.name, event.target.checked ? 'y' : 'n') });
    default:
      return h('input', { id, type: 'text', disabled, value: node.value ?? '', autocomplete: 'off', spellcheck: 'false',
        inputmode: node.kind === 'int' ? 'numeric' : null, onchange: (/** @type {any} */ event) => change(node.name, event.target.value) });
  }
}

/** @param {string} id */
function toggle(id) {
  if (!helped.delete(id)) helped.add(id);
  update();
}
