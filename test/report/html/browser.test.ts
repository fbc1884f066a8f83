/**
 * The report in a real browser: under its own policy, without a network, at every width and on either ground, with every control
 * used and with no script at all.
 */
import { readFile } from 'node:fs/promises';
import type { Browser, Download, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { htmlReport } from '../../../src/report/html/page.ts';
import { startChromium } from '../../support/chromium.ts';
import { resultFixture } from '../fixture.ts';
import { readCsv } from '../read-csv.ts';
import { axeFaults, drawAll, openReport, overflow, savedPage } from './open-report.ts';

const result = resultFixture({ repeats: 2, requests: 12, slo: { ttftMs: 250, itlMs: 60 } });
let browser: Browser;
let saved: ReturnType<typeof savedPage>;

beforeAll(async () => {
  browser = await startChromium();
  saved = savedPage(await htmlReport(result));
});
afterAll(async () => {
  await browser?.close();
  saved?.remove();
});

describe('the report in a browser', () => {
  test.each([
    [360, 'light'],
    [768, 'dark'],
    [1280, 'light'],
  ] as const)(
    'draws every chart at %d pixels on %s ground, within the page, without a complaint',
    async (width, theme) => {
      const { page, complaints, close } = await openReport(browser, saved.file, { width, theme });
      await drawAll(page);
      expect(await overflow(page)).toBe(0);
      expect(complaints).toEqual([]);
      await close();
    },
  );

  test.each(['light', 'dark'] as const)('has nothing that axe-core finds, on %s ground', async (theme) => {
    const { page, close } = await openReport(browser, saved.file, { theme });
    await openFolds(page);
    expect(await axeFaults(page)).toEqual([]);
    await close();
  });

  test('reads without a script: drawings are there, and nothing that needs one is shown', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file, { scripts: false });
    expect(await page.locator('[data-chart] > svg').count()).toBe(await page.locator('[data-chart]').count());
    expect(await page.locator('.scripted:visible').count()).toBe(0);
    expect(await page.locator('button:visible, select:visible').count()).toBe(0);
    expect(complaints).toEqual([]);
    await close();
  });

  test('takes every choice of every list, every box and every button without a complaint', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    await openFolds(page);
    for (const list of await page.locator('select').all()) {
      if (!(await list.isVisible())) continue;
      const values = await list
        .locator('option')
        .evaluateAll((options: { value: string }[]) => options.map(({ value }) => value));
      // Long lists at their ends and in the middle: each choice draws.
      for (const i of [...new Set([values.length - 1, Math.floor(values.length / 2), 0])])
        await list.selectOption(values[i]!);
    }
    for (const box of await page.locator('input[type=checkbox]:visible').all()) await box.click();
    for (const button of await page.locator('button:visible:not(.csv):not(#save)').all()) {
      if (await button.isEnabled()) await button.click();
    }
    await page.waitForTimeout(300);
    expect(complaints).toEqual([]);
    await close();
  });

  test('a legend entry, chosen by keyboard, puts one series forward', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    const key = page.locator('.legend button').first();
    const faded = page.locator('.group').first().locator('svg path[opacity="0.12"], svg path[stroke-opacity="0.12"]');
    expect(await faded.count()).toBe(0);
    await key.focus();
    await page.keyboard.press('Enter');
    await faded.first().waitFor({ state: 'attached' });
    expect(await key.getAttribute('aria-pressed')).toBe('true');
    await key.click();
    await faded.first().waitFor({ state: 'detached' });
    expect(complaints).toEqual([]);
    await close();
  });

  test('the whole result can be saved as it was', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    const download = await clicked(page, () => page.locator('#save').click());
    expect(download.suggestedFilename()).toBe('result.json');
    expect(JSON.parse(await readFile(await download.path(), 'utf8'))).toEqual(result);
    expect(complaints).toEqual([]);
    await close();
  });

  test('every chart has its data as CSV, with titles, and no two files one name', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    await openFolds(page);
    await page.locator('#overlay').scrollIntoViewIfNeeded();
    await page.locator('#overlay .plot svg').waitFor();
    await page.locator('#explore').scrollIntoViewIfNeeded();
    await page.locator('#explore .plot svg').waitFor();
    const download = await clicked(page, () => page.locator('.csv').first().click());
    expect(download.suggestedFilename()).toBe('tpot-p50-1.csv');
    expect(readCsv(await readFile(await download.path(), 'utf8'))[0]).toMatchObject({
      load: 'concurrency 1',
      adapters: '0',
      'TPOT p50 (× base)': '1',
    });

    // A browser lets a page save ten files; the others are looked at before they are handed to it.
    await page.evaluate(`globalThis.files = [];
      HTMLAnchorElement.prototype.click = function () { globalThis.files.push([this.download, globalThis.last.text()]); };
      const create = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (blob) => { globalThis.last = blob; return create(blob); };
      for (const button of document.querySelectorAll('figure:not([hidden]) .csv')) button.click();`);
    const files = await page.evaluate<[string, string][]>(
      'Promise.all(globalThis.files.map(async ([name, text]) => [name, await text]))',
    );
    expect(files.length).toBe(await page.locator('figure:not([hidden]):has(.plot)').count());
    expect(new Set(files.map(([name]) => name)).size).toBe(files.length);
    for (const [name, text] of files) {
      const rows = readCsv(text);
      expect(rows.length, name).toBeGreaterThan(0);
      expect(Object.keys(rows[0]!).length, name).toBeGreaterThan(1);
    }
    expect(complaints).toEqual([]);
    await close();
  });

  test('a link shows what its sender chose: figure, axis and ground', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    await page.locator('select[name="x.figure"]').selectOption('cost tpot p50');
    await page.locator('select[name="x.axis"]').selectOption('adapters');
    await page.locator('select[name="x.lines"]').selectOption('load');
    await page.locator('#theme').click();
    const { hash } = new URL(page.url());
    const other = await openReport(browser, saved.file, { fragment: hash });
    for (const [name, value] of Object.entries({ figure: 'cost tpot p50', axis: 'adapters', lines: 'load' })) {
      expect(await other.page.locator(`select[name="x.${name}"]`).inputValue()).toBe(value);
    }
    expect(await other.page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
    await other.page.locator('#explore').scrollIntoViewIfNeeded();
    await other.page.locator('#explore .plot svg').waitFor();
    expect(await other.page.locator('#explore .plot').getAttribute('aria-label')).toMatch(
      /^TPOT p50, × base against adapters/,
    );
    expect(await other.page.locator('#explore .legend li').allTextContents()).toEqual([
      'concurrency 1',
      'concurrency 4',
    ]);
    expect([...complaints, ...other.complaints]).toEqual([]);
    await close();
    await other.close();
  });
});

describe('the report in a browser, with names that came from a hostile server', () => {
  test('shows them as text in every section that a script fills', async () => {
    const HOSTILE = '</script><img src=x onerror=alert(1)>"\'&<!--';
    const hostile = resultFixture({
      adapters: [0, 4],
      model: HOSTILE,
      adapterName: (i) => `${HOSTILE}${i}`,
      requests: 20,
    });
    const other = savedPage(await htmlReport(hostile));
    const { page, complaints, close } = await openReport(browser, other.file);
    page.on('dialog', () => complaints.push('a dialog'));
    await openFolds(page);
    for (const section of ['#explore', '#slo', '#overlay', '#close-up']) {
      await page.locator(section).scrollIntoViewIfNeeded();
    }
    await page.locator('[data-close="waterfall"] > div svg').waitFor();
    expect(await page.locator('[data-close="waterfall"]').getAttribute('aria-label')).toContain(HOSTILE);
    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
    await close();
    other.remove();
  });
});

describe('what the reader steers', () => {
  test('stays in the address when they follow a link within the page, which unfolds what it names', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file, { fragment: '#d.form=tail' });
    await page.evaluate('document.getElementById("histograms").open = false');
    await page.locator('#cells a').last().click();
    expect(new URL(page.url()).hash).toBe('#d.form=tail');
    expect(await page.locator('#cell-engine-c8').isVisible()).toBe(true);
    expect(complaints).toEqual([]);
    await close();
  });

  test('limits of their own decide which loads are within', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file, {
      fragment: '#s.stat=p50&s.ttft=100000&s.tpot=1',
    });
    const cells = page.locator('#slo tbody td');
    await page.locator('#slo').scrollIntoViewIfNeeded();
    expect(await page.locator('#slo tbody td.beyond').count()).toBe(result.cells.length);
    expect(await cells.first().textContent()).toBe('none measured');
    await page.locator('#slo input').nth(1).fill('100000');
    expect(await page.locator('#slo tbody td.within').count()).toBe(result.cells.length);
    expect(await cells.first().textContent()).toBe('concurrency 4, or more');
    expect(new URL(page.url()).hash).toContain('s.tpot=100000');
    expect(complaints).toEqual([]);
    await close();
  });

  test('any cells lie over each other, as picked, and a link has them', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file, {
      fragment: '#d.metric=e2e&d.form=tail&d.cells=c1,c8',
    });
    await page.locator('#overlay').scrollIntoViewIfNeeded();
    await page.locator('#overlay .plot svg').waitFor();
    expect(await page.locator('#overlay .legend li').allTextContents()).toEqual([
      'base, concurrency 1',
      '32 adapters, concurrency 4',
    ]);
    await page.getByRole('checkbox', { name: '8 adapters, concurrency 1', exact: true }).click();
    expect(await page.locator('#overlay tbody tr').count()).toBe(3);
    expect(decodeURIComponent(page.url())).toContain('d.cells=c1,c5,c8');
    expect(complaints).toEqual([]);
    await close();
  });

  test('another run comes up close, with its own words and numbers', async () => {
    const { page, complaints, close } = await openReport(browser, saved.file);
    await page.locator('#close-up').scrollIntoViewIfNeeded();
    await page.locator('[data-close="tokens"] svg').waitFor();
    await page.locator('select[name="c.cell"]').selectOption('c1');
    await page.locator('select[name="c.run"]').selectOption('2');
    expect(await page.locator('#close-up-place').textContent()).toMatch(/^c1: base, concurrency 1, run 2 of 2/);
    expect(await page.locator('[data-figure="adapters-ttft"]').isVisible()).toBe(false);
    const label = await page.locator('[data-close="waterfall"]').getAttribute('aria-label');
    expect(label).toMatch(/requests that took longest: the longest, #\d+ \(base\), took/);
    expect(new URL(page.url()).hash).toBe('#c.cell=c1&c.run=2');
    expect(complaints).toEqual([]);
    await close();
  });
});

async function clicked(page: Page, click: () => Promise<void>): Promise<Download> {
  const waiting = page.waitForEvent('download');
  await click();
  return waiting;
}

const openFolds = (page: Page): Promise<void> =>
  page.evaluate('for (const fold of document.querySelectorAll("details")) fold.open = true');
