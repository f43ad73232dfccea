// First paint of the page beside a front end's, in turns, in a browser without a cache. Not a test.
//   RATOS_FLASH=PROGRAM node paint.mjs http://ADDRESS-OF-A-FRONT-END/
import { Printer, browser } from './printer.mjs';

const ROUNDS = 9;
const printer = await Printer.start('octopus');
const addresses = [printer.address, ...process.argv.slice(2)];
const times = new Map(addresses.map(address => [address, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const address of addresses) {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.evaluateOnNewDocument(() => {
      new PerformanceObserver(list => { window.painted ??= list.getEntriesByName('first-contentful-paint')[0]?.startTime; })
        .observe({ type: 'paint', buffered: true });
    });
    await page.goto(address, { waitUntil: 'domcontentloaded', timeout: 120_000 });
    const painted = await page.waitForFunction(() => window.painted, { timeout: 120_000 });
    times.get(address).push(await painted.jsonValue());
    await context.close();
  }
}
const median = all => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
for (const [address, all] of times) console.log(`${address}: ${median(all).toFixed(0)} ms, ${(median(times.get(printer.address)) / median(all)).toFixed(2)}`);
await printer.stop();
await browser.close();
