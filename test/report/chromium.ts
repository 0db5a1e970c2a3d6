/** Pages in a real Chromium, this machine's own: how it is found and driven, and what is asked of a page there. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** EVENKEEL_BROWSER, or one of the usual places. */
const path = [process.env.EVENKEEL_BROWSER ?? places].flat().find(runs);

/** A package may leave a script in its place that only says how to get one. */
function runs(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    execFileSync(file, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Why there is none, or undefined. */
export function chromiumIsMissing(): string | undefined {
  if (path !== undefined) return undefined;
  const reason = 'no Chromium: apt-get install chromium, or its path in EVENKEEL_BROWSER';
  if (process.env.EVENKEEL_REQUIRE_BROWSER) throw new Error(`${reason}; EVENKEEL_REQUIRE_BROWSER wants it`);
  return reason;
}

export function startChromium(): Promise<Browser> {
  // Root has no sandbox.
  return chromium.launch({ executablePath: path, chromiumSandbox: process.getuid?.() !== 0 });
}

const views = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
} as const;

/** Runs in the page: shows what it hides at first, but for what belongs to another width. */
const open = `for (const part of document.querySelectorAll('main details')) part.open = true;`;

/** Runs in the page: what does not fit. */
const findCuts = `(() => {
  const faults = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) faults.push('the page is wider than the screen');
  for (const svg of document.querySelectorAll('svg.chart')) {
    const box = svg.getBoundingClientRect();
    if (box.width === 0) continue;
    for (const text of svg.querySelectorAll('text')) {
      const { left, right } = text.getBoundingClientRect();
      if (left < box.left - 2 || right > box.right + 2) faults.push('cut in a chart: ' + text.textContent);
    }
  }
  for (const part of document.querySelectorAll('.stack, .scroll')) {
    const isCut = part.scrollWidth > part.clientWidth + 1;
    if (isCut && part.className === 'stack') faults.push('cut: ' + part.getAttribute('aria-label'));
    if (isCut && !getComputedStyle(part).backgroundImage.includes('gradient')) faults.push('cut without a hint: ' + part.getAttribute('aria-label'));
  }
  return [...new Set(faults)];
})()`;

/** Runs in the page: what axe-core calls serious or critical, such as a contrast that is too low or a part without a name. */
const findBarriers = (except: readonly string[], only?: readonly string[]) => `axe.run(document, {
  resultTypes: ['violations'], ...${JSON.stringify(only === undefined ? {} : { runOnly: only })}
}).then(({ violations }) =>
  violations
    .filter(({ id, impact }) => (impact === 'serious' || impact === 'critical') && !${JSON.stringify(except)}.includes(id))
    .map(({ id, nodes }) => id + ': ' + nodes.length + ' such as ' + nodes[0].html.slice(0, 200) + ' ' + nodes[0].failureSummary)
)`;

/** Where pages are for the browser, which then lets scripts read them, as it does not from files. */
const origin = 'http://evenkeel.test';

/** What is looked at. */
export interface Shown {
  folder: string;
  /** in the folder */
  file: string;
  /** axe-core's rules that it is let off */
  except?: readonly string[];
}

/**
 * What is wrong with a page, on a desktop and on a phone, in light and in dark: what does not fit, what the console reports, what is asked for beyond
 * its folder, and what bars a reader.
 * @param name of the pictures, where EVENKEEL_SCREENSHOTS names a folder for them
 */
export async function faultsOf(browser: Browser, shown: Shown, name: string): Promise<string[]> {
  const own = await Promise.all(
    Object.entries(views).map(async ([device, view]) => {
      const context = await browser.newContext({ ...view, colorScheme: 'light', reducedMotion: 'reduce' });
      try {
        const page = await context.newPage();
        return (await faultsOfView(page, shown, `${name}-${device}`)).map((fault) => `${device}: ${fault}`);
      } finally {
        await context.close();
      }
    }),
  );
  return own.flat();
}

/** Those of axe-core's rules that look at colours, which alone differ between light and dark. */
const colorRules = ['color-contrast', 'link-in-text-block'];

async function faultsOfView(page: Page, { folder, file, except = [] }: Shown, name: string): Promise<string[]> {
  const faults: string[] = [];
  await listen(page, folder, (fault) => faults.push(fault));
  await page.goto(`${origin}/${file}`);
  await page.evaluate(open);
  faults.push(...((await page.evaluate(findCuts)) as string[]));
  await page.evaluate(axe.source);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const barriers = (await page.evaluate(findBarriers(except, colorScheme === 'light' ? undefined : colorRules))) as string[];
    faults.push(...barriers.map((barrier) => `${colorScheme}, ${barrier}`));
    await picture(page, `${name}-${colorScheme}`);
  }
  return faults;
}

async function listen(page: Page, folder: string, say: (fault: string) => void): Promise<void> {
  page.on('console', (message) => {
    if (message.type() === 'error') say(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => say(`console: ${error.message}`));
  await page.route(/^https?:/, async (route) => {
    const url = new URL(route.request().url());
    const path = join(folder, decodeURIComponent(url.pathname));
    if (url.origin === origin && existsSync(path)) return route.fulfill({ path });
    say(`asks for ${url.href}`);
    return route.abort();
  });
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.EVENKEEL_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, timeout: 0 });
}
