/**
 * A trace of requests as the Mooncake project publishes them: JSON lines {timestamp, input_length, output_length,
 * hash_ids}. In: a path. Out: entries in the order of their times, which begin at 0.
 *
 * `timestamp` is in milliseconds, lengths are in tokens, and a hash id stands for a block of 512 tokens of the prompt, the
 * last of which may be shorter. Other keys are left alone: traces of other tools carry some. Format: the README of
 * kvcache-ai/Mooncake, "Open Source Trace".
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { shown } from '../problems.ts';
import { TRACE_BLOCK_TOKENS, type TraceEntry, type TraceFile } from './entries.ts';
import { fileFault } from './file-fault.ts';
import { type JsonItem, jsonItems } from './json-items.ts';

export interface TraceNeeds {
  /** Arrival times are replayed; else they may be missing. */
  times: boolean;
  /** Nothing else says how long answers are. */
  outputTokens: boolean;
}

/** Bounds of what is held in memory: about 100 MB. */
const MOST_REQUESTS = 200_000;
const MOST_BLOCKS = 10_000_000;

const FORM = '{timestamp: ms, input_length: tokens, output_length: tokens, hash_ids: [..]}';

/** @throws BenchError with file:line, what was found and what is accepted */
export async function readTrace(file: string, needs: TraceNeeds): Promise<TraceFile> {
  const entries: TraceEntry[] = [];
  let blocks = 0;
  for await (const item of jsonItems(file)) {
    const entry = entryOf(file, item, needs);
    entries.push(entry);
    blocks += entry.hashIds?.length ?? 0;
    if (entries.length > MOST_REQUESTS || blocks > MOST_BLOCKS) {
      const bound = `${MOST_REQUESTS} requests and ${MOST_BLOCKS} hash ids`;
      throw fileFault(
        file,
        item.line,
        `the trace is too long to be held; accepted: up to ${bound}; cut it before here`,
      );
    }
  }
  if (entries.length === 0) throw fileFault(file, null, `holds no request; expected lines ${FORM}`);
  entries.sort((a, b) => a.atMs - b.atMs); // stable: requests of one time keep their order
  const start = entries[0]!.atMs;
  for (const entry of entries) entry.atMs -= start;
  return { kind: 'trace', name: basename(file), hash: hashOf(entries), entries };
}

function entryOf(file: string, { value, line }: JsonItem, needs: TraceNeeds): TraceEntry {
  const { timestamp, input_length: input, output_length: output, hash_ids: ids } = value;
  const fault = (key: string, expected: string) => {
    const found = value[key] === undefined ? 'it is missing' : `found ${shown(value[key])}`;
    return fileFault(file, line, `${key}: expected ${expected}, ${found}; a request is ${FORM}`);
  };
  const timed = typeof timestamp === 'number' && timestamp >= 0;
  if (!timed && (needs.times || timestamp !== undefined)) throw fault('timestamp', 'milliseconds, 0 or more');
  if (!isCount(input)) throw fault('input_length', 'a whole number of tokens, at least 1');
  if (!isCount(output) && (output !== undefined || needs.outputTokens)) {
    const instead = output === undefined ? ' (or output.tokens in the scenario)' : '';
    throw fault('output_length', `a whole number of tokens, at least 1${instead}`);
  }
  if (ids !== undefined && !isIds(ids)) throw fault('hash_ids', 'a list of whole numbers, 0 or more');
  if (ids !== undefined) {
    const full = Math.floor(input / TRACE_BLOCK_TOKENS);
    const all = Math.ceil(input / TRACE_BLOCK_TOKENS);
    if (ids.length < full || ids.length > all) {
      const expected = `${all} ids, one for each block of ${TRACE_BLOCK_TOKENS} of the ${input} tokens`;
      throw fileFault(file, line, `hash_ids: expected ${expected}, found ${ids.length}`);
    }
  }
  return {
    atMs: timed ? timestamp : 0,
    promptTokens: input,
    outputTokens: isCount(output) ? output : null,
    hashIds: ids !== undefined && ids.length > 0 ? ids : null,
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

const isIds = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0);

function hashOf(entries: readonly TraceEntry[]): string {
  const hash = createHash('sha256');
  for (const { atMs, promptTokens, outputTokens, hashIds } of entries) {
    hash.update(`${JSON.stringify([atMs, promptTokens, outputTokens, hashIds])}\n`);
  }
  return hash.digest('hex');
}
