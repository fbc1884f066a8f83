/**
 * The times of one request that metrics share, in nanoseconds. In: a record. Out: ttft, tpot and e2e of a request that
 * succeeded, lower bounds of one that did not, and its tokens. null is "not known", never 0.
 */
import type { RequestRecord } from '../result/schema.ts';

/** First content since the intended send; in a closed loop that is the actual one. */
export function ttftOf(record: RequestRecord): number | null {
  const first = record.chunks[0];
  return first === undefined ? null : record.sent + first[0] - record.intended;
}

/** Last content since the intended send. */
export function e2eOf(record: RequestRecord): number | null {
  const last = record.chunks.at(-1);
  return last === undefined ? null : record.sent + last[0] - record.intended;
}

/** The server's own count; else the sum over the chunks, where each is known. */
export function outputTokensOf(record: RequestRecord): number | null {
  if (record.usage !== null) return record.usage.completion_tokens;
  let sum = 0;
  for (const [, tokens] of record.chunks) {
    if (tokens === null) return null;
    sum += tokens;
  }
  return sum;
}

export type Tpot = { kind: 'value'; ns: number } | { kind: 'undefined' } | { kind: 'unknown' };

/**
 * (last content - first content) / (tokens - tokens in the first chunk): undefined where no token came after the first
 * chunk, unknown where tokens can't be attributed to it.
 */
export function tpotOf(record: RequestRecord): Tpot {
  const first = record.chunks[0];
  const last = record.chunks.at(-1);
  const total = outputTokensOf(record);
  if (first === undefined || last === undefined || record.chunks.length === 1) return { kind: 'undefined' };
  if (first[1] === null || total === null) return { kind: 'unknown' };
  const later = total - first[1];
  return later > 0 ? { kind: 'value', ns: (last[0] - first[0]) / later } : { kind: 'undefined' };
}

/** What a request that was cut short shows of its tpot at least: the time so far, spread over every token it asked for. */
export function tpotBoundOf(record: RequestRecord): number {
  const first = record.chunks[0];
  if (first === undefined) return 0;
  const later = Math.max(1, record.asked.outputTokens - (first[1] ?? 1));
  return Math.max(0, record.end - record.sent - first[0]) / later;
}

/** How long a request that has no value had been waited for when it ended. */
export const waitedFor = (record: RequestRecord, since: number): number => Math.max(0, record.end - since);
