// A virtual printer with its own Moonraker, agent and page, and a browser in front of it. Nothing waits for a fixed time.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const PICTURES = join(ROOT, 'artifacts', 'page');
const PATIENCE = Number(process.env.PATIENCE ?? 120_000);   // ms; a machine may have a load of 30
// The newest build.
const PROGRAM = process.env.RATOS_FLASH ?? ['Release', 'Debug'].map(kind => join(ROOT, `src/RatOS.Flash.Agent/bin/${kind}/net10.0/ratos-flash.dll`))
  .filter(existsSync).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]?.replace(/\.dll$/, '') ?? 'ratos-flash';
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

mkdirSync(PICTURES, { recursive: true });

export const browser = await puppeteer.launch({
  executablePath: CHROMIUM, headless: true, protocolTimeout: PATIENCE,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-proxy-server',
    '--disable-features=LocalNetworkAccessChecks',   // a frame that a test changes on its way counts as one from the internet
  ],
});

/** A running `ratos-flash virtual`. */
export class Printer {
  /** @param {string} scenario @param {string[]} options */
  static async start(scenario, options = []) {
    const printer = new Printer();
    printer.folder = mkdtempSync(join(tmpdir(), 'rf-page-'));
    printer.options = ['virtual', '--scenario', scenario, '--folder', join(printer.folder, 'v'), '--data', join(printer.folder, 'd'), '--pace', '10',
      ...options];
    await printer.run('0');
    return printer;
  }

  /** @param {string} port 0 for any. */
  async run(port) {
    const child = this.child = spawn(PROGRAM, [...this.options, '--moonraker', port], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.address = await new Promise((resolve, reject) => {
      let said = '';
      const hear = data => {
        said += data;
        const found = /^Page: (\S+)$/m.exec(said);
        if (found) resolve(found[1]);
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.on('exit', code => reject(new Error(`ratos-flash virtual ended with ${code}: ${said}`)));
    });
    this.port = new URL(this.address).port;
  }

  async kill() {
    const gone = new Promise(resolve => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A request to the agent, as any other client. */
  async ask(method, args = {}) {
    const answer = await fetch(`http://127.0.0.1:${this.port}/server/extensions/request`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ agent: 'ratos_flash', method, arguments: args }),
    });
    return (await answer.json()).result;
  }

  /** The page in a new browser of its own. @param {{width?: number, height?: number, dark?: boolean, hash?: string, before?: (page: any) => Promise<void>}} [how] */
  async open(how = {}) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const view = new View(page, context);
    page.on('pageerror', error => view.errors.push(String(error)));
    page.on('console', message => message.type() === 'error' && view.errors.push(message.text()));
    await page.setViewport({ width: how.width ?? 1280, height: how.height ?? 900 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: how.dark ? 'dark' : 'light' }]);
    await how.before?.(page);
    await page.goto(this.address + (how.hash ?? ''), { waitUntil: 'load', timeout: PATIENCE });
    return view;
  }
}

/** A page as a person sees it: by its texts and its buttons. */
export class View {
  /** @type {string[]} */ errors = [];

  constructor(page, context) {
    [this.page, this.context] = [page, context];
  }

  text() {
    return this.page.evaluate(() => document.body.innerText);
  }

  /** Waits until the page says something. @param {string | RegExp} words */
  async says(words) {
    const [source, flags] = words instanceof RegExp ? [words.source, words.flags] : [words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), ''];
    try {
      await this.page.waitForFunction((source, flags) => new RegExp(source, flags).test(document.body.innerText), {}, source, flags);
    } catch (late) {
      throw new Error(`The page never says ${words}. It says:\n${await this.text()}\n${late}`);
    }
  }

  /** Waits for a button or a link that can be pressed, in the open dialog if there is one, and presses it. @param {string} label */
  async press(label) {
    const find = () => this.page.waitForFunction(label => [...(document.querySelector('dialog[open]') ?? document).querySelectorAll('button, a')]
      .find(one => one.innerText.trim() === label && !one.disabled && one.offsetParent !== null) ?? false, {}, label).catch(async late => {
      throw new Error(`There is no ${label} to press. The page says:\n${await this.text()}\n${late}`);
    });
    for (let found = await find(); ; found = await find()) {
      try {
        await found.evaluate(one => one.scrollIntoView({ block: 'center' }));
        await found.click();
        return;
      } catch (gone) {
        if (await found.evaluate(one => one.isConnected)) throw gone;   // a view that was drawn again in between has another of that name
      }
    }
  }

  /** @param {string} name */
  async picture(name) {
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`) });
  }

  /** Nothing reaches beyond the right edge of the screen. */
  async overflow() {
    return this.page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
  }

  async close() {
    await this.context.close();
  }
}
