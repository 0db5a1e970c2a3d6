/** Pages as a browser shows them, on a desktop and on a phone, in light and in dark; skipped where there is no Chromium. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { root } from '../docs/documents';
import { chromiumIsMissing, faultsOf, startChromium } from './chromium';
import { pages, writePage } from './pages';

const missing = chromiumIsMissing();

(missing === undefined ? describe : describe.skip)(`in a browser${missing === undefined ? '' : ` (${missing})`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-browser-'));
  let browser: Browser;
  let site: Promise<unknown>;
  beforeAll(async () => {
    // Beside the tests of the pages, which go before.
    site = makeSite(join(folder, 'site'));
    site.catch(() => {});
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await site.catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(Object.keys(pages))('nothing bars a reader from the page of the %s', async (name) => {
    const shown = { folder: await writePage(folder, name), file: 'index.html' };
    expect(await faultsOf(browser, shown, name.replace(' ', '-'))).toEqual([]);
  });

  // What is widest: tables, code, drawings, and the pages of a class and of a function.
  test.each(['index', 'documents/docs_comparison', 'documents/docs_stability', 'classes/index.LSTM', 'functions/index.fit'])(
    'nothing bars a reader from the API page %s',
    async (name) => {
      await site;
      const shown = { folder: join(folder, 'site'), file: `${name}.html`, except: rulesOfTypedoc };
      expect(await faultsOf(browser, shown, `site-${name.replace('/', '-')}`)).toEqual([]);
    },
  );

  test('a page with faults, which are found', async () => {
    const wide = '<div style="width:500px">a</div><div class="scroll" style="overflow:auto"><div style="width:999px">b</div></div>';
    const rest =
      '<p style="color:#999;background:#fff">pale</p><img src="https://elsewhere.test/a.png" alt="a"><script>console.error("so")</script>';
    const head = '<!doctype html><html lang="en"><title>a</title><meta name="viewport" content="width=device-width">';
    writeFileSync(join(folder, 'faults.html'), head + wide + rest);
    const faults = await faultsOf(browser, { folder, file: 'faults.html' }, 'faults');
    for (const expected of [
      'phone: the page is wider than the screen',
      'phone: cut without a hint: null',
      'desktop: console: so',
      'desktop: asks for https://elsewhere.test/a.png',
      expect.stringMatching(/^phone: dark, color-contrast: 1 such as <p/),
    ]) {
      expect(faults).toContainEqual(expected);
    }
    expect(faults).not.toContain('desktop: the page is wider than the screen');
  });
});

/** What its own theme does: the entries of the navigation that can be opened are links as well. */
const rulesOfTypedoc = ['nested-interactive'];

/** As `npm run docs` does, but that the types were checked elsewhere. */
function makeSite(out: string): Promise<unknown> {
  const typedoc = join(root, 'node_modules/typedoc/bin/typedoc');
  return promisify(execFile)(process.execPath, [typedoc, '--out', out, '--skipErrorChecking', '--logLevel', 'Error'], { cwd: root });
}
