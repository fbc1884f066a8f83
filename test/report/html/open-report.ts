/**
 * A report as its reader has it open: in a real browser, from a file, with everything written down that must not happen.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';

/** What a page looked like to its reader. */
export interface Looks {
  width?: number;
  theme?: 'light' | 'dark';
  /** Such as "#theme=dark". */
  fragment?: string;
  scripts?: boolean;
}

export interface OpenReport {
  page: Page;
  /** Messages on the console, errors, requests to anywhere. */
  complaints: string[];
  close: () => Promise<void>;
}

/** A file that lives until the tests of a file are over. */
export function savedPage(html: string): { file: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'lorabench-report-'));
  const file = join(folder, 'report.html');
  writeFileSync(file, html);
  return { file, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Opens it and waits until its scripts have done what they do at the start. */
export async function openReport(
  browser: Browser,
  file: string,
  { width = 1280, theme = 'light', fragment = '', scripts = true }: Looks = {},
): Promise<OpenReport> {
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: theme,
    javaScriptEnabled: scripts,
    acceptDownloads: true,
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  context.on('request', (request) => {
    const to = request.url().split('#')[0]!;
    if (to !== url && !to.startsWith('blob:')) complaints.push(`request ${to}`);
  });
  await page.goto(url + fragment);
  if (scripts) await page.waitForFunction('document.documentElement.dataset.ready === "yes"');
  return { page, complaints, close: () => context.close() };
}

/** Brings every chart into view and waits until it is drawn. */
export async function drawAll(page: Page): Promise<void> {
  for (const plot of await page.locator('[data-chart]:visible').all()) await plot.scrollIntoViewIfNeeded();
  await page.locator('[data-chart]:visible:not(:has(> div))').first().waitFor({ state: 'detached' });
}

/** Pixels by which the page is wider than its window. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');

/** What axe-core finds: a rule with the first elements that break it. */
export async function axeFaults(page: Page): Promise<string[]> {
  const source = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  // By the debugger's way in, which the page's policy does not bind.
  const { readFileSync } = await import('node:fs');
  await page.evaluate(readFileSync(source, 'utf8'));
  return page.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, impact, nodes }) => id + ' (' + impact + '): ' + nodes.slice(0, 3).map(({ target, failureSummary }) => target + ' ' + failureSummary.split('\\n')[1]).join(' | ')))`);
}
