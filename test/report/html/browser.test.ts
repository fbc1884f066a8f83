/**
 * The report in a real browser, where the machine has one: no console errors under its own policy, no requests, charts
 * drawn, legend and save button working. Skipped on a bare machine.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeReport } from '../../../src/report/write.ts';
import { resultFixture } from '../fixture.ts';

const BROWSER = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== undefined && path !== '' && existsSync(path));

describe.skipIf(BROWSER === undefined)('in a browser', () => {
  const result = resultFixture({ repeats: 2, requests: 12 });
  let dir: string;
  let browser: Browser;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lorabench-browser-'));
    await writeReport(dir, result);
    browser = await chromium.launch({ executablePath: BROWSER!, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(async () => {
    await browser.close();
    await rm(dir, { recursive: true, force: true });
  });

  /** Opens the report and brings every chart into view; complaints gather everything that must not happen. */
  async function open(width: number): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const complaints: string[] = [];
    const file = pathToFileURL(join(dir, 'report.html')).href;
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (request.url() !== file && !request.url().startsWith('blob:')) complaints.push(`request ${request.url()}`);
    });
    await page.goto(file);
    for (const plot of await page.locator('[data-chart]').all()) await plot.scrollIntoViewIfNeeded();
    await page.locator('[data-chart]:not(:has(> div))').first().waitFor({ state: 'detached' });
    return { page, complaints };
  }

  test.each([360, 768, 1280])('draws every chart at %d pixels, within the page, without a complaint', async (width) => {
    const { page, complaints } = await open(width);
    expect(await page.locator('[data-chart] > div svg').count()).toBe(await page.locator('[data-chart]').count());
    const overflow = await page
      .locator('html')
      .evaluate((html: { scrollWidth: number; clientWidth: number }) => html.scrollWidth - html.clientWidth);
    expect(overflow).toBe(0);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test('a legend entry, chosen by keyboard, puts one series forward', async () => {
    const { page, complaints } = await open(1280);
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
    await page.close();
  });

  test('the result can be saved as it was', async () => {
    const { page, complaints } = await open(768);
    const waiting = page.waitForEvent('download');
    await page.locator('#save').click();
    const download = await waiting;
    expect(download.suggestedFilename()).toBe('result.json');
    expect(JSON.parse(await readFile(await download.path(), 'utf8'))).toEqual(result);
    expect(complaints).toEqual([]);
    await page.close();
  });
});
