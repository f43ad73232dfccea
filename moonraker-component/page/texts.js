// Every text of the page. Causes and remedies of faults come from the agent, in its words for a browser (docs/faults.md).

/** @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** @param {number} seconds */
export const seconds = seconds => seconds < 60 ? `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`
  : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;

/** @param {number} bytes */
export const size = bytes => bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB`;

/** @param {string} utc */
export const moment = utc => {
  const time = new Date(utc);
  return Number.isNaN(time.getTime()) ? utc : time.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
};

export const t = {
  title: 'Firmware',
  views: { boards: 'Boards', history: 'History', files: 'Files', doctor: 'Doctor' },

  link: {
    connecting: 'Connecting to Moonraker…',
    lost: 'The connection to Moonraker was lost. Reconnecting…',
    login: 'Moonraker asks for a login.',
  },
  agentAbsent: 'RatOS.Flash is not running on this printer.',
  agentAbsentRemedy: 'Start the service ratos-flash in the services menu of Mainsail or Fluidd, or in a terminal: '
    + 'sudo systemctl start ratos-flash. This page continues as soon as it runs.',
  componentOld: 'The component in Moonraker is older than this page. Restart Moonraker.',
  klipper: {
    ready: 'Klipper is ready', busy: 'Klipper is busy', error: 'Klipper reports an error', shutdown: 'Klipper is shut down',
    stopped: 'Klipper is stopped', absent: 'Klipper is not running', unknown: 'The state of Klipper is unknown',
  },
  down: (/** @type {number} */ s) => `Klipper has been stopped for ${seconds(s)}`,
  wasDown: (/** @type {number} */ s) => `Klipper was stopped for ${seconds(s)}.`,
  signIn: 'Sign in', signOut: 'Sign out', user: 'User', password: 'Password',
  frame: 'This page cannot be shown inside another site.',
  frameLink: 'Open it in its own tab',
  loading: 'Loading…',
  retry: 'Try again',
  close: 'Close',
  cancel: 'Cancel',
  copy: 'Copy', copied: 'Copied',
  notKnown: 'unknown',

  dashboard: 'Show on the dashboard', dashboardOff: 'Remove from the dashboard',
  dashboardText: 'Mainsail and Fluidd then show this page among their webcams.',
  taken: (/** @type {string} */ names) => `Another program has registered the macros’ methods ${names}: FLASH_MCU does not reach this `
    + 'agent. Stop that program, then restart the service ratos-flash.',

  // ---- boards
  noBoards: 'Klipper’s configuration names no boards.',
  need: { required: 'Flash required', useful: 'Flash recommended', needless: 'Up to date', unknown: 'Flash may be needed' },
  summary: (/** @type {number} */ due, /** @type {number} */ unknown, /** @type {number} */ all) => [
    unknown < all && `${due === 0 ? 'None' : due} of ${counted(all, 'board')} ${due < 2 ? 'needs' : 'need'} new firmware.`,
    unknown > 0 && (unknown === all ? `It is not known whether ${counted(all, 'board')} ${all === 1 ? 'needs' : 'need'} new firmware.`
      : `It is not known whether ${unknown} more ${unknown === 1 ? 'needs' : 'need'} it.`),
  ].filter(Boolean).join(' '),
  flash: 'Flash', flashAll: 'Flash all that need it', flashIdle: 'Flash when idle', flashAnyway: 'Flash anyway', recover: 'Recover',
  rollback: 'Roll back', details: 'Details', hideDetails: 'Hide details', identify: 'Identify', options: 'Firmware options',
  identifyAll: 'Identify all boards',
  runs: 'Runs', host: 'Klipper', chip: 'Chip', port: 'Port', lastFlash: 'Last flash', never: 'none on record', state: 'State',
  section: 'Section', updater: 'Updated by', ownUpdater: 'its maker’s updater', known: 'What is known', knownBy: 'according to',
  notIdentified: 'This board has not been identified. To ask the boards, Klipper stops for about 10 s: heaters off, position lost.',
  others: 'Other devices',

  // ---- before a flash
  before: {
    flash: (/** @type {string} */ board) => `Flash ${board}?`,
    recover: (/** @type {string} */ board) => `Recover ${board}?`,
    rollback: (/** @type {string} */ board) => `Roll back ${board}?`,
    identify: () => 'Identify the boards?',
  },
  planning: 'Making the plan. Nothing is touched.',
  recoverText: 'A board that works is left alone. It is flashed only if nothing less helps.',
  rollbackText: 'The firmware that the board ran before is written again.',
  identifyText: 'Klipper is stopped, the boards are asked what they are, and Klipper starts again: heaters off, position lost. '
    + 'Nothing is written.',
  method: 'Method', firmware: 'Firmware', bytes: 'Size', start: 'Start address', sha256: 'sha256', toBeBuilt: 'built from your Klipper sources',
  stops: 'Klipper stops before the boards are written and starts again afterwards: heaters off, position lost.',
  stopsAs: (/** @type {number} */ s) => ` Last time it was stopped for ${seconds(s)}.`,
  noStops: 'How long that takes is not known yet: there is no earlier flash.',
  blocked: 'This board cannot be flashed as it is.',
  allBlocked: 'None of these boards can be flashed as they are.',
  nothingDue: 'No board needs new firmware.',
  missingFact: 'Choose one to continue.',
  severity: { note: 'Note', warning: 'Warning', blocker: 'Blocked' },

  // ---- a flash
  job: { queued: 'Queued', waiting: 'Waiting until the printer is idle', running: 'Running', person: 'Waiting for you', done: 'Done' },
  jobTitle: (/** @type {string} */ id) => `Job ${id}`,
  phases: {
    queued: 'queued', look: 'look', plan: 'plan', build: 'build', stop: 'stop Klipper', ask: 'ask', enter: 'enter', identify: 'identify', erase: 'erase',
    write: 'write', verify: 'verify', leave: 'leave', confirm: 'confirm', prove: 'prove', start: 'start Klipper', person: 'your step', done: 'done',
  },
  beforePoint: 'You can cancel until the point of no return.',
  pastPoint: 'Point of no return passed: the write can no longer be cancelled.',
  afterBoards: 'Klipper is starting again.',
  pointOfNoReturn: 'point of no return',
  cancelJob: 'Cancel', giveUp: 'Give up', cancelling: 'Cancelling…',
  left: (/** @type {number} */ s) => `about ${seconds(Math.max(1, s))} left`,
  of: (/** @type {number} */ done, /** @type {number} */ total) => `${size(done)} of ${size(total)}`,
  map: (/** @type {string} */ phase, /** @type {number} */ done, /** @type {number} */ all) =>
    `Flash memory: ${phase} ${done} of ${counted(all, 'sector')}`,
  mapDone: { erase: 'erased', write: 'written', verify: 'verified' },
  mapKept: 'bootloader, kept',
  legend: { idle: 'old', erased: 'erased', written: 'written', verified: 'read back, equal' },
  proofs: {
    readBack: 'Read back: equal, byte for byte',
    dictionary: 'The running board returned the new firmware’s dictionary',
    reset: 'It did so again after a reset',
  },
  byCard: 'Flashed from an SD card: nothing could be read back.',
  byUpdater: 'Flashed by its maker’s updater: nothing was read back.',
  byProcess: 'Klipper’s new Linux process runs on this computer.',
  skipped: 'Skipped',
  ok: 'OK', failed: 'FAILED', now: 'The board now',
  dismiss: 'Dismiss',

  // ---- the operator step
  yourStep: 'This board needs you',
  watching: 'Watching the bus: the flash continues automatically.',
  seen: 'Detected.',
  jumperOff: 'The bootloader is there: remove the BOOT0 jumper, or release the button.',
  pictures: /** @type {Record<string, string>} */ ({
    'start-bootloader': 'Set the BOOT0 jumper, press reset',
    'double-reset': 'Press reset twice quickly',
    'check-cable': 'Check the cable and the power',
    'power-cycle': 'Switch the power off and on',
    'remove-boot0-power-cycle': 'Remove the BOOT0 jumper, switch the power off and on',
    'remove-boot0-reset': 'Remove the BOOT0 jumper, press reset',
    'carry-card': 'Move the SD card from the computer to the board',
  }),

  // ---- history
  noHistory: 'No flash yet.',
  by: /** @type {Record<string, string>} */ ({
    'command-line': 'from the command line', macro: 'by a macro', prompt: 'by a button', request: 'by another program', screen: 'from KlipperScreen',
    update: 'after an update', page: 'from this page',
  }),
  bundle: 'Bundle for a bug report', bundleReady: 'Download the bundle', bundleMaking: 'Packing…',
  took: (/** @type {number} */ s) => `took ${seconds(s)}`,

  // ---- doctor
  checking: 'Checking the computer…',
  allWell: (/** @type {number} */ all) => `${counted(all, 'check')}, no problems.`,
  problems: (/** @type {number} */ bad, /** @type {number} */ all) => `${counted(all, 'check')}, ${counted(bad, 'problem')}.`,

  // ---- files
  noFiles: 'The firmware folder is empty.',
  filesText: 'Firmware files of this printer, in printer_data/ratos-flash/firmware. A file that was not built here is flashed only after you '
    + 'confirm it.',
  upload: 'Upload firmware', uploadHint: '.bin, .uf2 or .elf, at most 8 MiB. You can also drop a file here.',
  tooLarge: (/** @type {string} */ name) => `${name} is larger than 8 MiB: it is not firmware for a board.`,
  wrongKind: (/** @type {string} */ name) => `${name} is not a .bin, .uf2 or .elf file.`,
  uploading: (/** @type {string} */ name) => `Uploading ${name}…`,
  fits: 'Fits', fitsNone: 'Fits none of this printer’s boards', download: 'Download', remove: 'Delete',
  removeAsk: (/** @type {string} */ name) => `Delete ${name}?`,
  flashFile: (/** @type {string} */ board) => `Flash ${board}`,
  unreadable: 'No firmware that can be flashed',

  // ---- firmware options
  optionsOf: (/** @type {string} */ board) => `Firmware options of ${board}`,
  optionsText: 'Klipper’s own menu. What is known about the board is preset and marked with its source.',
  knownOf: 'known about this board', save: 'Save', saved: 'Saved. The next build uses these options.', saving: 'Saving…', back: 'Back to the boards',
  reset: 'Undo changes', changed: (/** @type {number} */ count) => counted(count, 'changed option'),
  range: (/** @type {string} */ low, /** @type {string} */ high) => `${low} to ${high}`,
  help: 'Help',
};
