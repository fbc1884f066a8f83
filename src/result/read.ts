/**
 * result.json read back. In: the file or the folder it lies in. Out: a Result whose outline has been checked: the format,
 * and that what readers walk through (targets, cells, runs, metrics) is there.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import { FORMAT, type Result } from './schema.ts';

export const RESULT_FILE = 'result.json';

/** @throws BenchError USAGE with what is wrong with it */
export function readResult(path: string): Result {
  const file = isFolder(path) ? join(path, RESULT_FILE) : path;
  const result = parsed(file, textOf(file));
  const { format } = result;
  if (format !== FORMAT) {
    const got = format === undefined ? 'has no format' : `has the format ${JSON.stringify(format)}`;
    throw new BenchError('USAGE', `${file} ${got}; this version reads "${FORMAT}".`, {
      hint: 'Give a result.json that bench wrote, or the folder it lies in.',
    });
  }
  const broken = faultOf(result);
  if (broken !== null) throw new BenchError('USAGE', `${file} is broken: ${broken}.`);
  return result as unknown as Result;
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new BenchError('USAGE', `Could not read ${file}: ${(cause as Error).message}.`, { cause });
  }
}

function parsed(file: string, text: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BenchError('USAGE', `${file} is not JSON: ${(cause as Error).message}.`, { cause });
  }
  if (isFields(value)) return value;
  throw new BenchError('USAGE', `${file} is no result: expected a JSON object.`);
}

/** What of a result's outline is missing, as a clause; null when nothing is. */
function faultOf(result: Fields): string | null {
  for (const name of ['tool', 'scenario', 'machine', 'client']) {
    if (!isFields(result[name])) return `"${name}" is no object`;
  }
  const { cells, targets } = result;
  if (!Array.isArray(targets) || !targets.every(isFields)) return '"targets" is no list of objects';
  if (!Array.isArray(cells)) return '"cells" is no list';
  for (const [c, cell] of cells.entries()) {
    if (!isFields(cell) || !isFields(cell['at']) || !Array.isArray(cell['runs']))
      return `cells[${c}] lacks "at" or "runs"`;
    for (const [r, run] of cell['runs'].entries()) {
      for (const name of ['window', 'counts', 'errors', 'validity', 'metrics', 'perAdapter', 'timeline']) {
        if (!isFields(run) || !isFields(run[name])) return `cells[${c}].runs[${r}] lacks "${name}"`;
      }
    }
  }
  return null;
}
