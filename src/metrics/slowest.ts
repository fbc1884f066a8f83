/**
 * The requests of a run that took longest, with where their time went: what one looks at first when a tail is long.
 *
 * In: a run's measured requests. Out: those that ended latest after they should have been sent, failed ones included, and those whose
 * first token came latest, the slowest first. Ten at most, since they stand in result.json; all of them are in requests.jsonl.
 */
import type { RequestRecord, ServerTimings, SlowRequest } from '../result/schema.ts';
import { outputTokensOf, ttftOf } from './request-times.ts';

const BY_END = 6;
const BY_FIRST = 4;

export function slowestOf(records: readonly RequestRecord[], runStart: number): SlowRequest[] {
  const took = ({ end, intended }: RequestRecord): number => end - intended;
  const byEnd = largest(records, took, BY_END);
  const byFirst = largest(
    records.filter((record) => ttftOf(record) !== null),
    (record) => ttftOf(record) as number,
    BY_FIRST,
  );
  const all = [...new Set([...byEnd, ...byFirst])];
  return all.sort((a, b) => took(b) - took(a) || a.i - b.i).map((record) => slow(record, runStart));
}

/** The `count` records of which `of` says most, by one pass: of equal ones the earlier. */
function largest(
  records: readonly RequestRecord[],
  of: (record: RequestRecord) => number,
  count: number,
): RequestRecord[] {
  const kept: { record: RequestRecord; value: number }[] = [];
  for (const record of records) {
    const value = of(record);
    if (kept.length === count && value <= kept.at(-1)!.value) continue;
    const at = kept.findIndex((one) => value > one.value);
    kept.splice(at === -1 ? kept.length : at, 0, { record, value });
    if (kept.length > count) kept.pop();
  }
  return kept.map(({ record }) => record);
}

/** ms, to the microsecond: finer is noise and takes room. */
const ms = (ns: number): number => Math.round(ns / 1e3) / 1e3;

function slow(record: RequestRecord, runStart: number): SlowRequest {
  const { i, adapter, outcome, error, intended, sent, firstByte, end, usage, asked, timings } = record;
  const { chunks } = record;
  const since = (ns: number): number => ms(ns - intended);
  const [first, last] = [chunks[0], chunks.at(-1)];
  return {
    i,
    adapter,
    outcome,
    error,
    at: ms(intended - runStart),
    sent: since(sent),
    firstByte: firstByte === null ? null : since(firstByte),
    first: first === undefined ? null : since(sent + first[0]),
    last: last === undefined ? null : since(sent + last[0]),
    end: since(end),
    promptTokens: usage?.prompt_tokens ?? asked.promptTokens,
    outputTokens: outputTokensOf(record),
    longestGap: longestGap(chunks, (at) => since(sent + at)),
    timings: timings === null ? null : rounded(timings),
  };
}

function longestGap(chunks: RequestRecord['chunks'], since: (at: number) => number): SlowRequest['longestGap'] {
  let longest = { from: 0, ns: 0 };
  for (let k = 1; k < chunks.length; k++) {
    const [before, at] = [chunks[k - 1]![0], chunks[k]![0]];
    if (at - before > longest.ns) longest = { from: before, ns: at - before };
  }
  return longest.ns === 0 ? null : { from: since(longest.from), ms: ms(longest.ns) };
}

const rounded = (timings: ServerTimings): ServerTimings =>
  Object.fromEntries(
    Object.entries(timings).map(([name, value]) => [
      name,
      typeof value === 'number' ? Math.round(value * 1e3) / 1e3 : value,
    ]),
  ) as unknown as ServerTimings;
