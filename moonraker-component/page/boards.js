// The printer's boards, and what stands between a press of "Flash" and a flash: the plan.
import { h } from './dom.js';
import { fault, remedy } from './flash.js';
import { Refusal } from './moonraker.js';
import { load, moonraker, refusal, state, update } from './state.js';
import { moment, size, t } from './texts.js';

const NEEDS = ['required', 'useful', 'needless', 'unknown'];

/** Boards whose details are shown. @type {Set<string>} */
const opened = new Set();

/**
 * The question before a job.
 * @type {{verb: 'flash' | 'recover' | 'rollback' | 'identify', board: string, args: Record<string, any>, plan: any[] | null, findings: any[],
 *   refused: Refusal | null, isSent: boolean} | null}
 */
let question = null;

export function boards() {
  const failed = state.faults.boards;
  if (failed) return [fault(failed), h('button', { onclick: () => load('boards') }, t.retry)];
  if (!state.boards) return h('p.quiet', null, t.loading);
  const mine = state.boards.filter(board => board.board);
  const others = state.boards.filter(board => !board.board);
  const due = mine.filter(board => board.owner === 'ours' && (board.need === 'required' || board.need === 'useful')).length;
  const unknown = mine.filter(board => board.owner === 'ours' && board.need === 'unknown').length;
  const isUnidentified = mine.some(board => board.owner === 'ours' && board.need === 'unknown' && board.running);
  return [
    h('div.bar', null,
      h('p', { role: 'status' }, mine.length === 0 ? t.noBoards : t.summary(due, unknown, mine.length)),
      h('span.space'),
      isUnidentified && h('button', { onclick: () => ask('identify', 'all') }, t.identifyAll),
      mine.length > 0 && h('button.primary', { disabled: due + unknown === 0, onclick: () => ask('flash', 'all') }, t.flashAll)),
    h('div.cards', null, mine.map(card)),
    others.length > 0 && [h('h2', null, t.others), h('ul.plain', null, others.map(device =>
      h('li', null, device.description, ' ', h('span.quiet', null, [device.port, device.state].filter(Boolean).join(', ')))))],
    dialog(),
  ];
}

/** @param {any} board */
function card(board) {
  const need = NEEDS.includes(board.need) ? board.need : 'unknown';
  const isOurs = board.owner === 'ours';
  const isOpen = opened.has(board.board);
  const last = (state.history ?? []).find(job => job.boards.some((/** @type {any} */ other) => other.board === board.board));
  const blockers = (board.findings ?? []).filter((/** @type {any} */ finding) => finding.severity === 'blocker');
  return h('article.card', { key: `board-${board.board}`, 'aria-label': board.board },
    h('header', null, h('h2', null, board.board),
      isOurs ? h(`span.need.${need}`, null, t.need[/** @type {'required'} */ (need)]) : h('span.need.unknown', null, t.updater, ' ', t.ownUpdater)),
    h('p.quiet', null, board.description),
    h('dl', null,
      row(t.state, board.state), row(t.chip, board.mcu), row(t.port, board.port),
      row(t.runs, board.running), row(t.host, board.host),
      row(t.lastFlash, last ? `${moment(last.created)}: ${last.ok ? t.ok : t.failed}` : state.history ? t.never : '…')),
    board.reason && h('p', null, board.reason),
    blockers.map(finding),
    h('div.buttons', null,
      isOurs && h('button.primary', { onclick: () => ask('flash', board.board) }, t.flash),
      isOurs && h('button', { onclick: () => ask('recover', board.board) }, t.recover),
      isOurs && h('button', { onclick: () => ask('rollback', board.board) }, t.rollback),
      isOurs && h('a.button', { href: `#options/${encodeURIComponent(board.board)}` }, t.options),
      h('button', { key: 'details', 'aria-expanded': String(isOpen), onclick: () => toggle(board.board) }, isOpen ? t.hideDetails : t.details)),
    isOpen && details(board));
}

/** @param {any} board */
const details = board => h('div.details', null,
  h('dl', null, row(t.section, board.section && `[${board.section}]`), row('id', board.id)),
  (board.facts ?? []).length > 0 ? [h('h3', null, t.known), h('ul', null, board.facts.map((/** @type {any} */ fact) =>
    h('li', null, fact.says, h('span.quiet', null, ` ${t.knownBy} ${fact.by}`))))] : h('p.quiet', null, t.notIdentified),
  (board.findings ?? []).map(finding));

/** @param {string} board */
function toggle(board) {
  if (!opened.delete(board)) opened.add(board);
  update();
}

/** @param {string} name @param {any} value */
export const row = (name, value) => value === null || value === undefined || value === '' ? null : [h('dt', null, name), h('dd', null, String(value))];

/** @param {any} found */
const finding = found => h(`div.finding.${found.severity}`, null,
  h('p', null, h('strong', null, t.severity[/** @type {'note'} */ (found.severity)] ?? found.severity, ': '), found.text),
  found.remedy && !found.question && remedy(found.remedy));

// ---- the question before a job

/**
 * Asks for the plan, and shows it. Nothing happens before a button of it is pressed.
 * @param {'flash' | 'recover' | 'rollback' | 'identify'} verb
 * @param {string} board
 * @param {Record<string, any>} [more] Further arguments of the request.
 */
export async function ask(verb, board, more = {}) {
  const args = { board, by: 'page', person: true, ...more, ...(verb === 'rollback' ? { rollback: true } : {}) };
  const mine = question = { verb, board, args, plan: /** @type {any[] | null} */ (null), findings: /** @type {any[]} */ ([]), refused: /** @type {Refusal | null} */ (null), isSent: false };
  update();
  if (verb === 'flash' || verb === 'rollback') {
    try {
      const { plan, findings } = await moonraker.ask('plan', args);
      [mine.plan, mine.findings] = [plan, findings ?? []];
    } catch (failed) {
      mine.refused = refusal(failed);
    }
  } else mine.plan = [];
  update();
}

/** @param {Record<string, any>} more */
async function send(more) {
  const mine = question;
  if (!mine) return;
  mine.isSent = true;
  mine.refused = null;
  update();
  try {
    const method = mine.verb === 'rollback' ? 'flash' : mine.verb;
    await moonraker.ask(method, { ...mine.args, ...more });
    if (question === mine) question = null;
  } catch (failed) {
    mine.refused = refusal(failed);
  }
  mine.isSent = false;
  update();
}

/** Answers a question about a board, and makes the request that was asked for. @param {any} missing @param {string} value */
async function answer(missing, value) {
  const mine = question;
  if (!mine) return;
  mine.isSent = true;
  update();
  try {
    await moonraker.ask('answer', { board: missing.board, fact: missing.fact, value });
    await ask(mine.verb, mine.board, mine.args);
  } catch (failed) {
    mine.refused = refusal(failed);
    mine.isSent = false;
    update();
  }
}

export function closeQuestion() {
  question = null;
  update();
}

export function dialog() {
  if (!question) return null;
  const { verb, board, plan, findings, refused, isSent } = question;
  const all = [...findings, ...(plan ?? []).flatMap(one => one.findings)];
  const missing = refused?.question ?? all.map(found => found.question).find(Boolean);
  const isBlocked = plan !== null && plan.length > 0 && plan.every(one => one.blocked);
  const isIdle = !findings.some(found => found.severity === 'blocker');
  const warned = all.some(found => found.severity === 'warning');
  const unconfirmed = (plan ?? []).filter(one => one.findings.some((/** @type {any} */ found) => found.code === 'firmware-unconfirmed'));
  const consent = {
    ...(warned || refused?.code === 'consent-missing' ? { consent: true } : {}),
    ...(unconfirmed.length > 0 ? { confirm: unconfirmed.map(one => one.sha256).join(',') } : {}),
  };
  const nothing = plan !== null && verb === 'flash' && plan.length === 0;
  const label = verb === 'flash' ? (Object.keys(consent).length > 0 ? t.flashAnyway : t.flash) : t[verb];
  const title = t.before[verb](board === 'all' ? '' : board).replace(/ \?$/, '?');
  return h('dialog', { key: 'question', 'aria-labelledby': 'question', onclose: closeQuestion },
    h('h2', { id: 'question' }, board === 'all' && verb === 'flash' ? `${t.flashAll}?` : title),
    plan === null && !refused && h('p.quiet', { role: 'status' }, t.planning),
    verb === 'recover' && h('p', null, t.recoverText),
    verb === 'rollback' && h('p', null, t.rollbackText),
    verb === 'identify' && h('p', null, t.identifyText),
    findings.map(finding),
    (plan ?? []).map(planOf),
    nothing && h('p', null, t.nothingDue),
    isBlocked && (plan ?? []).length > 1 && h('p', null, t.allBlocked),
    plan !== null && !isBlocked && !nothing && verb !== 'identify' && h('p.quiet', null, t.stops, stopsAs()),
    refused && fault(refused),
    missing && h('div.choices', null, h('p', null, missing.text, ' ', t.missingFact),
      missing.choices.map((/** @type {any} */ choice) =>
        h('button.primary', { disabled: isSent, onclick: () => answer(missing, choice.value) }, `${choice.label} (${choice.value})`))),
    h('div.buttons', null,
      plan !== null && !isBlocked && !nothing && isIdle && !missing
        && h('button.primary', { disabled: isSent, onclick: () => send(consent) }, label),
      plan !== null && !isBlocked && !nothing && (!isIdle || refused?.code === 'printer-busy')
        && h('button.primary', { disabled: isSent, onclick: () => send({ ...consent, when_idle: true }) }, t.flashIdle),
      h('button', { onclick: closeQuestion }, t.close)));
}

function stopsAs() {
  const last = (state.history ?? []).find(job => job.ok && job.down !== undefined);
  return last ? t.stopsAs(last.down) : ` ${t.noStops}`;
}

/** @param {any} plan */
const planOf = plan => h('section.plan', null,
  h('h3', null, plan.board, h('span.quiet', null, ` ${plan.description ?? ''}`)),
  h('dl', null,
    row(t.firmware, `${plan.running ?? t.notKnown} → ${plan.version ?? t.toBeBuilt}`), row(t.method, plan.route?.replaceAll('->', '→')),
    row(t.bytes, plan.size && size(plan.size)), row(t.start, plan.start), row(t.sha256, plan.sha256), row(t.port, plan.port)),
  plan.blocked && h('p.bad', null, t.blocked),
  plan.findings.map(finding));
