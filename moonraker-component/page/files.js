// The firmware folder, by Moonraker's file manager; which board each file fits, by the agent.
import { ask, row } from './boards.js';
import { h } from './dom.js';
import { fault } from './flash.js';
import { Refusal, prefix } from './moonraker.js';
import { load, moonraker, refusal, state, update } from './state.js';
import { size, t } from './texts.js';

const ROOT = 'ratos_flash';
const MOST = 8 * 1024 * 1024;
const KINDS = /\.(bin|uf2|elf)$/i;

/** @type {string} */
let uploading = '';
/** @type {Refusal | null} */
let failed = null;
let removing = '';

export function files() {
  const fails = state.faults.files;
  return [
    h('p.quiet', null, t.filesText),
    h('label.drop', { ondragover: (/** @type {DragEvent} */ event) => event.preventDefault(), ondrop: dropped },
      h('strong', null, uploading ? t.uploading(uploading) : t.upload), h('span.quiet', null, t.uploadHint),
      h('input', { type: 'file', accept: '.bin,.uf2,.elf', disabled: uploading !== '', onchange: chosen })),
    failed && fault(failed),
    fails ? [fault(fails), h('button', { onclick: () => load('files') }, t.retry)]
      : !state.files ? h('p.quiet', { role: 'status' }, t.loading)
        : state.files.length === 0 ? h('p.quiet', null, t.noFiles) : h('div.cards', null, state.files.map(file)),
  ];
}

/** @param {any} file */
function file(file) {
  const { firmware } = file;
  const address = `${prefix}/server/files/${ROOT}/${encodeURIComponent(file.file)}`;
  return h('article.card', { key: `file-${file.file}`, 'aria-label': file.file },
    h('header', null, h('h2', null, file.file), h('span.quiet', null, size(file.size))),
    firmware ? h('dl', null, row(t.runs, firmware.version), row(t.chip, firmware.mcu), row(t.start, firmware.start), row(t.port, firmware.link),
      row(t.sha256, firmware.sha256), row(t.fits, file.boards.length > 0 ? file.boards.join(', ') : t.fitsNone))
      : h('p', null, t.unreadable, '. ', file.error?.cause),
    h('div.buttons', null,
      (file.boards ?? []).map((/** @type {string} */ board) =>
        h('button.primary', { onclick: () => ask('flash', board, { firmware: file.file }) }, t.flashFile(board))),
      h('a.button', { href: address, download: file.file }, t.download),
      removing === file.file
        ? [h('button.warning', { onclick: () => remove(file.file) }, t.removeAsk(file.file)), h('button', { onclick: () => { removing = ''; update(); } }, t.cancel)]
        : h('button', { onclick: () => { removing = file.file; update(); } }, t.remove)));
}

/** @param {Event} event */
function chosen(event) {
  const input = /** @type {HTMLInputElement} */ (event.target);
  if (input.files?.[0]) upload(input.files[0]);
  input.value = '';
}

/** @param {DragEvent} event */
function dropped(event) {
  event.preventDefault();
  if (event.dataTransfer?.files[0]) upload(event.dataTransfer.files[0]);
}

/** @param {File} file */
async function upload(file) {
  failed = file.size > MOST ? new Refusal({ cause: t.tooLarge(file.name) }) : !KINDS.test(file.name) ? new Refusal({ cause: t.wrongKind(file.name) }) : null;
  if (failed) {
    update();
    return;
  }
  uploading = file.name;
  update();
  try {
    const form = new FormData();
    form.set('root', ROOT);
    form.set('file', file, file.name);
    await moonraker.fetch('/server/files/upload', { method: 'POST', body: form });
  } catch (fault) {
    failed = refusal(fault);
  }
  uploading = '';
  await load('files');
}

/** @param {string} name */
async function remove(name) {
  removing = '';
  try {
    await moonraker.call('server.files.delete_file', { path: `${ROOT}/${name}` });
  } catch (fault) {
    failed = refusal(fault);
  }
  await load('files');
}
