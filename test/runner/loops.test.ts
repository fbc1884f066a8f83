/** When requests start: known answers against a recorded clock; nothing is sent here. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { closedLoop } from '../../src/runner/closed-loop.ts';
import { openLoop } from '../../src/runner/open-loop.ts';
import { waitUntil } from '../../src/runner/pacer.ts';
import type { RequestSpec } from '../../src/workload/request.ts';

const MS = 1e6;

function* specs(offset: (i: number) => number | null): Generator<RequestSpec, never> {
  for (let i = 0; ; i++) {
    yield {
      i,
      phase: 'measure',
      adapter: null,
      prompt: 'a',
      promptTokens: 1,
      outputTokens: 1,
      control: 'exact',
      intendedOffset: offset(i),
    };
  }
}

const never = new AbortController().signal;
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What a thread that runs alone is handed: the first `limit` requests, one after the other. */
function handing(requests: Iterator<RequestSpec>, limit = Infinity): () => RequestSpec | null {
  let given = 0;
  return () => (given++ < limit ? requests.next().value : null);
}

const lanesOf = (concurrency: number) => Array.from({ length: concurrency }, (_, lane) => lane);

/** Issues requests that take `ms`, and keeps when each began and how many were in flight. */
function recorder(ms: number) {
  const seen = { issued: [] as number[], at: [] as number[], most: 0, inFlight: 0 };
  const issue = async (spec: RequestSpec): Promise<void> => {
    seen.issued.push(spec.i);
    seen.at.push(now());
    seen.most = Math.max(seen.most, ++seen.inFlight);
    await sleep(ms);
    seen.inFlight--;
  };
  return { seen, issue };
}

describe('waitUntil', () => {
  it('is never early, and late by less than a millisecond nearly always', async () => {
    const late: number[] = [];
    for (let i = 0; i < 40; i++) {
      const at = now() + (2 + (i % 7)) * MS;
      await waitUntil(at, now, never);
      late.push((now() - at) / MS);
    }
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    expect(late[20]).toBeLessThan(1);
  });

  it('ends when aborted, and at once when the time is past', async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 10);
    const begin = now();
    await waitUntil(begin + 60_000 * MS, now, stop.signal);
    await waitUntil(begin, now, never);
    expect(now() - begin).toBeLessThan(30_000 * MS);
  });
});

describe('closedLoop', () => {
  it('keeps the concurrency and issues each request once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 20 }),
        async (concurrency, requests) => {
          const { seen, issue } = recorder(1);
          const start = now();
          const next = handing(
            specs(() => null),
            requests,
          );
          const loop = { next, issue, start, until: Infinity, now, signal: never };
          await closedLoop({ ...loop, lanes: lanesOf(concurrency), concurrency, spreadNs: 0 });
          expect(seen.issued).toEqual(Array.from({ length: requests }, (_, i) => i));
          expect(seen.most).toBe(Math.min(concurrency, requests));
          expect(seen.inFlight).toBe(0);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('spreads the starts over the expected time of a request', async () => {
    const { seen, issue } = recorder(200);
    const start = now();
    const loop = {
      next: handing(
        specs(() => null),
        4,
      ),
      issue,
      start,
      until: Infinity,
      now,
      signal: never,
    };
    await closedLoop({ ...loop, lanes: lanesOf(4), concurrency: 4, spreadNs: 160 * MS });
    const offsets = seen.at.map((at) => (at - start) / MS);
    for (const [i, offset] of offsets.entries()) {
      expect(offset).toBeGreaterThanOrEqual(40 * i);
      expect(offset).toBeLessThan(40 * i + 35);
    }
  });

  it('keeps to its own lanes, whose starts are those among all of the run', async () => {
    const { seen, issue } = recorder(300);
    const start = now();
    const loop = {
      next: handing(
        specs(() => null),
        2,
      ),
      issue,
      start,
      until: Infinity,
      now,
      signal: never,
    };
    await closedLoop({ ...loop, lanes: [1, 3], concurrency: 4, spreadNs: 160 * MS });
    const offsets = seen.at.map((at) => (at - start) / MS);
    expect(offsets).toHaveLength(2);
    expect(offsets[0]).toBeGreaterThanOrEqual(40);
    expect(offsets[1]).toBeGreaterThanOrEqual(120);
    expect(offsets[1]).toBeLessThan(155);
  });

  it('stops issuing by time, and waits for what is in flight', async () => {
    const { seen, issue } = recorder(30);
    const start = now();
    const loop = { next: handing(specs(() => null)), issue, start, until: start + 100 * MS, now, signal: never };
    await closedLoop({ ...loop, lanes: lanesOf(2), concurrency: 2, spreadNs: 0 });
    expect(seen.inFlight).toBe(0);
    expect(Math.max(...seen.at)).toBeLessThan(start + 100 * MS);
    expect(seen.issued.length).toBeGreaterThan(2);
  });

  it('issues nothing after an abort', async () => {
    const stop = new AbortController();
    const { seen, issue } = recorder(5);
    const counted = async (spec: RequestSpec) => {
      if (spec.i === 3) stop.abort();
      await issue(spec);
    };
    const loop = {
      next: handing(
        specs(() => null),
        100,
      ),
      issue: counted,
      start: now(),
      until: Infinity,
      now,
    };
    await closedLoop({ ...loop, signal: stop.signal, lanes: [0], concurrency: 1, spreadNs: 0 });
    expect(seen.issued).toEqual([0, 1, 2, 3]);
  });
});

describe('openLoop', () => {
  const next = (limit: number) =>
    handing(
      specs((i) => i * 10 * MS),
      limit,
    );
  const loopOf = (start: number, issue: (spec: RequestSpec, intended: number | null) => Promise<void>) => ({
    issue,
    start,
    until: Infinity,
    now,
    signal: never,
    drainMs: 1_000,
    cut: () => {},
  });

  it('sends on time although no reply comes', async () => {
    const start = now() + 20 * MS;
    const late: number[] = [];
    const { seen, issue } = recorder(250);
    const timed = async (spec: RequestSpec, intended: number | null) => {
      late.push((now() - intended!) / MS);
      expect(intended).toBe(start + spec.i * 10 * MS);
      await issue(spec);
    };
    await openLoop({ ...loopOf(start, timed), next: next(20) });
    expect(seen.most).toBe(20);
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    expect(late[10]).toBeLessThan(1);
  });

  it('sends what is late at once, and drops nothing', async () => {
    const start = now() - 500 * MS;
    const { seen, issue } = recorder(1);
    await openLoop({ ...loopOf(start, issue), next: next(30) });
    expect(seen.issued).toHaveLength(30);
    expect(seen.at[29]! - seen.at[0]!).toBeLessThan(250 * MS);
  });

  it('ends by time, that time being over', async () => {
    const start = now();
    const { seen, issue } = recorder(1);
    await openLoop({ ...loopOf(start, issue), next: handing(specs((i) => i * 70 * MS)), until: start + 100 * MS });
    expect(seen.issued).toEqual([0, 1]);
    expect(now() - start).toBeGreaterThanOrEqual(100 * MS);
  });

  it('cuts what the drain does not wait for', async () => {
    let cut = 0;
    const hanging: (() => void)[] = [];
    const hang = () => new Promise<void>((resolve) => hanging.push(resolve));
    const release = () => {
      cut++;
      for (const end of hanging) end();
    };
    await openLoop({ ...loopOf(now(), hang), next: next(3), drainMs: 50, cut: release });
    expect(cut).toBe(1);
    await openLoop({ ...loopOf(now(), async () => {}), next: next(3), drainMs: 0, cut: release });
    expect(cut).toBe(1);
  });
});
