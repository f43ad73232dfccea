// What is wrong with the printer's computer, and the command for each.
import { h } from './dom.js';
import { fault, remedy } from './flash.js';
import { load, state, update } from './state.js';
import { t } from './texts.js';

let copied = '';

export function doctor() {
  const failed = state.faults.checks;
  if (failed) return [fault(failed), h('button', { onclick: () => load('checks') }, t.retry)];
  if (!state.checks) return h('p.quiet', { role: 'status' }, t.checking);
  const bad = state.checks.filter(check => check.severity !== 'note').length;
  return [
    h('div.bar', null, h('p', { role: 'status' }, bad === 0 ? t.allWell(state.checks.length) : t.problems(bad, state.checks.length)), h('span.space'),
      h('button', { onclick: () => { state.checks = null; load('checks'); update(); } }, t.retry)),
    state.checks.map(check => h(`article.card.finding.${check.severity === 'problem' ? 'blocker' : check.severity}`, { key: `check-${check.id}` },
      h('p', null, h('strong', null, check.text)),
      check.remedy && !isCommand(check.remedy) && remedy(check.remedy),
      commandsOf(check.remedy ?? '').map(command => h('div.buttons', null,
        h('code.command', null, command), h('button', { key: 'copy', onclick: () => copy(command) }, copied === command ? t.copied : t.copy))))),
  ];
}

const COMMAND = /^in a terminal: (.+)$/i;

/** The whole remedy is a command. @param {string} text */
const isCommand = text => COMMAND.test(text);

/** Commands of a remedy: all of it, or what stands between backticks. @param {string} text */
function commandsOf(text) {
  const whole = COMMAND.exec(text);
  return whole ? [whole[1]] : text.split('`').filter((_, i) => i % 2 === 1);
}

/** @param {string} command */
async function copy(command) {
  try {
    await navigator.clipboard.writeText(command);   // only at https and localhost
  } catch {
    const area = document.createElement('textarea');
    area.value = command;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  copied = command;
  update();
}
