// A flash as it happens: one lane a board, the map of its flash memory, the operator's step, and the verdict.
import { h } from './dom.js';
import { dismiss, downOf, moonraker, refusal, state, update } from './state.js';
import { counted, seconds, size, t } from './texts.js';

const PHASES = ['build', 'stop', 'ask', 'enter', 'identify', 'erase', 'write', 'verify', 'leave', 'confirm', 'prove', 'start'];
const MEASURED = ['erase', 'write', 'verify'];
const COMMIT = PHASES.indexOf('erase');
const MOST_CELLS = 512;

/** Jobs whose cancel was asked for. @type {Set<string>} */
const cancelling = new Set();
/** When a phase of a board began to be measured, for the time left. @type {Map<string, {phase: string, at: number, done: number}>} */
const measures = new Map();
/** The last step of each board that an operator was asked for. @type {Map<string, string>} */
const lastSteps = new Map();

/** All jobs that are open, or whose end was not dismissed. */
export const jobs = () => [...state.jobs.values()].sort((a, b) => a.created < b.created ? 1 : -1).map(job);

/** @param {any} job */
function job(job) {
  const isDone = job.state === 'done';
  const down = downOf(job);
  const isOver = job.boards.every((/** @type {any} */ board) => board.ok !== undefined);
  const isPast = job.boards.every((/** @type {any} */ board) => board.layout || board.ok !== undefined);
  const isWaiting = job.state === 'person';
  const label = `${t.jobTitle(job.job)}: ${isDone ? (job.ok ? t.ok : t.failed) : t.job[/** @type {'running'} */ (job.state)] ?? job.state}`;
  return h('section.job', { key: `job-${job.job}`, 'aria-label': label },
    h('header', null,
      h(`h2.${isDone ? (job.ok ? 'good' : 'bad') : isWaiting ? 'warning' : 'active'}`, { role: 'status' }, label),
      h('span.quiet', null, `${t.by[job.by] ?? job.by}, ${seconds(job.elapsed)}`),
      down !== null && h(`span.${job.stopped ? 'clock' : 'quiet'}`, null, job.stopped ? t.down(down) : t.wasDown(down)),
      h('span.space'),
      isDone ? h('button', { onclick: () => dismiss(job.job) }, t.dismiss)
        : h('button.warning', { disabled: cancelling.has(job.job) || (isPast && !isWaiting), onclick: () => cancel(job.job) },
          cancelling.has(job.job) ? t.cancelling : isWaiting ? t.giveUp : t.cancelJob)),
    !isDone && job.state === 'running' && h('p.quiet', null, isOver ? t.afterBoards : isPast ? t.pastPoint : t.beforePoint),
    job.boards.map((/** @type {any} */ board) => lane(job, board)),
    job.klippy && fault(job.klippy));
}

/** @param {string} id */
async function cancel(id) {
  cancelling.add(id);
  update();
  try {
    await moonraker.ask('cancel', { job: id });
  } catch (failed) {
    state.faults.status = refusal(failed);
  }
  cancelling.delete(id);
  update();
}

/** @param {any} job @param {any} board */
function lane(job, board) {
  const place = PHASES.indexOf(board.phase);
  const isOver = board.ok !== undefined;
  const versions = [board.oldVersion ?? board.report?.oldVersion, board.newVersion ?? board.report?.newVersion];
  return h('article.lane', { key: `lane-${board.board}`, 'aria-label': board.board },
    h('header', null,
      h('h3', null, board.board),
      h('span.versions', null, versions[0] ?? '', versions[1] && versions[1] !== versions[0] ? [' → ', versions[1]] : null)),
    !isOver && board.phase !== 'person' && h('ol.phases', { 'aria-label': board.phase }, PHASES.filter(phase => phase !== 'ask' || board.phase === 'ask')
      .map(phase => {
        const index = PHASES.indexOf(phase);
        const isNow = phase === board.phase;
        return h(`li${isNow ? '.now' : index < place ? '.past' : ''}${index === COMMIT ? `.point${board.layout ? '.crossed' : ''}` : ''}`,
          { 'aria-current': isNow ? 'step' : null, title: index === COMMIT ? t.pointOfNoReturn : null },
          t.phases[/** @type {'build'} */ (phase)]);
      })),
    board.phase === 'person' && job.state !== 'done' ? operatorStep(board) : h('p.message', null, seenJumper(board), messageOf(board)),
    measure(board),
    board.layout && !isOver && place >= 0 && map(board),
    isOver && verdict(board));
}

/** @param {any} board */
const messageOf = board => board.ok === false && board.fault ? '' : board.message;

/** @param {any} board */
function seenJumper(board) {
  const step = lastSteps.get(board.board);
  if (board.ok !== undefined) lastSteps.delete(board.board);
  return step === 'start-bootloader' && board.ok === undefined ? h('strong', null, t.jumperOff, ' ') : null;
}

/** Bytes and time left of the phase. @param {any} board */
function measure(board) {
  if (!board.total || board.ok !== undefined) return null;
  const now = performance.now();
  let began = measures.get(board.board);
  if (!began || began.phase !== board.phase || board.done < began.done) {
    began = { phase: board.phase, at: now, done: board.done };
    measures.set(board.board, began);
  }
  const took = now - began.at;
  const rate = took > 500 && board.done > began.done ? (board.done - began.done) / took : 0;
  const left = rate > 0 && board.done < board.total ? ` ${t.left((board.total - board.done) / rate / 1000)}` : '';
  const text = `${t.of(board.done, board.total)}${left}`;
  return h('div.measure', null,
    h('progress', { max: board.total, value: board.done, 'aria-label': t.phases[/** @type {'erase'} */ (board.phase)] }),
    h('span', null, text));
}

/**
 * The sectors that the flash touches. Each is drawn as the bootloader has acknowledged it: erased, written, read back equal.
 * @param {any} board
 */
function map(board) {
  const { start, size: bytes, erases, sectors, runs } = board.layout;
  const cells = /** @type {{address: number, size: number}[]} */ ([]);
  let address = start;
  for (const [each, count] of sectors) {
    for (let i = 0; i < count && cells.length < MOST_CELLS; i++, address += each) cells.push({ address, size: each });
  }
  const phase = MEASURED.includes(board.phase) ? board.phase : 'verify';
  const place = PHASES.indexOf(board.phase);
  const done = board.phase === phase ? board.done ?? 0 : place > COMMIT ? Infinity : 0;
  const erased = !erases ? [] : phase === 'erase' ? [[start, Math.min(done, address - start)]] : [[start, address - start]];
  const written = phase === 'erase' ? [] : phase === 'write' ? firstOf(runs, done) : runs;
  const verified = phase === 'verify' ? [[start, Math.min(done, bytes)]] : [];
  const shades = { erase: erased, write: written, verify: verified };
  const complete = cells.filter(cell => coverage(shades[/** @type {'erase'} */ (phase)], cell, start + bytes) >= 1).length;
  const most = Math.max(...cells.map(cell => cell.size));
  const base = start - (start & 0x00ffffff);
  return h('div.mapping', null,
    h('div.map', { role: 'img', 'aria-label': t.map(t.mapDone[/** @type {'erase'} */ (phase)], complete, cells.length) },
      start > base && h('span.cell.kept', { title: `${hex(base)}: ${t.mapKept}`, '--weight': 1 }),
      cells.map(cell => h('span.cell', {
        title: `${hex(cell.address)}, ${size(cell.size)}`,
        '--weight': Math.max(1, Math.round(cell.size * 8 / most)),
        '--erased-part': coverage(erased, cell, Infinity),
        '--written-part': coverage(written, cell, start + bytes),
        '--verified-part': coverage(verified, cell, start + bytes),
      }))),
    h('p.legend', null, ['idle', 'erased', 'written', 'verified'].map(shade => h('span', null, h(`i.${shade}`), t.legend[/** @type {'idle'} */ (shade)]))));
}

/** The first bytes of the runs. @param {number[][]} runs @param {number} bytes */
function firstOf(runs, bytes) {
  const taken = [];
  for (const [address, length] of runs) {
    if (bytes <= 0) break;
    taken.push([address, Math.min(length, bytes)]);
    bytes -= length;
  }
  return taken;
}

/** The part of a cell that ranges cover, 0 to 1. @param {number[][]} ranges @param {{address: number, size: number}} cell @param {number} end */
function coverage(ranges, cell, end) {
  const last = Math.min(cell.address + cell.size, end);
  let covered = 0;
  for (const [address, length] of ranges) {
    covered += Math.max(0, Math.min(address + length, last) - Math.max(address, cell.address));
  }
  return last <= cell.address ? 0 : Math.min(1, covered / (last - cell.address));
}

/** @param {number} address */
const hex = address => `0x${address.toString(16).padStart(8, '0')}`;

/** @param {any} board */
function operatorStep(board) {
  if (board.step) lastSteps.set(board.board, board.step);
  const { before, steps, after } = stepsOf(board.message);
  const step = board.step ?? '';
  return h('div.step', { role: 'group', 'aria-label': t.yourStep },
    h('strong', null, t.yourStep),
    h('div.how', null,
      step in t.pictures && h('figure', null, picture(step), h('figcaption', null, t.pictures[step])),
      h('div', null, h('p', null, before), steps.length > 0 && h('ol', null, steps.map(text => h('li', null, text))), after && h('p', null, after))),
    h('p.watching', null, h('i.pulse'), board.step ? t.watching : t.seen));
}

/** Steps stand as `(1) ... (2) ...` in a sentence of the agent. @param {string} message */
export function stepsOf(message) {
  const parts = message.split(/\((\d+)\) /);
  const steps = [];
  for (let i = 1; i + 1 < parts.length; i += 2) {
    if (Number(parts[i]) !== steps.length + 1) return { before: message, steps: [], after: '' };
    steps.push(parts[i + 1].trim());
  }
  return { before: parts[0].trim(), steps, after: '' };
}

/** @param {any} board */
function verdict(board) {
  const report = board.report ?? {};
  if (report.leftOut) return h('p.quiet', null, `${t.skipped}: ${report.leftOut}`);
  return h('div.verdict', null,
    board.ok ? proofs(board, report) : board.fault && fault(board.fault),
    !board.ok && board.now && h('p', null, h('strong', null, t.now, ': '), board.now),
    report.identity && h('p', null, report.identity),
    report.notes?.length > 0 && h('ul.quiet', null, report.notes.map((/** @type {string} */ note) => h('li', null, note))));
}

/** @param {any} board @param {any} report */
function proofs(board, report) {
  if (report.identity || board.condition === 'unchanged' || board.condition === 'running') return null;
  if (report.ownUpdater) return h('p.good', null, t.byUpdater);
  if (report.process) return h('p.good', null, t.byProcess);
  const all = [t.proofs.dictionary, t.proofs.reset];
  return h('ul.proofs', null, [
    report.sdCard ? h('li.quiet', null, t.byCard) : h('li.good', null, t.proofs.readBack),
    ...all.map(text => h('li.good', null, text)),
  ]);
}

/** A cause, with what to do. @param {{code?: string, cause?: string, message?: string, remedy?: string}} fault */
export const fault = fault => h('div.fault', { role: 'alert' },
  h('p', null, h('strong', null, fault.cause ?? fault.message ?? ''), fault.code ? h('code', null, fault.code) : null),
  fault.remedy && remedy(fault.remedy));

/** A remedy: its steps as a list, its commands as such. @param {string} text */
export function remedy(text) {
  const { before, steps } = stepsOf(text);
  return h('div.remedy', null, before && h('p', null, commands(before)), steps.length > 0 && h('ol', null, steps.map(step => h('li', null, commands(step)))));
}

/** @param {string} text */
const commands = text => text.split('`').map((part, i) => i % 2 ? h('code', null, part) : part);

// ---- pictograms

/** @param {string} step */
function picture(step) {
  const parts = {
    jumper: h('g', null, h('rect.board', { x: 8, y: 40, width: 48, height: 20, rx: 2 }), h('path', { d: 'M20 40V28M32 40V28M44 40V28' }),
      h('rect.hot', { x: 14, y: 16, width: 24, height: 14, rx: 2 }), h('path', { d: 'M26 4v8m-4-4 4 4 4-4' })),
    jumperOff: h('g', null, h('rect.board', { x: 8, y: 40, width: 48, height: 20, rx: 2 }), h('path', { d: 'M20 40V28M32 40V28M44 40V28' }),
      h('rect.hot', { x: 14, y: 12, width: 24, height: 12, rx: 2 }), h('path', { d: 'M26 10V2m-4 4 4-4 4 4' })),
    reset: h('g', null, h('rect.board', { x: 8, y: 40, width: 48, height: 20, rx: 2 }), h('rect.hot', { x: 24, y: 32, width: 16, height: 8, rx: 3 }),
      h('path', { d: 'M32 8v18m-6-6 6 6 6-6' })),
    reset2: h('g', null, h('rect.board', { x: 8, y: 40, width: 48, height: 20, rx: 2 }), h('rect.hot', { x: 24, y: 32, width: 16, height: 8, rx: 3 }),
      h('path', { d: 'M26 8v18m-5-5 5 5 5-5M38 8v18m-5-5 5 5 5-5' })),
    cable: h('g', null, h('rect.board', { x: 34, y: 20, width: 26, height: 24, rx: 2 }), h('rect.hot', { x: 24, y: 26, width: 10, height: 12, rx: 1 }),
      h('path', { d: 'M24 32H14a8 8 0 0 1-8-8V8' })),
    power: h('g', null, h('circle', { cx: 32, cy: 34, r: 20 }), h('path.hot', { d: 'M32 8v24' })),
    card: h('g', null, h('path.hot', { d: 'M10 12h14l6 6v22H10z' }), h('rect.board', { x: 38, y: 30, width: 22, height: 26, rx: 2 }),
      h('path', { d: 'M34 20h8a6 6 0 0 1 6 6v2m-5-4 5 5 5-5' })),
  };
  /** @type {Record<string, (keyof typeof parts)[]>} */
  const drawings = {
    'start-bootloader': ['jumper', 'reset'], 'double-reset': ['reset2'], 'check-cable': ['cable'], 'power-cycle': ['power'],
    'remove-boot0-power-cycle': ['jumperOff', 'power'], 'remove-boot0-reset': ['jumperOff', 'reset'], 'carry-card': ['card'],
  };
  return (drawings[step] ?? []).map(name => h('svg', { viewBox: '0 0 64 64', 'aria-hidden': 'true' }, parts[name]));
}

/** @param {any} job A line for a list of jobs. */
export const boardsOf = job => job.boards.map((/** @type {any} */ board) => board.board).join(', ') || counted(0, 'board');
