// The page: its frame, its views, and the drawing of both.
import { boards, closeQuestion, dialog } from './boards.js';
import { dashboard, lookAtDashboard } from './dashboard.js';
import { doctor } from './doctor.js';
import { h, show } from './dom.js';
import { files } from './files.js';
import { fault, jobs } from './flash.js';
import { history } from './history.js';
import { options, openOptions } from './options.js';
import { loadView, moonraker, onChange, refusal, state, update } from './state.js';
import { t } from './texts.js';

const VIEWS = /** @type {const} */ (['boards', 'history', 'files', 'doctor']);
const app = /** @type {HTMLElement} */ (document.getElementById('app'));

/** @type {string} */
let loginFault = '';
let themed = false;

function draw() {
  const isOpen = state.link === 'open';
  show(app,
    h('header.top', null,
      h('h1', null, t.title),
      h('span.klipper', null, klipper()),
      h('span.space'),
      h('nav', { 'aria-label': t.title }, VIEWS.map(view => h('a', { href: `#${view}`, 'aria-current': state.view === view ? 'page' : null }, t.views[view]))),
      moonraker.isSignedIn && h('button', { onclick: () => moonraker.signOut() }, t.signOut)),
    h('main', null,
      state.link === 'login' ? login() : [
        !isOpen && h('p.notice', { role: 'status' }, t.link[/** @type {'lost'} */ (state.link)] ?? t.link.connecting),
        isOpen && state.agent === false && h('div.notice.bad', { role: 'alert' }, h('p', null, h('strong', null, t.agentAbsent)), h('p', null, t.agentAbsentRemedy)),
        isOpen && state.agent && state.isOld && h('p.notice', null, t.componentOld),
        state.faults.status && fault(state.faults.status),
        state.klippy.message && h('p.notice', null, state.klippy.message),
        state.before && h('p.notice', { role: 'status' }, state.before.text),
        jobs(),
        state.taken.length > 0 && h('p.notice', null, t.taken(state.taken.join(', '))),
        state.agent === false ? null : view(),
        isOpen && state.agent && state.view === 'boards' && dashboard(),
      ]));
  for (const box of document.querySelectorAll('dialog')) {
    if (!box.open) box.showModal();
  }
}

function view() {
  switch (state.view) {
    case 'history': return h('section', { 'aria-label': t.views.history, key: 'history' }, history());
    case 'files': return h('section', { 'aria-label': t.views.files, key: 'files' }, files(), dialog());
    case 'doctor': return h('section', { 'aria-label': t.views.doctor, key: 'doctor' }, doctor());
    case 'options': return h('section', { 'aria-label': t.optionsOf(state.subject), key: 'options' }, options());
    default: return h('section', { 'aria-label': t.views.boards, key: 'boards' }, boards());
  }
}

const klipper = () => state.link !== 'open' ? '' : t.klipper[/** @type {'ready'} */ (state.klippy.state)] ?? state.klippy.state;

function login() {
  return h('form.card.login', {
    onsubmit: async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
      try {
        await moonraker.signIn(String(form.get('user')), String(form.get('password')));
        loginFault = '';
      } catch (failed) {
        loginFault = refusal(failed).message;
      }
      update();
    },
  },
  h('h2', null, t.link.login),
  h('label', null, t.user, h('input', { name: 'user', autocomplete: 'username', required: true })),
  h('label', null, t.password, h('input', { name: 'password', type: 'password', autocomplete: 'current-password', required: true })),
  loginFault && h('p.bad', { role: 'alert' }, loginFault),
  h('button.primary', null, t.signIn));
}

/** @param {string} text Of the address, which a person can edit. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function route() {
  const [view, subject] = location.hash.slice(1).split('/');
  state.view = [...VIEWS, 'options'].includes(view) ? view : 'boards';
  state.subject = decoded(subject ?? '');
  closeQuestion();
  loadView();
  if (state.view === 'options' && state.link === 'open') openOptions(state.subject);
  update();
}

/** A page of another site may show this one in a frame only where the user allowed that site: a click there would be a click here. */
function isAllowedFrame() {
  if (window.top === window) return true;
  try {
    return Boolean(window.top?.location.origin);   // throws for another origin
  } catch {
    const allowed = (document.querySelector('meta[name=frame-origins]')?.getAttribute('content') ?? '').split(' ');
    const parents = location.ancestorOrigins ? [...location.ancestorOrigins] : [document.referrer && new URL(document.referrer).origin];
    return parents.every(parent => allowed.includes(parent) || parent === location.origin);
  }
}

/** Mainsail and Fluidd keep their mode in Moonraker's database; without it the browser's own preference counts. */
async function adoptTheme() {
  for (const [namespace, key, isDark] of /** @type {[string, string, (value: any) => boolean][]} */ ([
    ['mainsail', 'uiSettings.mode', value => value !== 'light'], ['fluidd', 'uiSettings.theme.isDark', value => value !== false]])) {
    try {
      const { value } = await moonraker.call('server.database.get_item', { namespace, key });
      document.documentElement.dataset.theme = isDark(value) ? 'dark' : 'light';
      return;
    } catch {
      // Not chosen there.
    }
  }
}

if (isAllowedFrame()) {
  onChange(() => {
    draw();
    if (state.link === 'open' && !themed) {
      themed = true;
      if (state.view === 'options') openOptions(state.subject);
      adoptTheme();
      lookAtDashboard();
    }
  });
  addEventListener('hashchange', route);
  // Clocks run only while there is one to see.
  setInterval(() => {
    if ([...state.jobs.values()].some(job => job.state !== 'done') && !document.hidden) update();
  }, 500);
  moonraker.connect();
  route();
} else {
  show(app, h('main', null, h('p.notice', null, t.frame, ' ', h('a', { href: location.href, target: '_blank', rel: 'noopener' }, t.frameLink))));
}
