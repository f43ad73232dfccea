// The page in Debian's Chromium, in front of virtual printers.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT, Printer, browser } from './printer.mjs';

const PAGE = join(ROOT, 'moonraker-component', 'page');
const AXE = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

/** A test with a printer of its own, which is gone after it. */
const story = (name, scenario, tell, options = []) => test(name, async () => {
  const printer = await Printer.start(scenario, options);
  try {
    await tell(printer);
  } finally {
    await printer.stop();
  }
});

after(() => browser.close());

const ACCESSIBILITY = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] };

/** @param {import('./printer.mjs').View} view */
async function assertAccessible(view) {
  // The page's own policy lets no script in but its own: this one comes by the browser.
  await view.page.evaluate(AXE);
  const { violations } = await view.page.evaluate(options => axe.run(document, options), ACCESSIBILITY);
  assert.deepEqual(violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).slice(0, 3).join(' ')}`), []);
}

test('the page has less than 150 KB', () => {
  const files = readdirSync(PAGE);
  assert.ok(files.length > 8);
  assert.ok(files.reduce((sum, file) => sum + statSync(join(PAGE, file)).size, 0) < 150_000);
});

story('a flash of three boards is shown from the plan to its three proofs', 'voron', async printer => {
  const view = await printer.open();
  await view.says(/octopus[\s\S]*ebb42[\s\S]*octopus-pro/);
  await assertAccessible(view);
  await view.press('Flash all that need it');
  await view.says('USB DFU');
  await assertAccessible(view);
  assert.equal((await printer.ask('status')).jobs.length, 0);   // a plan touches nothing
  await view.picture('plan');

  // Collects what is drawn, as often as it changes.
  await view.page.evaluate(() => {
    window.drawn = { phases: new Set(), maps: new Set(), crossed: false, clock: false };
    new MutationObserver(() => {
      for (const one of document.querySelectorAll('.phases .now')) window.drawn.phases.add(one.innerText);
      for (const one of document.querySelectorAll('.map')) window.drawn.maps.add(one.getAttribute('aria-label'));
      window.drawn.crossed ||= document.querySelector('.point.crossed') !== null;
      window.drawn.clock ||= /Klipper has been stopped for/.test(document.body.innerText);
    }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  });
  await view.press('Flash');
  await view.says(/Job [0-9a-f]{4}: OK/);
  const drawn = await view.page.evaluate(() => ({ ...window.drawn, phases: [...window.drawn.phases], maps: [...window.drawn.maps] }));
  // A state of less than a tenth of a second may be missing.
  for (const phase of ['erase', 'write', 'verify', 'prove']) assert.ok(drawn.phases.includes(phase), `${phase} in ${drawn.phases}`);
  assert.ok(drawn.maps.some(map => /erased [1-9]/.test(map)), drawn.maps.join('\n'));
  assert.ok(drawn.maps.some(map => /written [1-9]/.test(map)), drawn.maps.join('\n'));
  assert.ok(drawn.maps.some(map => /verified (1 of 1|3 of 3|22 of 22)/.test(map)), drawn.maps.join("\n"));
  assert.deepEqual([drawn.crossed, drawn.clock], [true, true]);
  const text = await view.text();
  assert.equal(text.match(/Read back: equal/g)?.length, 3);
  assert.equal(text.match(/again after a reset/g)?.length, 3);
  assert.match(text, /Klipper was stopped for \d/);
  await assertAccessible(view);
  await view.picture('flashed');

  await view.press('History');
  await view.says('from this page');
  await assertAccessible(view);
  await view.press('Bundle for a bug report');
  await view.says('Download the bundle');
  const bundle = await view.page.evaluate(async () => {
    const link = [...document.querySelectorAll('a')].find(one => one.innerText === 'Download the bundle');
    const bytes = new Uint8Array(await (await fetch(link.href)).arrayBuffer());
    return String.fromCharCode(...bytes.slice(0, 2));
  });
  assert.equal(bundle, 'PK');
  assert.deepEqual(view.errors, []);
  await view.close();
});

story('a second browser and a reload show the same job', 'octopus', async printer => {
  const [first, second] = [await printer.open(), await printer.open({ dark: true })];
  await second.says('octopus');
  await first.press('Flash');
  await first.says('Start address');
  await first.press('Flash');
  await second.says(/Job [0-9a-f]{4}: Running/);
  const [, job] = /Job ([0-9a-f]{4})/.exec(await second.text());
  await first.page.reload();
  await first.says(new RegExp(`Job ${job}: (Running|OK)|Last flash\\s+.*OK`));
  await second.says(`Job ${job}: OK`);
  await assertAccessible(second);
  await first.close();
  await second.close();
});

story('a failure says cause, condition and what to do', 'bad-build', async printer => {
  const view = await printer.open();
  await view.press('Flash');
  await view.says('Start address');
  await view.press('Flash');
  await view.says('This board needs you');
  await view.press('Give up');
  await view.says(/Job [0-9a-f]{4}: FAILED/);
  const text = await view.text();
  assert.match(text, /The board now: the new firmware was written and verified, but/);
  assert.equal(await view.page.evaluate(() => document.querySelector('.job .fault code')?.innerText), 'klipper-silent');
  await view.picture('failed');
  await view.close();
});

story('the operator is shown the step with a picture, and the flash goes on after it', 'h2-person', async printer => {
  const view = await printer.open({ dark: true });
  await view.press('Flash');
  await view.says('Start address');
  await view.press('Flash');
  await view.says('This board needs you');
  await view.says(/Waiting for you/);
  assert.ok(await view.page.evaluate(() => document.querySelectorAll('.step svg').length) >= 1);
  assert.ok(await view.page.evaluate(() => document.querySelectorAll('.step ol li').length) >= 2);
  await assertAccessible(view);
  await view.picture('step');
  await view.says(/Job [0-9a-f]{4}: OK/);
  await view.close();
});

story('a missing fact is chosen, and the plan goes on with it', 'unlisted-in-dfu', async printer => {
  const view = await printer.open();
  await view.press('Flash');
  await view.says('Where does Klipper begin');
  await view.picture('question');
  await view.press('32 KiB bootloader (0x8008000)');
  await view.says('0x08008000');
  await view.press('Flash');
  await view.says(/Job [0-9a-f]{4}: OK/);
  await view.close();
});

story('a printer that goes and comes back is shown again', 'octopus', async printer => {
  const view = await printer.open();
  await view.says('BIGTREETECH');
  await printer.kill();
  await view.says('The connection to Moonraker was lost');
  await printer.run(printer.port);
  await view.page.waitForFunction(() => !document.body.innerText.includes('Reconnecting') && document.body.innerText.includes('Klipper is ready'));
  await view.close();
});

story('without an agent the page says what to do', 'octopus', async printer => {
  const view = await printer.open();
  await view.says('RatOS.Flash is not running on this printer');
  await view.says('systemctl start ratos-flash');
  await assertAccessible(view);
  await view.close();
}, ['--no-agent']);

story('a login is asked for, kept, and given back', 'octopus', async printer => {
  const view = await printer.open();
  await view.says('Moonraker asks for a login');
  await assertAccessible(view);
  const enter = async password => {
    await view.page.$eval('input[name=user]', (input, value) => { input.value = value; }, 'pi');
    await view.page.$eval('input[name=password]', (input, value) => { input.value = value; }, password);
    await view.press('Sign in');
  };
  // A redraw between two fields leaves what was typed in the first.
  await view.page.type('input[name=user]', 'pi');
  await view.page.focus('input[name=password]');
  await view.page.evaluate(() => { location.hash = 'options/%'; });
  await view.page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve, 50))));
  assert.equal(await view.page.$eval('input[name=user]', input => input.value), 'pi');
  await view.page.evaluate(() => { location.hash = 'boards'; });
  assert.deepEqual(view.errors.filter(error => error.includes('URIError')), []);
  await enter('wrong');
  await view.page.waitForSelector('.login .bad');
  await enter('secret');
  await view.says('BIGTREETECH');
  await view.page.reload();
  await view.says('BIGTREETECH');
  await view.press('Sign out');
  await view.says('Moonraker asks for a login');
  await view.close();
}, ['--login', 'pi:secret']);

story('firmware is uploaded, judged, flashed after a confirmation, and deleted', 'octopus', async printer => {
  const view = await printer.open({ hash: '#files' });
  await view.says('The firmware folder is empty');
  const path = join(printer.folder, '‹img src=x›<b>x.bin');
  writeFileSync(path, 'no firmware');
  const input = await view.page.waitForSelector('input[type=file]');
  await input.uploadFile(path);
  await view.says('No firmware that can be flashed');
  assert.equal(await view.page.evaluate(() => document.querySelectorAll('article b').length), 0);
  await assertAccessible(view);
  await view.press('Delete');
  await view.press('Delete ‹img src=x›<b>x.bin?');
  await view.says('The firmware folder is empty');
  const large = join(printer.folder, 'notes.txt');
  writeFileSync(large, 'x');
  await (await view.page.waitForSelector('input[type=file]')).uploadFile(large);
  await view.says('is not a .bin, .uf2 or .elf file');
  await view.close();
});

story('doctor shows findings and their commands', 'octopus', async printer => {
  const view = await printer.open({ hash: '#doctor' });
  await view.says(/\d+ checks, \d+ problems?\./);
  await view.page.waitForSelector('.command');
  await assertAccessible(view);
  await view.close();
});

for (const [name, width, height] of [['phone', 420, 900], ['screen', 1024, 600]]) {
  for (const dark of [false, true]) {
    story(`${name}, ${dark ? 'dark' : 'light'}: nothing reaches beyond the screen`, 'voron', async printer => {
      const view = await printer.open({ width, height, dark });
      for (const [hash, words] of [['boards', 'octopus-pro'], ['history', 'No flash yet'], ['files', 'firmware folder'], ['doctor', /checks?,/]]) {
        await view.page.evaluate(hash => { location.hash = hash; }, hash);
        await view.says(words);
        assert.ok(await view.overflow() <= 0, hash);
        await assertAccessible(view);
        await view.picture(`${name}-${dark ? 'dark' : 'light'}-${hash}`);
      }
      await view.page.evaluate(() => { location.hash = 'boards'; });
      await view.press('Flash all that need it');
      await view.says('USB DFU');
      assert.ok(await view.overflow() <= 0, 'plan');
      await view.close();
    });
  }
}

story('a keyboard is enough', 'octopus', async printer => {
  const view = await printer.open();
  await view.says('BIGTREETECH');
  const focused = () => view.page.evaluate(() => document.activeElement?.innerText);
  for (let i = 0; i < 20 && await focused() !== 'Flash'; i++) await view.page.keyboard.press('Tab');
  assert.equal(await focused(), 'Flash');
  await view.page.keyboard.press('Enter');
  await view.says('Start address');
  assert.ok(await view.page.evaluate(() => document.querySelector('dialog[open]').contains(document.activeElement)));
  await view.page.keyboard.press('Escape');
  await view.page.waitForFunction(() => !document.querySelector('dialog'));
  await view.close();
});

story('a site of another origin cannot frame it, one that the user allowed can', 'octopus', async printer => {
  const site = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end(`<iframe src="${printer.address}" width=900 height=700></iframe>`));
  await new Promise(resolve => site.listen(0, 'localhost', resolve));
  const page = await browser.newPage();
  await page.goto(`http://localhost:${site.address().port}/`);
  const framed = await page.waitForFrame(frame => frame.url() === printer.address);
  await framed.waitForFunction(() => document.body.innerText.includes('cannot be shown inside another site'));
  assert.equal(await framed.evaluate(() => document.querySelectorAll('button').length), 0);
  await page.close();

  // Where the user allowed that site it works.
  const other = await browser.newPage();
  const origin = `http://localhost:${site.address().port}`;
  await other.setRequestInterception(true);
  other.on('request', async request => {
    if (request.url() !== printer.address) return request.continue();
    const html = await (await fetch(printer.address)).text();
    assert.ok(html.includes('<meta name="frame-origins" content="">'));
    request.respond({ contentType: 'text/html', body: html.replace('"frame-origins" content=""', `"frame-origins" content="${origin}"`) });
  });
  await other.goto(`${origin}/`);
  const allowed = await other.waitForFrame(frame => frame.url() === printer.address);
  await allowed.waitForFunction(() => document.body.innerText.includes('BIGTREETECH'));
  await other.close();
  site.close();
});

story('a browser that lacks its syntax says so', 'octopus', async printer => {
  const view = await printer.open({
    before: async page => {
      await page.setRequestInterception(true);
      page.on('request', request => request.url().endsWith('/main.js')
        ? request.respond({ contentType: 'text/javascript', body: 'const a = b ?? ?? c;' }) : request.continue());
    },
  });
  await view.says('This page needs a browser of 2020 or later');
  await view.close();
});

story('a file that does not arrive is told', 'octopus', async printer => {
  const view = await printer.open({
    before: async page => {
      await page.setRequestInterception(true);
      page.on('request', request => request.url().endsWith('/main.js') ? request.abort() : request.continue());
    },
  });
  await view.says('A file of this page could not be loaded');
  await view.close();
});

/** Answers of the agent, changed on their way into the page: `change` gets each result and what was asked, and may give another result.
 * `window.say` brings the page a message as if it came from Moonraker. */
const changed = change => page => page.evaluateOnNewDocument(`{
  const change = ${change}, asked = window.asked = new Map();
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (text) {
    const { id, params } = JSON.parse(text);
    asked.set(id, { method: params?.method, ...params?.arguments });
    send.call(this, text);
  };
  const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', { set(handler) {
    window.say = message => handler({ data: JSON.stringify(message) });
    set.call(this, event => {
      const message = JSON.parse(event.data);
      const other = change(message.result ?? {}, asked.get(message.id) ?? {});
      if (other) [message.result, message.error] = [other, undefined];
      handler({ data: JSON.stringify(message) });
    });
  } });
}`);

/** A small menu, in the shapes of the agent's request `options`. Its evaluation by Klipper's kconfiglib has tests beside the agent. */
const MENU = `(_, { method, set, save }) => method !== 'options' ? null : ({ ok: true, options: { board: 'octopus', klipper: 'v0.13.0', kept: false,
  saved: save && !set.SERIAL_BAUD, changed: Object.keys(set),
  refused: set.SERIAL_BAUD ? [{ name: 'SERIAL_BAUD', value: set.SERIAL_BAUD, reason: 'not between 9600 and 2000000' }] : [],
  nodes: [
    { kind: 'bool', name: 'LOW_LEVEL_OPTIONS', prompt: 'Enable extra low-level configuration options', value: set.LOW_LEVEL_OPTIONS ?? 'n', help: 'More <b>options</b>' },
    { kind: 'choice', prompt: 'Bootloader offset', assignable: true, value: set.STM32_FLASH_START_2000 ? 'STM32_FLASH_START_2000' : 'STM32_FLASH_START_8000',
      board: 'application at 08008000, by its running firmware',
      options: [{ name: 'STM32_FLASH_START_2000', prompt: '8KiB bootloader' }, { name: 'STM32_FLASH_START_8000', prompt: '32KiB bootloader' }] },
    { kind: 'menu', prompt: 'Optional features', nodes: [{ kind: 'int', name: 'SERIAL_BAUD', prompt: 'Baud rate', value: '250000', range: ['9600', '2000000'] }] },
  ] } })`;

story('firmware options are changed together, a refused value is told, and only Save keeps them', 'octopus', async printer => {
  const view = await printer.open({ before: changed(MENU) });
  await view.says('BIGTREETECH');
  await view.press('Firmware options');
  await view.says('application at 08008000, by its running firmware');
  await assertAccessible(view);
  await view.page.click('#option-LOW_LEVEL_OPTIONS');
  await view.says('1 changed option');
  await view.page.select('.option select', 'STM32_FLASH_START_2000');
  await view.says('2 changed options');
  await view.page.$eval('#option-SERIAL_BAUD', input => input.select());
  await view.page.type('#option-SERIAL_BAUD', '7');
  await view.page.keyboard.press('Tab');
  await view.says('SERIAL_BAUD: not between 9600 and 2000000');
  const asked = () => view.page.evaluate(() => [...window.asked.values()].filter(one => one.method === 'options'));
  assert.ok((await asked()).every(one => !one.save));
  await view.page.click('.help[aria-expanded=false]');
  await view.says('More <b>options</b>');
  await view.picture('options');
  await view.press('Save');
  await view.says('Saved. The next build uses these options.');
  const { board, set, save } = (await asked()).at(-1);
  assert.deepEqual([board, set, save], ['octopus', { LOW_LEVEL_OPTIONS: 'y', STM32_FLASH_START_2000: 'y' }, true]);
  assert.deepEqual(view.errors, []);
  await view.close();
});

story('firmware options without sources of Klipper say what to do, and Back returns', 'octopus', async printer => {
  const view = await printer.open({ hash: '#options/octopus' });
  await view.says('klipper_path');
  assert.equal(await view.page.evaluate(() => document.querySelector('.fault code')?.innerText), 'not-a-klipper-tree');
  await assertAccessible(view);
  await view.press('Doctor');
  await view.page.waitForFunction(() => location.hash === '#doctor');
  await view.page.goBack();
  await view.says('klipper_path');
  await view.close();
});

story('a recovery, a rollback and a look at the boards ask first', 'octopus', async printer => {
  const view = await printer.open({
    before: changed(`result => { if (result.klippy) result.before = { text: 'After the update of Klipper that Moonraker offers, the board needs new firmware.' }; }`),
  });
  await view.says('BIGTREETECH');
  await view.says('After the update of Klipper that Moonraker offers');   // an update that is offered is said before it
  for (const [button, words] of [['Recover', 'A board that works is left alone'], ['Roll back', 'Roll back octopus?']]) {
    await view.press(button);
    await view.says(words);
    await view.press('Close');
    await view.page.waitForFunction(() => !document.querySelector('dialog'));
  }
  const asked = () => view.page.evaluate(() => [...window.asked.values()].map(one => one.method).filter(method => ['flash', 'recover', 'identify'].includes(method)));
  assert.deepEqual(await asked(), []);
  await view.press('Identify all boards');
  await view.says('Nothing is written');
  await view.press('Identify');
  await view.says(/Job [0-9a-f]{4}: OK/);
  assert.deepEqual(await asked(), ['identify']);
  await view.close();
});

story('a button stays itself when a line comes and goes above it', 'octopus', async printer => {
  const view = await printer.open({
    before: changed(`result => {
      if (result.boards && window.blocked) result.boards[0].findings = [{ severity: 'blocker', code: 'printing', text: 'The printer prints.', remedy: '' }];
      else if (result.boards) result.boards[0].findings = [];
    }`),
  });
  await view.says('BIGTREETECH');
  const button = await view.page.evaluateHandle(() => [...document.querySelectorAll('article button')].find(one => one.innerText === 'Recover'));
  const reload = isBlocked => view.page.evaluate(isBlocked => {
    window.blocked = isBlocked;
    window.say({ method: 'notify_agent_event', params: [{ agent: 'ratos_flash', event: 'connected' }] });
  }, isBlocked);
  await reload(true);
  await view.says('The printer prints.');
  assert.deepEqual(await button.evaluate(one => [one.isConnected, one.innerText]), [true, 'Recover']);
  await reload(false);
  await view.page.waitForFunction(() => !document.body.innerText.includes('The printer prints.'));
  assert.deepEqual(await button.evaluate(one => [one.isConnected, one.innerText]), [true, 'Recover']);
  await view.close();
});

story('46 boards with odd names and 1,000 jobs are shown, and no name is HTML', 'octopus', async printer => {
  const view = await printer.open({
    before: changed(`result => {
      if (result.boards) result.boards = Array.from({ length: 46 }, (_, i) => ({ ...result.boards[0], board: 'b' + i + '<img src=x onerror=window.hit=1>', reason: '<script>window.hit=1</script>' }));
      if (result.jobs && !result.version) result.jobs = Array.from({ length: 1000 }, (_, i) => ({ job: String(i).padStart(4, '0'), state: 'done', ok: i % 2 === 0,
        by: '<b>x', created: '2026-11-30T04:00:00Z', elapsed: 1, boards: [{ board: 'b<i>', phase: 'done', message: 'runs', ok: true, newVersion: '<u>' }] }));
    }`),
  });
  await view.says(/46 boards/);
  assert.equal(await view.page.evaluate(() => document.querySelectorAll('article.card').length), 46);
  await view.press('History');
  await view.page.waitForFunction(() => document.querySelectorAll('.history > li').length === 1000);
  assert.equal(await view.page.evaluate(() => document.querySelectorAll('main img, main script, main i:not([class]), main u, main b').length), 0);
  assert.equal(await view.page.evaluate(() => window.hit), undefined);
  assert.ok(await view.overflow() <= 0);
  await view.close();
});
