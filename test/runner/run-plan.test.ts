/** The conductor against a real server whose timings are known: what is counted, and what is kept when things go wrong. */
import { afterEach, describe, expect, it } from 'vitest';
import { BenchError } from '../../src/errors.ts';
import { isDistribution } from '../../src/result/schema.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import type { TargetSource } from '../../src/target/target.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { runFor } from './plan-for.ts';

const servers: TimedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ adapters: ['a1', 'a2', 'a3'], ttftMs: 5, gapMs: 2, ...options });
  servers.push(server);
  return server;
}

const ADAPTERS = ['adapters.count=[0,2]', 'adapters.popularity=round_robin'];

describe('runPlan', () => {
  it('measures every cell, warm-up apart', async () => {
    const server = await serve();
    const { outcome, records, events } = await runFor(server.url, ADAPTERS);
    expect(outcome.failures).toEqual([]);
    expect(outcome.cells.map(({ id, at }) => [id, at.adapters])).toEqual([
      ['c1', 0],
      ['c2', 2],
    ]);
    for (const { runs } of outcome.cells) {
      expect(runs).toHaveLength(1);
      expect(runs[0]).toMatchObject({
        state: 'done',
        counts: { issued: 6, ok: 6, failed: 0, cancelled: 0, outputTokens: 24 },
      });
    }
    const warm = records.filter(({ phase }) => phase === 'warmup');
    expect(warm.map(({ run, adapter }) => [run, adapter]).sort()).toEqual([
      ['c1.0', null],
      ['c2.0', null],
      ['c2.0', 'a1'],
      ['c2.0', 'a2'],
    ]);
    expect(
      records
        .filter(({ phase, run }) => phase === 'measure' && run === 'c2.0')
        .map(({ adapter }) => adapter)
        .sort(),
    ).toEqual([...Array(3).fill('a1'), ...Array(3).fill('a2')]);
    // Every request that reached the server is on record, and no other.
    expect(server.log).toHaveLength(records.length);
    expect(events.filter(({ kind }) => kind === 'request')).toHaveLength(12);
    expect(outcome.targets).toMatchObject([{ id: 'endpoint', kind: 'endpoint', url: server.url, model: 'base' }]);
  });

  it('sees the timings that the server has', async () => {
    const server = await serve({ ttftMs: 40, gapMs: 10 });
    const { outcome } = await runFor(server.url, ['load.concurrency=1']);
    const { ttft, tpot } = outcome.cells[0]!.runs[0]!.metrics;
    expect(isDistribution(ttft) && isDistribution(tpot)).toBe(true);
    if (!isDistribution(ttft) || !isDistribution(tpot)) return;
    expect(ttft.p50).toBeGreaterThanOrEqual(40);
    expect(ttft.p50).toBeLessThan(60);
    expect(tpot.p50).toBeGreaterThan(8);
    expect(tpot.p50).toBeLessThan(15);
  });

  it('runs an open loop at its rate, and cuts what the drain does not wait for', async () => {
    const server = await serve({ fault: (n) => (n >= 8 ? 'stall_before_headers' : null) });
    const set = ['load={rate: 50/s, arrivals: constant}', 'measure.requests=10', 'measure.drain=200ms'];
    const { outcome, records } = await runFor(server.url, [...set, 'measure.warmup.per_adapter=0']);
    const run = outcome.cells[0]!.runs[0]!;
    expect(run.state).toBe('done');
    expect(run.counts).toMatchObject({ issued: 10, ok: 8, cancelled: 2 });
    const intended = records.map((record) => record.intended).sort((a, b) => a - b);
    for (let i = 1; i < intended.length; i++) expect(intended[i]! - intended[i - 1]!).toBeCloseTo(20e6, -1);
  });

  it('opens connections ahead', async () => {
    const server = await serve({ ttftMs: 50 });
    await runFor(server.url, ['load.concurrency=5', 'measure.requests=5', 'measure.warmup.per_adapter=0']);
    // The probe's own, and five.
    expect(server.connections).toBeLessThanOrEqual(8);
    expect(server.connections).toBeGreaterThanOrEqual(5);
  });

  it('repeats with other prompts, the same lengths, and a new nonce', async () => {
    const server = await serve();
    const { outcome } = await runFor(server.url, [
      'measure.repeats=2',
      'load.concurrency=1',
      'measure.warmup.per_adapter=0',
    ]);
    const [first, second] = outcome.cells[0]!.runs;
    expect(first!.nonce).not.toBe(second!.nonce);
    const prompts = server.log.map(({ body }) => body['prompt']);
    expect(new Set(prompts).size).toBe(12);
  });

  it('counts failures by name and goes on', async () => {
    const server = await serve({ fault: (n) => (n % 3 === 2 ? { status: 500, body: '{"error": "no"}' } : null) });
    const { outcome } = await runFor(server.url, ['measure.warmup.per_adapter=0', 'load.concurrency=1']);
    const run = outcome.cells[0]!.runs[0]!;
    expect(run).toMatchObject({ state: 'done', counts: { issued: 6, ok: 4, failed: 2 }, errors: { http_500: 2 } });
  });

  it('warns of a warm-up that fails', async () => {
    const server = await serve({ adapters: [] });
    const { events, outcome } = await runFor(server.url, ['adapters.count=1', 'load.concurrency=1']);
    const warnings = events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
    expect(warnings.join('\n')).toMatch(/c1: 1 of 2 warm-up requests failed; adapter a1: http_404/);
    expect(outcome.cells[0]!.runs[0]!.counts).toMatchObject({ ok: 0, failed: 6 });
  });

  it('refuses a cell whose adapters the server does not have', async () => {
    const server = await serve({ adapters: ['other'] });
    await expect(runFor(server.url, ['adapters.count=1']).then(({ outcome }) => outcome)).resolves.toMatchObject({
      cells: [],
      failures: [{ code: 'PLAN_INVALID', message: expect.stringMatching(/has no adapter a1; it has other/) as string }],
    });
  });

  it('throws when nothing answers at all', async () => {
    const server = await serve();
    await server.close();
    await expect(runFor(server.url, [])).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE' });
  });
});

describe('when the server dies in mid-run', () => {
  it('names what was in flight, keeps the rest, and says so once', async () => {
    const server = await serve({ ttftMs: 100, gapMs: 50 });
    let ended = 0;
    const { outcome, records } = await runFor(
      server.url,
      ['load.concurrency=3', 'measure.requests=30', 'measure.repeats=2'],
      {
        comeBackMs: 600,
        progress: (event) => {
          if (event.kind === 'request' && ++ended === 4) void server.close();
        },
      },
    );
    const [first] = outcome.cells[0]!.runs;
    expect(first!.state).toBe('failed');
    expect(first!.counts.ok).toBeGreaterThanOrEqual(4);
    expect(first!.errors['target_died']).toBeGreaterThan(0);
    expect(Object.keys(first!.errors)).toEqual(['target_died']);
    expect(first!.counts.issued).toBe(records.filter(({ phase, run }) => phase === 'measure' && run === 'c1.0').length);
    expect(outcome.failures[0]).toMatchObject({ code: 'TARGET_DIED', exitCode: 5 });
    // It never came back: the second run is not measured, and the reader is told.
    expect(outcome.cells[0]!.runs).toHaveLength(1);
    expect(outcome.warnings.join('\n')).toContain('1 of 2 runs could not be measured');
  });

  it('measures the rest when it comes back', async () => {
    const server = await serve({ ttftMs: 30, gapMs: 20 });
    let again: Promise<TimedServer> | null = null;
    let ended = 0;
    const { outcome } = await runFor(server.url, ['measure.repeats=2', 'measure.requests=8'], {
      progress: (event) => {
        if (event.kind === 'request' && ++ended === 3) {
          again = server
            .close()
            .then(() => new Promise((resolve) => setTimeout(resolve, 1_500)))
            .then(() => serve({ port: server.port }));
        }
      },
    });
    await again;
    const [first, second] = outcome.cells[0]!.runs;
    expect(first!.state).toBe('failed');
    expect(second).toMatchObject({ state: 'done', counts: { issued: 8, ok: 8 } });
    expect(outcome.failures.map(({ code }) => code)).toEqual(['TARGET_DIED']);
  });

  it('does not take one reset connection for a death', async () => {
    const server = await serve({
      // Twice: a kept connection that is found closed is no answer, and the request goes out again on a new one.
      fault: (n) => (n === 2 ? 'reset_mid_stream' : n === 4 || n === 5 ? 'reset_before_headers' : null),
    });
    const { outcome } = await runFor(server.url, ['measure.warmup.per_adapter=0', 'load.concurrency=1']);
    expect(outcome.failures).toEqual([]);
    expect(outcome.cells[0]!.runs[0]).toMatchObject({
      state: 'done',
      errors: { reset_mid_stream: 1, reset_before_headers: 1 },
    });
  });
});

describe('when the server dies between two runs', () => {
  it('begins the next run again once an endpoint is back, and says what happened', async () => {
    const server = await serve();
    let again: Promise<TimedServer> | null = null;
    const { outcome } = await runFor(server.url, ['measure.repeats=2'], {
      progress: (event) => {
        if (event.kind !== 'run-end' || again !== null) return;
        again = server
          .close()
          .then(() => new Promise((resolve) => setTimeout(resolve, 1_500)))
          .then(() => serve({ port: server.port }));
      },
    });
    await again;
    expect(outcome.cells[0]!.runs.map(({ state }) => state)).toEqual(['done', 'done']);
    expect(outcome.failures).toMatchObject([
      { code: 'TARGET_DIED', message: expect.stringMatching(/^c1: .*stopped answering/) as string },
    ]);
    expect(outcome.warnings.join('\n')).not.toContain('could not be measured');
  });

  it('never hands on one that is known to be dead: its reason is told, and a new one runs the cell', async () => {
    const server = await serve();
    const real = endpointSource({ url: server.url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} });
    const deaths: ((sentence: string) => void)[] = [];
    const source: TargetSource = {
      ...real,
      async bringUp(...asked) {
        const target = await real.bringUp(...asked);
        const { info, connection, model } = target;
        return {
          ...{ info, connection, model },
          died: new Promise((resolve) => deaths.push(resolve)),
          ensureAdapters: (cell) => target.ensureAdapters(cell),
          suspect: () => target.suspect(),
          stop: () => target.stop(),
        };
      },
    };
    const { outcome } = await runFor(server.url, ['measure.repeats=2'], {
      source,
      progress: (event) => {
        if (event.kind === 'run-end' && deaths.length === 1) deaths[0]!('the engine was ended by SIGKILL');
      },
    });
    expect(deaths).toHaveLength(2);
    expect(outcome.cells[0]!.runs.map(({ state }) => state)).toEqual(['done', 'done']);
    expect(outcome.failures.map(({ code, message }) => [code, message])).toEqual([
      ['TARGET_DIED', 'before c1: the engine was ended by SIGKILL'],
    ]);
  });
});

describe('when it is stopped', () => {
  it('cancels what is in flight and keeps what was measured', async () => {
    const server = await serve({ ttftMs: 50, gapMs: 30 });
    const interrupt = new AbortController();
    let ended = 0;
    const { outcome, records } = await runFor(server.url, ['measure.requests=50', 'measure.repeats=3'], {
      signal: interrupt.signal,
      progress: (event) => {
        if (event.kind === 'request' && ++ended === 5) interrupt.abort();
      },
    });
    expect(outcome.failures[0]).toMatchObject({ code: 'INTERRUPTED', exitCode: 130 });
    const [only] = outcome.cells[0]!.runs;
    expect(outcome.cells[0]!.runs).toHaveLength(1);
    expect(only!.state).toBe('interrupted');
    expect(only!.counts.cancelled).toBeGreaterThan(0);
    expect(only!.counts.ok).toBeGreaterThanOrEqual(5);
    expect(only!.counts.ok + only!.counts.cancelled).toBe(only!.counts.issued);
    expect(records.filter(({ phase }) => phase === 'measure')).toHaveLength(only!.counts.issued);
  });

  it('stops with the first record that has no room', async () => {
    const server = await serve();
    let written = 0;
    const append = () => {
      if (++written > 5) throw new BenchError('OUTPUT_DISK_FULL', 'no room');
    };
    const { outcome } = await runFor(server.url, ['measure.requests=100', 'measure.repeats=2'], {
      records: { append },
    });
    expect(outcome.failures.map(({ code }) => code)).toEqual(['OUTPUT_DISK_FULL']);
    expect(outcome.cells[0]!.runs).toHaveLength(1);
    const [run] = outcome.cells[0]!.runs;
    expect(run!.state).toBe('failed');
    expect(run!.counts.issued).toBeLessThan(100);
    expect(run!.counts.ok).toBeGreaterThan(0);
  });
});
