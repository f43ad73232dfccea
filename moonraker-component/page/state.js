// What the page knows, and how it learns it: by the agent's events while something happens, by requests when it begins.
import { Moonraker, Refusal } from './moonraker.js';

const AGENT = 'ratos_flash';
const SETTLE = 400;   // ms: Klipper's coming and going arrives as a burst of notifications

/**
 * @typedef {any} Job A job as in docs/json.md, with `at`: when it arrived, in ms of this page.
 * @typedef {any} Board
 */

/** The one state of the page. Views read it; `update` changes it and draws. */
export const state = {
  link: 'connecting',
  /** @type {boolean | null} */ agent: null,
  agentVersion: '',
  /** @type {string[]} */ taken: [],
  isOld: false,
  klippy: { state: '', message: '' },
  /** What an offered update of Klipper means for the boards. @type {{ text: string } | null} */ before: null,
  /** @type {Map<string, Job>} */ jobs: new Map(),
  /** Jobs whose end is still shown. @type {Set<string>} */ ended: new Set(),
  /** @type {Board[] | null} */ boards: null,
  /** @type {Job[] | null} */ history: null,
  /** @type {any[] | null} */ checks: null,
  /** @type {any[] | null} */ files: null,
  /** @type {Record<string, Refusal | null>} */ faults: {},
  view: 'boards',
  /** The board of a view. */ subject: '',
};

/** @type {() => void} */
let draw = () => {};
let isDue = false;

/** @param {() => void} drawer */
export function onChange(drawer) {
  draw = drawer;
}

/** Draws once for all changes of a moment, also in a tab that is not shown. */
export function update() {
  if (isDue) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    draw();
  }, 0);
}

export const moonraker = new Moonraker((event, method, params) => {
  if (event === 'notify') {
    notified(/** @type {string} */ (method), params);
    return;
  }
  state.link = event;
  update();
  if (event === 'open') refresh();
});

/**
 * Loads a part of the state again; a failure is kept beside it and shown there.
 * @param {'boards' | 'history' | 'checks' | 'files'} part
 */
export async function load(part) {
  try {
    switch (part) {
      case 'boards': state.boards = (await moonraker.ask('boards')).boards; break;
      case 'history': state.history = (await moonraker.ask('history', { limit: 50 })).jobs.reverse(); break;
      case 'checks': state.checks = (await moonraker.ask('doctor')).checks; break;
      case 'files': state.files = (await moonraker.ask('files')).files; break;
    }
    state.faults[part] = null;
  } catch (fault) {
    state.faults[part] = refusal(fault).code === 'connection-lost' ? null : refusal(fault);   // the page's top says that
  }
  update();
}

/** @param {unknown} fault */
export const refusal = fault => fault instanceof Refusal ? fault : new Refusal({ cause: String(fault instanceof Error ? fault.message : fault) });

/** Everything that is shown at first. */
async function refresh() {
  await status();
  if (!state.agent) return;
  await load('boards');
  await load('history');
  await loadView();
}

/** What only the view that is shown needs. */
export async function loadView() {
  if (state.link !== 'open') return;   // it is loaded as soon as there is a connection
  if (state.view === 'doctor' && !state.checks) await load('checks');
  if (state.view === 'files') await load('files');
  if (state.view === 'history') await load('history');
}

async function status() {
  try {
    const answer = await moonraker.ask('status');
    state.agent = true;
    state.agentVersion = answer.version;
    state.taken = answer.taken ?? [];
    state.before = answer.before ?? null;
    state.klippy = { state: answer.klippy, message: answer.message };
    state.faults.status = null;
    const open = new Set(answer.jobs.map((/** @type {Job} */ job) => job.job));
    for (const id of [...state.jobs.keys()]) {
      if (!open.has(id) && !state.ended.has(id)) await ended(id);
    }
    for (const job of answer.jobs) take(job);
  } catch (fault) {
    const { code } = refusal(fault);
    if (code === 'agent-absent') state.agent = false;
    state.faults.status = code === 'agent-absent' || code === 'connection-lost' ? null : refusal(fault);
  }
  try {
    state.isOld = (await moonraker.call('server.ratos_flash.info')).page !== true;
  } catch {
    state.isOld = true;
  }
  update();
}

/** A job that was open when it was last seen and is not any more: its end was missed. @param {string} id */
async function ended(id) {
  try {
    for (const job of (await moonraker.ask('job', { job: id })).jobs) take(job);
  } catch {
    state.jobs.delete(id);
  }
}

/** @param {Job} job */
function take(job) {
  job.at = performance.now();
  const before = state.jobs.get(job.job);
  if (job.state === 'done') {
    if (before || job.by === 'page') {
      state.ended.add(job.job);
      state.jobs.set(job.job, job);
    }
    return;
  }
  state.jobs.set(job.job, job);
}

/** @type {number | undefined} */
let settling;

/** @param {string} method @param {any[]} params */
function notified(method, [data]) {
  if (method === 'notify_agent_event' && data?.agent === AGENT) {
    agentEvent(data.event, data.data);
    return;
  }
  if (method === 'notify_klippy_ready' || method === 'notify_klippy_disconnected' || method === 'notify_klippy_shutdown'
    || method === 'notify_announcement_update' || method === 'notify_announcement_dismissed') {
    clearTimeout(settling);
    settling = setTimeout(async () => {
      await status();
      if (state.agent && state.jobs.size === 0) await load('boards');
    }, SETTLE);
  }
  if (method === 'notify_filelist_changed' && data?.item?.root === AGENT && state.files) load('files');
}

/** @param {string} event @param {any} data */
function agentEvent(event, data) {
  switch (event) {
    case 'connected':
      refresh();
      break;
    case 'disconnected':
      state.agent = false;
      break;
    case 'job': {
      const isNew = !state.jobs.has(data.job);
      const isKnownEnd = state.jobs.get(data.job)?.state === 'done';
      if (isKnownEnd) return;
      if (isNew && data.state === 'done') state.jobs.set(data.job, data);   // its beginning was missed
      take(data);
      if (data.state === 'done') {
        load('boards').then(() => load('history')).then(status);
      }
      break;
    }
    case 'board': {
      const job = state.jobs.get(data.job);
      if (!job) {
        ended(data.job);
        return;
      }
      const index = job.boards.findIndex((/** @type {any} */ board) => board.board === data.board.board);
      if (index >= 0) job.boards[index] = data.board;
      const now = performance.now();
      if (job.stopped) job.down += (now - job.at) / 1000;
      job.elapsed = data.elapsed;
      job.at = now;
      break;
    }
    default:
      return;   // of a newer agent
  }
  update();
}

/** @param {string} id */
export function dismiss(id) {
  state.jobs.delete(id);
  state.ended.delete(id);
  update();
}

/** How long a job has stopped Klipper, in seconds, at this moment. @param {Job} job */
export const downOf = job => job.down === undefined ? null : job.down + (job.stopped ? (performance.now() - job.at) / 1000 : 0);
