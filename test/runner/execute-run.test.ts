/** The way to a run: in which order things are got ready, and that each step ends when the run is to end. */
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import type { Target, TargetSource } from '../../src/target/target.ts';
import { wordsOf } from '../../src/workload/words.ts';
import { startTimedServer, type TimedServer } from '../support/timed-server.ts';
import { runFor } from './plan-for.ts';

const servers: TimedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(): Promise<TimedServer> {
  const server = await startTimedServer({ adapters: ['a1', 'a2', 'a3'], ttftMs: 5, gapMs: 2 });
  servers.push(server);
  return server;
}

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
});

it('makes prompts before it opens connections, which a server would close while they idle', async () => {
  const server = await serve();
  const connections: number[] = [];
  const noting: Tokenizer = {
    ...tokenizer,
    encode: (text) => {
      connections.push(server.connections);
      return tokenizer.encode(text);
    },
  };
  const set = ['load.concurrency=8', 'measure.requests=10', 'measure.warmup.per_adapter=0'];
  const { outcome } = await runFor(server.url, set, { tokenizerOf: () => noting });
  expect(outcome.cells[0]!.runs[0]!.counts.ok).toBe(10);
  expect(connections.length).toBeGreaterThanOrEqual(10);
  expect(Math.max(...connections)).toBeLessThan(8); // those of the probe
});

describe('stopped on the way', () => {
  /** An endpoint whose adapters take forever. */
  const hanging = (url: string, begun: () => void): TargetSource => {
    const source = endpointSource({ url, api: 'completions', apiKeyEnv: null, headers: {}, env: {} });
    return {
      ...source,
      async bringUp(cell, report, signal) {
        const target: Target = await source.bringUp(cell, report, signal);
        target.ensureAdapters = () => {
          begun();
          return new Promise(() => {});
        };
        return target;
      },
    };
  };

  it('does not wait for adapters', async () => {
    const server = await serve();
    const interrupt = new AbortController();
    const source = hanging(server.url, () => setTimeout(() => interrupt.abort(), 20));
    const { outcome, records } = await runFor(server.url, [], { source, signal: interrupt.signal });
    expect(outcome.failures.map(({ code }) => code)).toEqual(['INTERRUPTED']);
    expect([outcome.cells, records]).toEqual([[], []]);
  }, 10_000);

  it('does not make the rest of the prompts, nor open a connection', async () => {
    const server = await serve();
    const interrupt = new AbortController();
    let encoded = 0;
    let connections = 0;
    let looking = true;
    const slow: Tokenizer = {
      ...tokenizer,
      encode: (text) => {
        if (looking) return tokenizer.encode(text);
        const until = performance.now() + 2;
        while (performance.now() < until);
        if (++encoded === 5) setTimeout(() => interrupt.abort(), 20);
        connections = server.connections;
        return tokenizer.encode(text);
      },
    };
    wordsOf(slow); // found once for each tokenizer, and not what is measured here
    looking = false;
    const set = ['measure.requests=2000', 'measure.warmup.per_adapter=0'];
    const { outcome } = await runFor(server.url, set, { tokenizerOf: () => slow, signal: interrupt.signal });
    expect(outcome.failures.map(({ code }) => code)).toEqual(['INTERRUPTED']);
    expect(encoded).toBeLessThan(1_000);
    expect(server.connections).toBe(connections);
  }, 20_000);
});
