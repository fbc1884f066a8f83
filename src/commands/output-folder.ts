/**
 * The folder that results go to: made before anything is measured, refused if it holds a result already.
 * In: --out, or the scenario's name and the time. Out: its path.
 */
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BenchError } from '../errors.ts';

/** Files that mark a folder as somebody's measurement. */
const RESULT_FILES = ['result.json', 'requests.jsonl'];

/** @throws BenchError OUTPUT_NOT_WRITABLE */
export function outputFolder(out: string | null, scenarioName: string, at: Date): string {
  const folder = out ?? unused(join('reports', scenarioName, stamp(at)));
  try {
    make(folder);
    if (!statSync(folder).isDirectory()) throw fileInPlace(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    refuseUsed(folder);
    return folder;
  } catch (error) {
    if (error instanceof BenchError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOTDIR') throw fileInPlace(folder);
    throw new BenchError('OUTPUT_NOT_WRITABLE', `cannot write to ${folder}: ${message}`, { cause: error });
  }
}

const fileInPlace = (folder: string): BenchError =>
  new BenchError('OUTPUT_NOT_WRITABLE', `cannot write to ${folder}: there is a file in its place, or above it`);

/**
 * A folder and those above it, one by one: mkdirSync's `recursive` never returns where a folder exists and nothing can be
 * made in it for want of a better error than ENOENT, as below /proc.
 */
function make(folder: string): void {
  if (existsSync(folder)) return;
  const above = dirname(folder);
  if (above !== folder) make(above);
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // somebody was faster
  }
}

/** @throws BenchError OUTPUT_NOT_WRITABLE when the folder holds a result; one that does not exist holds none */
export function refuseUsed(folder: string): void {
  const held = RESULT_FILES.find((name) => existsSync(join(folder, name)));
  if (held === undefined) return;
  throw new BenchError('OUTPUT_NOT_WRITABLE', `${folder} holds a result already (${held})`, {
    hint: 'give another folder with --out; nothing is ever overwritten',
  });
}

/** 2026-11-23T21-05-09Z: sorts by time, and no file system minds it. */
const stamp = (at: Date): string =>
  at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-');

/** Two runs may start in one second. */
function unused(folder: string): string {
  let candidate = folder;
  for (let i = 2; existsSync(candidate); i++) candidate = `${folder}-${i}`;
  return candidate;
}
