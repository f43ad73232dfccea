// The page as a "webcam" of Mainsail's and Fluidd's dashboard: the one place where they show a page of others. Off unless it is asked for.
import { h } from './dom.js';
import { prefix } from './moonraker.js';
import { moonraker, refusal, state, update } from './state.js';
import { t } from './texts.js';

const NAME = 'Firmware';
const ADDRESS = `${prefix}/server/ratos_flash/page`;

/** Null while it is not known. @type {boolean | null} */
let isShown = null;

export async function lookAtDashboard() {
  try {
    const { webcams } = await moonraker.call('server.webcams.list');
    isShown = webcams.some((/** @type {any} */ webcam) => webcam.name === NAME && webcam.stream_url === ADDRESS);
  } catch {
    isShown = null;   // this Moonraker has no webcams
  }
  update();
}

export const dashboard = () => isShown === null || window.top !== window ? null : h('footer', null,
  h('button', { key: 'toggle', onclick: toggle }, isShown ? t.dashboardOff : t.dashboard), h('span.quiet', null, t.dashboardText));

async function toggle() {
  try {
    if (isShown) await moonraker.call('server.webcams.delete_item', { name: NAME });
    else await moonraker.call('server.webcams.post_item', { name: NAME, service: 'iframe', stream_url: ADDRESS, snapshot_url: '', aspect_ratio: '4:3' });
  } catch (fault) {
    state.faults.status = refusal(fault);
  }
  await lookAtDashboard();
}
