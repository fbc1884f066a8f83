/**
 * requests.jsonl read back. In: a path. Out: its records in the order in which they ended, one at a time, since a file may
 * be larger than the longest string.
 *
 * A last line without its newline was being written when the process died: where it is no whole record it is left out, and
 * everything before it stands. A broken line anywhere else is an error, with its number.
 */
import { createReadStream } from 'node:fs';
import { BenchError } from '../errors.ts';
import type { RequestRecord } from '../result/schema.ts';

/** @throws BenchError USAGE when the file can't be read, or a line is no record */
export async function* readRecords(path: string): AsyncGenerator<RequestRecord> {
  let rest = '';
  let number = 0;
  for await (const text of textOf(path)) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield recordOf(line, path, ++number);
  }
  const last = rest === '' ? null : parsed(rest);
  if (isRecord(last)) yield last;
}

async function* textOf(path: string): AsyncGenerator<string> {
  try {
    yield* createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 20 }) as AsyncIterable<string>;
  } catch (cause) {
    throw new BenchError('USAGE', `Could not read ${path}: ${(cause as Error).message}.`, { cause });
  }
}

function recordOf(line: string, path: string, number: number): RequestRecord {
  const value = parsed(line);
  if (isRecord(value)) return value;
  throw new BenchError(
    'USAGE',
    `${path}:${number} is no request record: expected a JSON object with run, i, phase, sent, chunks, end and outcome.`,
  );
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is RequestRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { run, i, phase, sent, chunks, end, outcome } = value as Partial<Record<keyof RequestRecord, unknown>>;
  return (
    typeof run === 'string' &&
    Number.isSafeInteger(i) &&
    (phase === 'warmup' || phase === 'measure') &&
    Number.isSafeInteger(sent) &&
    Array.isArray(chunks) &&
    Number.isSafeInteger(end) &&
    (outcome === 'ok' || outcome === 'failed' || outcome === 'cancelled')
  );
}
