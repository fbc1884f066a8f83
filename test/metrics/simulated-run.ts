/**
 * The requests of a closed loop over a server that batches: each step gives every request in flight a token, and takes
 * the longer the more there are. Seeded.
 */
import type { RequestRecord } from '../../src/result/schema.ts';
import { normal, randomOf } from '../stats/series.ts';
import { record } from './records.ts';

export interface SimulatedRun {
  requests: number;
  concurrency: number;
  seed: number;
  tokens?: number;
  /** How many times as long everything takes, by requests issued so far. */
  slower?: (issued: number) => number;
  /** Whether the request fails at its last token. */
  fails?: (i: number) => boolean;
}

const STEP_MS = 8;
const STEP_MS_A_REQUEST = 1;
const SPREAD = 0.1;

export function simulatedRun({
  requests,
  concurrency,
  seed,
  tokens = 10,
  slower,
  fails,
}: SimulatedRun): RequestRecord[] {
  const random = randomOf(seed);
  const records: RequestRecord[] = [];
  let inFlight: { i: number; sentMs: number; chunks: [number, number][] }[] = [];
  let now = 0;
  let issued = 0;
  while (issued < requests || inFlight.length > 0) {
    // One more in each step until all are there, as starts are staggered; then a new one for each that ended.
    const places = Math.min(concurrency, issued + 1);
    while (inFlight.length < places && issued < requests) inFlight.push({ i: issued++, sentMs: now, chunks: [] });
    const step = (STEP_MS + STEP_MS_A_REQUEST * inFlight.length) * Math.exp(SPREAD * normal(random));
    now += step * (slower?.(issued) ?? 1);
    for (const one of inFlight) one.chunks.push([now - one.sentMs, 1]);
    for (const { i, sentMs, chunks } of inFlight.filter(({ chunks }) => chunks.length === tokens)) {
      const outcome = fails?.(i) ? ({ outcome: 'failed', error: 'reset_mid_stream' } as const) : {};
      records.push(record({ i, sentMs, chunks, ...outcome }));
    }
    inFlight = inFlight.filter(({ chunks }) => chunks.length < tokens);
    now += 0.1;
  }
  return records;
}
