// The jobs that are over, newest first, each with its bundle.
import { h } from './dom.js';
import { boardsOf, fault } from './flash.js';
import { load, moonraker, refusal, state, update } from './state.js';
import { moment, seconds, t } from './texts.js';
import { prefix } from './moonraker.js';

/** Bundles by job: their address, `null` while they are packed, or why there is none. @type {Map<string, string | null | Error>} */
const bundles = new Map();

export function history() {
  const failed = state.faults.history;
  if (failed) return [fault(failed), h('button', { onclick: () => load('history') }, t.retry)];
  if (!state.history) return h('p.quiet', null, t.loading);
  if (state.history.length === 0) return h('p.quiet', null, t.noHistory);
  return h('ol.plain.history', null, state.history.map(job => h('li.card', { key: `history-${job.job}` },
    h('header', null,
      h(`strong.${job.ok ? 'good' : 'bad'}`, null, job.ok ? t.ok : t.failed),
      h('h2', null, boardsOf(job)),
      h('span.quiet', null, `${moment(job.created)}, ${t.by[job.by] ?? job.by}, ${t.took(job.elapsed)}`,
        job.down !== undefined && `. ${t.wasDown(job.down)}`)),
    h('ul.plain', null, job.boards.map((/** @type {any} */ board) => h('li', null,
      h('strong', null, board.board), ' ',
      board.report?.leftOut ? h('span.quiet', null, `${t.skipped}: ${board.report.leftOut}`)
        : board.ok ? [board.oldVersion && board.oldVersion !== board.newVersion ? `${board.oldVersion} → ` : '', board.newVersion ?? board.message,
            h('span.quiet', null, board.report?.elapsed ? `, ${seconds(board.report.elapsed)}` : '')]
          : [board.fault && fault(board.fault), board.now && h('p', null, h('strong', null, t.now, ': '), board.now)]))),
    job.klippy && fault(job.klippy),
    bundle(job.job))));
}

/** @param {string} id */
function bundle(id) {
  const made = bundles.get(id);
  if (typeof made === 'string') return h('a.button', { href: made, download: true }, t.bundleReady);
  return [
    h('button', { disabled: made === null, onclick: () => pack(id) }, made === null ? t.bundleMaking : t.bundle),
    made instanceof Error && fault(refusal(made)),
  ];
}

/** @param {string} id */
async function pack(id) {
  bundles.set(id, null);
  update();
  try {
    const { file } = await moonraker.ask('bundle', { job: id });
    const name = file.slice(file.lastIndexOf('/') + 1);
    bundles.set(id, `${prefix}/server/files/logs/${encodeURIComponent(name)}`);
  } catch (failed) {
    bundles.set(id, refusal(failed));
  }
  update();
}
