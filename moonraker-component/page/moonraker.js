// Moonraker's websocket at the page's own origin (moonraker: docs/external_api), and the agent behind it.

const AGENT = 'ratos_flash';
const PAGE = '/server/ratos_flash/page';
const ANSWER_LIMIT = 20_000;   // ms; Moonraker itself has no limit
const LONGEST_PAUSE = 10_000;  // ms between attempts to connect

/** The path in front of Moonraker's own: its `route_prefix`, or that of a proxy for several printers. */
export const prefix = location.pathname.includes(PAGE) ? location.pathname.slice(0, location.pathname.indexOf(PAGE)) : '';
const STORED = `ratos-flash.refresh${prefix}`;

/** A refusal of the agent or of Moonraker, with what to do about it. */
export class Refusal extends Error {
  /** @param {{code?: string, cause: string, remedy?: string, question?: any}} fault */
  constructor(fault) {
    super(fault.cause);
    this.code = fault.code ?? '';
    this.remedy = fault.remedy ?? '';
    this.question = fault.question ?? null;
  }
}

/**
 * The connection. It reconnects by itself, and tells its listener of each change:
 * `open`, `lost`, `login` (a user has to sign in), and `notify` with Moonraker's notifications.
 */
export class Moonraker {
  /** @type {WebSocket | null} */
  #socket = null;
  #next = 1;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (fault: Error) => void, timer: number}>} */
  #waiting = new Map();
  #pause = 500;
  #token = '';

  /** @param {(event: string, method?: string, params?: any) => void} listener */
  constructor(listener) {
    this.listener = listener;
  }

  connect() {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}${prefix}/websocket`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#pause = 500;
      this.#enter();
    };
    socket.onmessage = event => this.#receive(String(event.data));
    socket.onclose = () => {
      for (const { reject, timer } of this.#waiting.values()) {
        clearTimeout(timer);
        reject(new Refusal({ code: 'connection-lost', cause: 'The connection to Moonraker was lost.' }));
      }
      this.#waiting.clear();
      this.listener('lost');
      setTimeout(() => this.connect(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    };
  }

  /**
   * A method of Moonraker.
   * @param {string} method
   * @param {Record<string, any>} [params]
   * @returns {Promise<any>}
   */
  call(method, params = {}) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        reject(new Refusal({ code: 'connection-lost', cause: 'There is no connection to Moonraker.' }));
        return;
      }
      const id = this.#next++;
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Refusal({ code: 'no-answer', cause: `Moonraker did not answer within ${ANSWER_LIMIT / 1000} s.` }));
      }, ANSWER_LIMIT);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', method, params, id }));
    });
  }

  /**
   * A request to the agent (docs/agent-api.md).
   * @param {string} method
   * @param {Record<string, any>} [args]
   * @returns {Promise<any>} Its answer, which is `ok`.
   */
  async ask(method, args) {
    const answer = await this.call('server.extensions.request', { agent: AGENT, method, arguments: args ?? {} });
    if (!answer?.ok) throw new Refusal(answer?.error ?? { cause: 'The agent gave no answer.' });
    return answer;
  }

  /** @param {string} username @param {string} password */
  async signIn(username, password) {
    const { token, refresh_token: refresh } = await this.call('access.login', { username, password });
    this.#token = token;
    localStorage.setItem(STORED, refresh);
    this.#socket?.close();   // identified connections stay what they were
  }

  async signOut() {
    localStorage.removeItem(STORED);
    this.#token = '';
    await this.call('access.logout').catch(() => {});
    this.#socket?.close();
  }

  get isSignedIn() {
    return this.#token !== '';
  }

  /**
   * A file for download, or a list, by HTTP.
   * @param {string} path Of Moonraker, from `/server` on.
   * @param {RequestInit} [request]
   */
  async fetch(path, request = {}) {
    const send = () => fetch(prefix + path, { ...request, headers: this.#token ? { Authorization: `Bearer ${this.#token}` } : undefined });
    let response = await send();
    if (response.status === 401 && this.#token) {   // it is valid for an hour
      await this.#renew();
      response = await send();
    }
    if (!response.ok) {
      const told = await response.json().catch(() => null);
      throw new Refusal({ cause: told?.error?.message ?? `Moonraker answered ${response.status} ${response.statusText}.` });
    }
    return response;
  }

  async #enter() {
    const identity = { client_name: 'RatOS.Flash page', version: '1', type: 'web', url: location.origin + location.pathname };
    try {
      await this.#renew();
      await this.call('server.connection.identify', this.#token ? { ...identity, access_token: this.#token } : identity);
      this.listener('open');
    } catch (fault) {
      if (fault instanceof Refusal && fault.code === 'connection-lost') return;
      this.#token = '';
      this.listener(fault instanceof Refusal && /unauthorized|token|jwt/i.test(fault.message) ? 'login' : 'open');
    }
  }

  /** A token for this session from the one that is kept, where a user has signed in. */
  async #renew() {
    const refresh = localStorage.getItem(STORED);
    if (!refresh) return;
    try {
      this.#token = (await this.call('access.refresh_jwt', { refresh_token: refresh })).token;
    } catch (fault) {
      if (!(fault instanceof Refusal) || fault.code === 'connection-lost') throw fault;
      localStorage.removeItem(STORED);   // the user was removed, or the token is too old
    }
  }

  /** @param {string} text */
  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message === null || typeof message !== 'object') return;
    if (message.method) {
      this.listener('notify', message.method, Array.isArray(message.params) ? message.params : []);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) waiting.reject(refusalOf(message.error));
    else waiting.resolve(message.result);
  }
}

/** @param {{code?: number, message?: string}} error */
function refusalOf(error) {
  const cause = error.message ?? 'Moonraker refused the request.';
  // The second is said of an agent that leaves while it is asked.
  return /agent .*not connected|client socket disconnected/i.test(cause)
    ? new Refusal({ code: 'agent-absent', cause: 'RatOS.Flash is not running.', remedy: 'Start the service ratos-flash.' })
    : new Refusal({ code: String(error.code ?? ''), cause });
}
