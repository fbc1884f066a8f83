/** Threads that share a load: every request once, at its time, with stamps on the one clock, however many they are. */
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { BenchError } from '../../src/errors.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { LoadTeam, type TeamLoad } from '../../src/runner/load-team.ts';
import { Stock } from '../../src/runner/stock.ts';
import { workersFor } from '../../src/runner/workers.ts';
import type { RequestSpec } from '../../src/workload/request.ts';
import { spec } from '../client/sending.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';

const MS = 1e6;
const never = new AbortController().signal;
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

function* requests(offset: (i: number) => number | null, count = Infinity): Generator<RequestSpec, undefined> {
  for (let i = 0; i < count; i++) yield spec({ i, outputTokens: 3, intendedOffset: offset(i) });
  return undefined;
}

async function teamFor(options: Partial<TimedServerOptions>, workers: number) {
  const server: TimedServer = await startTimedServer({ ttftMs: 5, gapMs: 1, ...options });
  const team = await LoadTeam.create();
  open.push(server.close, () => team.close());
  const records: RequestRecord[] = [];
  const held: (() => void)[] = [];
  await team.begin({
    client: { url: server.url, api: 'completions', model: 'base', apiKey: null, headers: {} },
    context: { run: 'c1.0', attempt: 1, temperature: 0, extraBody: {}, timeoutMs: 10_000 },
    workers,
    onAnswer: ({ record }, goOn) => {
      records.push(record);
      held.push(goOn);
    },
  });
  const load = async (stock: Stock, more: Partial<TeamLoad> & Pick<TeamLoad, 'loop'>) =>
    team.load({ stock, requests: Infinity, durationMs: Infinity, ...more }, await team.stockUp(stock, never));
  return { team, server, records, held, load };
}

const numbers = (records: readonly RequestRecord[]) => records.map(({ i }) => i).sort((a, b) => a - b);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('a closed loop', () => {
  it('issues each request once and keeps the concurrency of all threads together', async () => {
    const { team, server, records, load } = await teamFor({ ttftMs: 20 }, 3);
    await team.connect(7);
    await expect.poll(() => server.connections).toBe(7);
    const before = now();
    const stock = new Stock(
      requests(() => null),
      50,
    );
    const { start, lastIssue, health } = await load(stock, {
      requests: 50,
      loop: { kind: 'closed', concurrency: 7, spreadNs: 0 },
    });
    expect(numbers(records)).toEqual(upTo(50));
    expect(numbers(records)).toEqual(server.log.map((_, i) => i));
    expect(server.connections).toBe(7);
    expect(start).toBeGreaterThanOrEqual(before);
    expect(Math.max(...records.map(({ sent }) => sent))).toBeGreaterThanOrEqual(lastIssue);
    for (const { sent, end, outcome } of records) {
      expect(outcome).toBe('ok');
      expect(sent).toBeGreaterThanOrEqual(start);
      expect(end).toBeLessThan(now());
    }
    const inFlight = (at: number) => records.filter(({ sent, end }) => sent <= at && at < end).length;
    const most = Math.max(...records.map(({ sent }) => inFlight(sent)));
    expect(most).toBeLessThanOrEqual(7);
    expect(most).toBeGreaterThan(3); // more than one thread's lanes
    expect(health).toHaveLength(3);
    expect(health.every(({ stampErrorsNs }) => stampErrorsNs.length > 0 && stampErrorsNs.every((ns) => ns > 0))).toBe(
      true,
    );
    expect(team.inFlight).toBe(0);
  });

  it('ends by time, makes more requests when the stock runs low, and serves the next load', async () => {
    const { records, load } = await teamFor({ ttftMs: 1, gapMs: 0 }, 2);
    const few = { requests: 3, bytes: 1e6 };
    const loop = { kind: 'closed', concurrency: 2, spreadNs: 0 } as const;
    await load(
      new Stock(
        requests(() => null),
        Infinity,
        few,
      ),
      { durationMs: 300, loop },
    );
    const first = records.splice(0);
    expect(first.length).toBeGreaterThan(20);
    expect(numbers(first)).toEqual(upTo(first.length));
    await load(
      new Stock(
        requests(() => null, 11),
        Infinity,
        few,
      ),
      { loop },
    ); // a workload that ends
    expect(numbers(records)).toEqual(upTo(11));
  });
});

describe('an open loop', () => {
  it('sends each request at its time from whichever thread', async () => {
    const { records, load } = await teamFor({ ttftMs: 100 }, 2);
    const stock = new Stock(
      requests((i) => i * 5 * MS),
      40,
    );
    const { start } = await load(stock, { requests: 40, loop: { kind: 'open', drainMs: 5_000 } });
    expect(numbers(records)).toEqual(upTo(40));
    for (const { i, intended } of records) expect(intended).toBe(start + i * 5 * MS);
    const lags = records.map(({ sent, intended }) => (sent - intended) / MS).sort((a, b) => a - b);
    expect(lags[0]).toBeGreaterThanOrEqual(0);
    expect(lags[20]).toBeLessThan(50); // how late exactly is test/perf/'s to say
  });

  it('cuts what the drain does not wait for, and the run goes on being whole', async () => {
    const { records, load } = await teamFor({ ttftMs: 60_000 }, 2);
    const stock = new Stock(
      requests((i) => i * MS),
      6,
    );
    await load(stock, { requests: 6, loop: { kind: 'open', drainMs: 100 } });
    expect(numbers(records)).toEqual(upTo(6));
    expect(new Set(records.map(({ outcome }) => outcome))).toEqual(new Set(['cancelled']));
  });
});

describe('on the way', () => {
  it('a cut ends what is in flight at once', async () => {
    const { team, records, load } = await teamFor({ ttftMs: 60_000 }, 2);
    const begin = now();
    setTimeout(() => team.cut(), 100);
    await load(
      new Stock(
        requests(() => null),
        Infinity,
      ),
      { loop: { kind: 'closed', concurrency: 5, spreadNs: 0 } },
    );
    expect(records.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 5 }, () => 'cancelled'));
    expect((now() - begin) / MS).toBeLessThan(5_000);
  });

  it('a lane that met nobody waits until it may go on', async () => {
    const { team, server, records, held, load } = await teamFor({}, 1);
    await server.close();
    const loop = { kind: 'closed', concurrency: 1, spreadNs: 0 } as const;
    const over = load(
      new Stock(
        requests(() => null),
        2,
      ),
      { requests: 2, loop },
    );
    await expect.poll(() => records.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(records).toHaveLength(1);
    held[0]!();
    await expect.poll(() => records.length).toBe(2);
    team.cut(); // also lets the second one go
    await over;
    expect(records.map(({ error }) => error)).toEqual(['connect_refused', 'connect_refused']);
  });

  it('what one thread finds out the others know', async () => {
    const { team, server, load } = await teamFor({ refuse: 'continuous_usage_stats' }, 3);
    const loop = { kind: 'closed', concurrency: 1, spreadNs: 0 } as const;
    await load(
      new Stock(
        requests(() => null),
        1,
      ),
      { requests: 1, loop },
    );
    expect(await team.shareKnowledge()).toEqual({ refused: ['continuous_usage_stats'] });
    const asked = server.log.length;
    const wide = { ...loop, concurrency: 3 };
    await load(
      new Stock(
        requests(() => null),
        6,
      ),
      { requests: 6, loop: wide },
    );
    expect(server.log.length).toBe(asked + 6); // none was asked twice
  });

  it('tells why no connection could be opened, and what kept a request from being made', async () => {
    const { team, server, load } = await teamFor({}, 2);
    await server.close();
    await expect(team.connect(2)).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE' });
    function* broken(): Generator<RequestSpec, undefined> {
      yield spec();
      throw new BenchError('UNSUPPORTED', 'no text of exactly 3 tokens');
    }
    const stock = new Stock(broken(), 9, { requests: 1, bytes: 1 });
    const loop = { kind: 'closed', concurrency: 1, spreadNs: 0 } as const;
    await expect(load(stock, { requests: 9, loop })).rejects.toThrow('no text of exactly 3 tokens');
  });
});

it('a thread that is kept busy is seen to stamp late, while it measures', async () => {
  // Some milliseconds to put together and to parse, each.
  const { team, load } = await teamFor({ gapMs: 15, text: () => 'x'.repeat(2_500_000) }, 1);
  const loop = { kind: 'closed', concurrency: 4, spreadNs: 0 } as const;
  await team.connect(4);
  const { health } = await load(
    new Stock(
      requests(() => null),
      40,
    ),
    { requests: 40, loop },
  );
  const errors = health[0]!.stampErrorsNs.sort((a, b) => a - b);
  expect(errors.at(-3)! / MS).toBeGreaterThan(2); // half a millisecond where it is not
});

it('takes as many threads as the streams and the rate need, and the machine has', () => {
  const closed = (concurrency: number) => ({ load: { kind: 'closed', concurrency } as const });
  const rate = (rate: number) => ({ load: { kind: 'open', rate, arrivals: 'poisson' } as const });
  expect([1, 100, 101, 250, 5_000].map((n) => workersFor(closed(n), 'auto', 0, 8))).toEqual([1, 1, 2, 3, 7]);
  expect(workersFor(closed(250), 'auto', 0, 2)).toBe(1);
  expect(workersFor(closed(250), 'auto', 0, 1)).toBe(1);
  expect(workersFor(closed(1), 6, 0, 2)).toBe(6);
  expect([10, 1_001].map((n) => workersFor(rate(n), 'auto', 0, 8))).toEqual([1, 2]);
  expect(workersFor(rate(20), 'auto', 20e9, 8)).toBe(4); // 400 in flight
});
