/**
 * A Chromium for tests of the report. Out: the browser, started.
 *
 * The one that `npm ci` brought (@sparticuz/chromium, with the libraries it comes with where the machine lacks them), so that a bare
 * machine tests it too; else the one that CHROMIUM names, or the system's. Unpacked once into the temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { type Browser, chromium } from 'playwright-core';

const INSTALLED = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];

interface Candidate {
  path: string;
  env: Record<string, string>;
}

/** @throws Error where no browser starts, with what was tried */
export async function startChromium(): Promise<Browser> {
  const failures: string[] = [];
  for (const find of [named, shipped, installed]) {
    try {
      const found = await find();
      if (found === null) continue;
      const env = { ...(process.env as Record<string, string>), ...found.env };
      return await chromium.launch({ executablePath: found.path, args: ARGS, env });
    } catch (error) {
      failures.push(String(error).split('\n').slice(0, 3).join(' '));
    }
  }
  throw new Error(`no Chromium starts here; CHROMIUM may name one. ${failures.join('; ')}`);
}

async function named(): Promise<Candidate | null> {
  const path = process.env['CHROMIUM'] ?? '';
  return path === '' ? null : { path, env: {} };
}

async function installed(): Promise<Candidate | null> {
  const path = INSTALLED.find((one) => existsSync(one));
  return path === undefined ? null : { path, env: {} };
}

/** The package's, which is built for Linux on x86-64. */
async function shipped(): Promise<Candidate | null> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return null;
  const folder = await unpacked();
  const libraries = [process.env['LD_LIBRARY_PATH'], join(folder, 'lib')].filter(Boolean).join(':');
  const env: Record<string, string> = { LD_LIBRARY_PATH: libraries };
  if (!existsSync('/etc/fonts/fonts.conf')) env['FONTCONFIG_PATH'] = join(folder, 'fonts');
  return { path: join(folder, 'chromium'), env };
}

async function unpacked(): Promise<string> {
  const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  let root = dirname(main);
  while (!existsSync(join(root, 'bin', 'chromium.br'))) root = dirname(root);
  const version = statSync(join(root, 'bin', 'chromium.br')).size;
  const folder = join(tmpdir(), `lorabench-chromium-${version}-${userInfo().uid}`);
  if (existsSync(folder)) return folder;
  // Whole or not at all: two test files may come for it at the same time.
  const fresh = mkdtempSync(join(tmpdir(), 'lorabench-chromium-'));
  try {
    for (const archive of ['al2023', 'fonts']) {
      const tar = join(fresh, `${archive}.tar`);
      await expand(join(root, 'bin', `${archive}.tar.br`), tar);
      execFileSync('tar', ['-xf', tar, '-C', fresh, '--no-same-owner']);
      rmSync(tar);
    }
    await expand(join(root, 'bin', 'chromium.br'), join(fresh, 'chromium'), 0o700);
    renameSync(fresh, folder);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

const expand = (from: string, to: string, mode = 0o600): Promise<void> =>
  pipeline(createReadStream(from), createBrotliDecompress(), createWriteStream(to, { mode }));
