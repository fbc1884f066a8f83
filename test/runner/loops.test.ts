/** When requests start: known answers against a recorded clock; nothing is sent here. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { closedLoop } from '../../src/runner/closed-loop.ts';
import { limitsOf, madeAhead } from '../../src/runner/load-loop.ts';
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
          const loop = { requests: specs(() => null), issue, measure: { requests }, start, now, signal: never };
          await closedLoop({ ...loop, concurrency, spreadNs: 0 });
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
    const loop = { requests: specs(() => null), issue, measure: { requests: 4 }, start, now, signal: never };
    await closedLoop({ ...loop, concurrency: 4, spreadNs: 160 * MS });
    const offsets = seen.at.map((at) => (at - start) / MS);
    for (const [i, offset] of offsets.entries()) {
      expect(offset).toBeGreaterThanOrEqual(40 * i);
      expect(offset).toBeLessThan(40 * i + 35);
    }
  });

  it('stops issuing by time, and waits for what is in flight', async () => {
    const { seen, issue } = recorder(30);
    const start = now();
    const loop = { requests: specs(() => null), issue, measure: { durationMs: 100 }, start, now, signal: never };
    await closedLoop({ ...loop, concurrency: 2, spreadNs: 0 });
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
    const loop = { requests: specs(() => null), issue: counted, measure: { requests: 100 }, start: now(), now };
    await closedLoop({ ...loop, signal: stop.signal, concurrency: 1, spreadNs: 0 });
    expect(seen.issued).toEqual([0, 1, 2, 3]);
  });
});

describe('openLoop', () => {
  const loopOf = (start: number, issue: (spec: RequestSpec, intended: number | null) => Promise<void>) => ({
    requests: specs((i) => i * 10 * MS),
    issue,
    start,
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
    await openLoop({ ...loopOf(start, timed), measure: { requests: 20 } });
    expect(seen.most).toBe(20);
    late.sort((a, b) => a - b);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    expect(late[10]).toBeLessThan(1);
  });

  it('sends what is late at once, and drops nothing', async () => {
    const start = now() - 500 * MS;
    const { seen, issue } = recorder(1);
    await openLoop({ ...loopOf(start, issue), measure: { requests: 30 } });
    expect(seen.issued).toHaveLength(30);
    expect(seen.at[29]! - seen.at[0]!).toBeLessThan(250 * MS);
  });

  it('ends by time, that time being over', async () => {
    const start = now();
    const { seen, issue } = recorder(1);
    await openLoop({ ...loopOf(start, issue), requests: specs((i) => i * 70 * MS), measure: { durationMs: 100 } });
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
    await openLoop({ ...loopOf(now(), hang), measure: { requests: 3 }, drainMs: 50, cut: release });
    expect(cut).toBe(1);
    await openLoop({ ...loopOf(now(), async () => {}), measure: { requests: 3 }, drainMs: 0, cut: release });
    expect(cut).toBe(1);
  });
});

describe('madeAhead', () => {
  const ALL = 1e9;

  it('gives the same requests in the same order, some made before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(20), fc.nat(30), async (ahead, taken) => {
        let made = 0;
        const source = specs(() => {
          made++;
          return null;
        });
        const requests = await madeAhead(source, { requests: ahead, characters: ALL }, never);
        expect(made).toBe(ahead);
        const got = Array.from({ length: taken }, () => (requests.next().value as RequestSpec).i);
        expect(got).toEqual(Array.from({ length: taken }, (_, i) => i));
        expect(made).toBe(Math.max(ahead, taken));
      }),
    );
  });

  it('makes no more than the characters that it may hold', async () => {
    let made = 0;
    const source = specs(() => {
      made++;
      return null;
    });
    await madeAhead(source, { requests: 100, characters: 7 }, never); // prompts of one letter
    expect(made).toBe(7);
  });

  it('lets others run, and stops when told', async () => {
    let made = 0;
    const slow = specs(() => {
      made++;
      const until = performance.now() + 4;
      while (performance.now() < until);
      return null;
    });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 30);
    await madeAhead(slow, { requests: 1_000, characters: ALL }, stop.signal);
    expect(made).toBeGreaterThan(1);
    expect(made).toBeLessThan(100);
  });
});

describe('limitsOf', () => {
  it('is requests or time', () => {
    expect(limitsOf({ measure: { requests: 3 }, start: 5 })).toEqual({ requests: 3, until: Number.POSITIVE_INFINITY });
    expect(limitsOf({ measure: { durationMs: 2 }, start: 5 }).until).toBe(5 + 2 * MS);
  });
});
