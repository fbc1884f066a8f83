/** Two real servers on loopback whose timings are known, run against each other: order, seeds, looks, deaths. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../engine/models/tokenizer.ts';
import type { PairedRuns } from '../../src/result/arms.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { type PairsOutcome, type RunPairsOptions, runPairs } from '../../src/runner/run-pairs.ts';
import type { Side } from '../../src/runner/side.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import type { TargetSource } from '../../src/target/target.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { planFor } from './plan-for.ts';

let tokenizer: Awaited<ReturnType<typeof loadTokenizer>>;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

const servers: TimedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(options: Partial<TimedServerOptions> = {}): Promise<TimedServer> {
  const server = await startTimedServer({ adapters: ['a1', 'a2', 'a3'], ttftMs: 3, gapMs: 1, ...options });
  servers.push(server);
  return server;
}

const QUICK = ['measure.requests=2', 'load.concurrency=1', 'measure.warmup.per_adapter=0', 'output.tokens=2'];

const sourceAt = (url: string): TargetSource =>
  endpointSource({ url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} });

const sideAt = (url: string, set: readonly string[], source = sourceAt(url)): Side => ({
  plan: planFor(url, [...QUICK, ...set]),
  source,
  tokenizerOf: () => tokenizer,
});

type More = Partial<Omit<RunPairsOptions, 'a' | 'b'>>;

async function compare(a: Side, b: Side | null, more: More = {}) {
  const records: RequestRecord[] = [];
  const outcome = await runPairs({
    a,
    b,
    records: { append: (record) => void records.push(record) },
    progress: () => {},
    signal: new AbortController().signal,
    ...more,
  });
  return { outcome, records };
}

const names = ({ pairs }: PairsOutcome) => pairs.map(({ cell, pair, a, b }) => [cell, pair, a?.state, b?.state]);

describe('two targets', () => {
  it('get run for run the same load, and no prompt twice', async () => {
    const [a, b] = [await serve(), await serve({ ttftMs: 30 })];
    const set = ['load.concurrency=[1,2]', 'measure.repeats=2', 'output.tokens={uniform: {min: 2, max: 6}}'];
    const { outcome, records } = await compare(sideAt(a.url, set), sideAt(b.url, set));
    expect(outcome.failures).toEqual([]);
    expect(outcome.cells.map(({ id, target, runs }) => [id, target, runs.length])).toEqual([
      ['c1', 'A', 2],
      ['c1', 'B', 2],
      ['c2', 'A', 2],
      ['c2', 'B', 2],
    ]);
    expect(outcome.targets).toMatchObject([
      { id: 'A', arm: 'A', url: a.url },
      { id: 'B', arm: 'B', url: b.url },
    ]);
    for (const pair of outcome.pairs) {
      expect(pair.b!.seed).toBe(pair.a!.seed);
      expect(pair.b!.nonce).not.toBe(pair.a!.nonce);
      expect(Math.abs(pair.b!.order - pair.a!.order)).toBe(1);
      expect([pair.a!.arm, pair.b!.arm, pair.a!.pair, pair.b!.pair]).toEqual(['A', 'B', pair.pair, pair.pair]);
      const asked = (arm: string) =>
        records
          .filter(({ run }) => run === `${pair.cell}.${pair.pair}.${arm}`)
          .sort((x, y) => x.i - y.i)
          .map(({ asked }) => asked);
      expect(asked('A')).toHaveLength(2);
      expect(asked('A')).toEqual(asked('B'));
    }
    const prompts = [...a.log, ...b.log].map(({ body }) => body['prompt']);
    expect(new Set(prompts).size).toBe(prompts.length);
    expect([a.log.length, b.log.length]).toEqual([8, 8]);
    // Which is which: B is slower by 27 ms.
    const [first] = outcome.pairs;
    const p50 = (run: PairedRuns['a']) => (run!.metrics['ttft'] as { p50: number }).p50;
    expect(p50(first!.b) - p50(first!.a)).toBeGreaterThan(20);
  });

  it('are both probed once, and stay up', async () => {
    const [a, b] = [await serve(), await serve()];
    const ups: string[] = [];
    const counting = (name: string, url: string): TargetSource => {
      const source = sourceAt(url);
      const bringUp: TargetSource['bringUp'] = (...asked) => {
        ups.push(name);
        return source.bringUp(...asked);
      };
      return { ...source, bringUp };
    };
    const set = ['measure.repeats=3'];
    await compare(sideAt(a.url, set, counting('A', a.url)), sideAt(b.url, set, counting('B', b.url)));
    expect(ups.sort()).toEqual(['A', 'B']);
  });

  it.each([
    [false, 1],
    [true, 2],
  ])(
    'take turns where both are bundled engines on a GPU (software: %s, so %i are up at most)',
    async (sharesDevice, wanted) => {
      const [a, b] = [await serve(), await serve()];
      const up = new Set<string>();
      let most = 0;
      const exclusive = (name: string, url: string): TargetSource => {
        const source = sourceAt(url);
        return {
          ...source,
          kind: 'engine',
          sharesDevice,
          async bringUp(...asked) {
            const target = await source.bringUp(...asked);
            most = Math.max(most, up.add(name).size);
            const { info, connection, model, died } = target;
            const stop = async () => void up.delete(name);
            const rest = {
              stop,
              suspect: () => target.suspect(),
              ensureAdapters: (cell: Parameters<typeof target.ensureAdapters>[0]) => target.ensureAdapters(cell),
            };
            return { info, connection, model, died, ...rest };
          },
        };
      };
      const set = ['measure.repeats=2'];
      const { outcome } = await compare(
        sideAt(a.url, set, exclusive('A', a.url)),
        sideAt(b.url, set, exclusive('B', b.url)),
      );
      expect(names(outcome)).toEqual([
        ['c1', 0, 'done', 'done'],
        ['c1', 1, 'done', 'done'],
      ]);
      expect(most).toBe(wanted);
    },
  );

  it('may be one: both arms on it, in one cell', async () => {
    const server = await serve();
    const { outcome, records } = await compare(sideAt(server.url, ['measure.repeats=2']), null);
    expect(outcome.targets.map(({ id, arm }) => [id, arm])).toEqual([['endpoint', undefined]]);
    expect(outcome.cells.map(({ id, runs }) => [id, runs.map(({ arm }) => arm).sort()])).toEqual([
      ['c1', ['A', 'A', 'B', 'B']],
    ]);
    expect(names(outcome)).toEqual([
      ['c1', 0, 'done', 'done'],
      ['c1', 1, 'done', 'done'],
    ]);
    expect(new Set(records.map(({ run }) => run))).toEqual(new Set(['c1.0.A', 'c1.0.B', 'c1.1.A', 'c1.1.B']));
  });
});

describe('looks', () => {
  const set = ['load.concurrency=[1,2]', 'measure.repeats=6'];

  it('are taken when every cell has its pairs, and the first decision ends it', async () => {
    const [a, b] = [await serve(), await serve()];
    const asked: [number, number][] = [];
    const judge = (pairs: PairedRuns[], look: number) => {
      expect(pairs.every((pair) => pair.a?.state === 'done' && pair.b?.state === 'done')).toBe(true);
      asked.push([look, pairs.length]);
      return { decided: look === 1 };
    };
    const { outcome } = await compare(sideAt(a.url, set), sideAt(b.url, set), { looks: [1, 3, 6], judge });
    expect(asked).toEqual([
      [0, 2],
      [1, 6],
    ]);
    expect(outcome.decidedAtLook).toBe(1);
    expect(outcome.pairs).toHaveLength(6);
    expect(a.log).toHaveLength(12);
  });

  it('come to an end undecided', async () => {
    const server = await serve();
    const asked: number[] = [];
    const judge = (_: PairedRuns[], look: number) => ({ decided: asked.push(look) < 0 });
    const { outcome } = await compare(sideAt(server.url, ['measure.repeats=2']), null, { looks: [1, 2], judge });
    expect(asked).toEqual([0, 1]);
    expect(outcome).toMatchObject({ decidedAtLook: null, failures: [] });
    expect(outcome.pairs).toHaveLength(2);
  });
});

describe('when one of the two is gone', () => {
  const set = ['measure.repeats=4', 'measure.requests=4'];

  it('is a fact about that one: its run failed, the other was measured, and no further pair is begun', async () => {
    const [a, b] = [await serve({ ttftMs: 20 }), await serve({ ttftMs: 20 })];
    let seen = 0;
    const { outcome } = await compare(sideAt(a.url, set), sideAt(b.url, set), {
      comeBackMs: 300,
      progress: (event) => {
        // The second pair of B dies in its middle.
        if (event.kind === 'request' && event.record.run === 'c1.1.B' && ++seen === 2) void b.close();
      },
    });
    expect(names(outcome).slice(0, 2)).toEqual([
      ['c1', 0, 'done', 'done'],
      ['c1', 1, 'done', 'failed'],
    ]);
    // That it does not come back is seen in the next pair, where A may have been first.
    for (const late of names(outcome).slice(2)) expect(late).toEqual(['c1', 2, 'done', undefined]);
    expect(outcome.pairs[1]!.b!.errors['target_died']).toBeGreaterThan(0);
    expect(outcome.sides.A).toEqual({ failures: [], deaths: 0, lost: null });
    expect(outcome.sides.B).toMatchObject({ deaths: 1, lost: expect.stringMatching(/cannot reach/) as string });
    expect(outcome.sides.B.failures[0]).toMatchObject({
      code: 'TARGET_DIED',
      message: expect.stringMatching(/^B: c1: .*stopped answering/) as string,
    });
    expect(outcome.warnings.join('\n')).toContain('runs could not be measured');
  });

  it('goes on when it comes back', async () => {
    const [a, b] = [await serve({ ttftMs: 20 }), await serve({ ttftMs: 20 })];
    let again: Promise<TimedServer> | null = null;
    const { outcome } = await compare(sideAt(a.url, set), sideAt(b.url, set), {
      progress: (event) => {
        if (event.kind !== 'request' || event.record.run !== 'c1.1.A' || again !== null) return;
        again = a
          .close()
          .then(() => new Promise((resolve) => setTimeout(resolve, 1_200)))
          .then(() => serve({ port: a.port }));
      },
    });
    await again;
    expect(names(outcome)).toEqual([
      ['c1', 0, 'done', 'done'],
      ['c1', 1, 'failed', 'done'],
      ['c1', 2, 'done', 'done'],
      ['c1', 3, 'done', 'done'],
    ]);
    expect(outcome.sides).toMatchObject({ A: { deaths: 1, lost: null }, B: { deaths: 0, lost: null } });
  });

  it('from the start: the other has its half of the first pair, whichever came first', async () => {
    const [a, b] = [await serve(), await serve()];
    await b.close();
    const { outcome } = await compare(sideAt(a.url, set), sideAt(b.url, set));
    expect(names(outcome)).toEqual([['c1', 0, 'done', undefined]]);
    expect(outcome.sides.B.failures).toMatchObject([{ code: 'TARGET_UNREACHABLE' }]);
    expect(outcome.sides.A.failures).toEqual([]);
  });
});

describe('when it is interrupted', () => {
  it('keeps what was measured, and asks no judge about half a look', async () => {
    const [a, b] = [await serve({ ttftMs: 30 }), await serve({ ttftMs: 30 })];
    const interrupt = new AbortController();
    const set = ['measure.repeats=4'];
    let judged = 0;
    const { outcome } = await compare(sideAt(a.url, set), sideAt(b.url, set), {
      looks: [2, 4],
      judge: () => ({ decided: ++judged < 0 }),
      signal: interrupt.signal,
      progress: (event) => {
        if (event.kind === 'request' && event.record.run.startsWith('c1.3.')) interrupt.abort();
      },
    });
    expect(judged).toBe(1);
    expect(outcome.failures.map(({ code }) => code)).toEqual(['INTERRUPTED']);
    expect(names(outcome).slice(0, 3)).toEqual([
      ['c1', 0, 'done', 'done'],
      ['c1', 1, 'done', 'done'],
      ['c1', 2, 'done', 'done'],
    ]);
    const last = outcome.pairs[3]!;
    expect([last.a?.state, last.b?.state].sort()).toEqual(['interrupted', undefined]);
  });
});
