/**
 * How far two measurements may lie apart, and what is said when they lie further.
 *
 * The tools run one after the other, so a burst of load on this machine falls on one of them, while a difference of
 * definition is there every time. A pair is therefore measured up to four times, and has to agree once.
 */

import { nearestRank } from '../../src/stats/nearest-rank.ts';
import type { ServedRequest } from '../support/timed-server.ts';
import type { Export } from './tools.ts';
import { figure } from './tools.ts';

/** Whichever is wider: so many of the metric's unit, or such a share of the figure it is held against. */
export interface Bound {
  tag: string;
  statistic: string;
  within: number;
  share?: number;
}

const ATTEMPTS = 4;

/** Where `got` lies further from `held` than it may, in words; nothing where it does not. */
export function apart(got: Export, held: Export, bounds: readonly Bound[], names: [string, string]): string[] {
  return bounds.flatMap(({ tag, statistic, within, share = 0 }) => {
    const [one, other] = [figure(got, tag, statistic), figure(held, tag, statistic)];
    const allowed = Math.max(within, share * other);
    if (Math.abs(one - other) <= allowed) return [];
    return [`${tag}.${statistic}: ${names[0]} ${one}, ${names[1]} ${other}, allowed ${allowed} apart`];
  });
}

/** The first measurement without a fault, or the last one with what is wrong with it. */
export async function agreed<T>(
  measure: (attempt: number) => Promise<T>,
  faultsOf: (measured: T) => string[],
): Promise<{ measured: T; faults: string[] }> {
  for (let attempt = 1; ; attempt++) {
    const measured = await measure(attempt);
    const faults = faultsOf(measured);
    if (faults.length === 0 || attempt === ATTEMPTS) return { measured, faults };
    console.log(`test:interop: measured again, since ${faults.join('; ')}`);
  }
}

/** The quicker of two runs by the median of their requests: what else a machine does only adds to it. */
export function quicker<T extends { exported: Export }>(one: T | undefined, other: T): T {
  const median = ({ exported }: T) => figure(exported, 'request_latency', 'p50');
  return one === undefined || median(other) < median(one) ? other : one;
}

/** What the server itself knows of the requests it served, by its own stamps, in AIPerf's form and milliseconds. */
export function servedAs(requests: readonly ServedRequest[]): Export {
  const ok = requests.filter(({ chunks }) => chunks.length > 0);
  const since = (request: ServedRequest, chunk: number) => (request.chunks.at(chunk)!.at - request.received) / 1e6;
  const tokensAfterFirst = ({ chunks }: ServedRequest) => chunks.slice(1).reduce((sum, { tokens }) => sum + tokens, 0);
  return {
    time_to_first_token: blockOf(ok.map((request) => since(request, 0))),
    request_latency: blockOf(ok.map((request) => since(request, -1))),
    inter_token_latency: blockOf(
      ok.map((request) => (since(request, -1) - since(request, 0)) / tokensAfterFirst(request)),
    ),
    inter_chunk_latency: blockOf(
      ok.flatMap(({ chunks }) => chunks.slice(1).map(({ at }, i) => (at - chunks[i]!.at) / 1e6)),
    ),
  };
}

function blockOf(values: number[]) {
  const ascending = values.toSorted((a, b) => a - b);
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => nearestRank(ascending, share));
  return { unit: 'ms', p50, p90, p99, count: values.length };
}
