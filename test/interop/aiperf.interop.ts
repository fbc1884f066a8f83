/**
 * AIPerf and `bench` on the same servers under the same load.
 *
 * A server whose timings are known tells which of the two is right where they differ: each is held against what the server
 * says of that very run. llama.cpp on a real model shows that they agree in earnest. LORABENCH_COMPARISON=write puts what
 * was measured into aiperf-comparison.md, with the machine it was measured on.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { isDistribution } from '../../src/result/schema.ts';
import { startTimedServer, type TimedServer, type TimedServerOptions } from '../support/timed-server.ts';
import { agreed, apart, type Bound, quicker, servedAs } from './agreement.ts';
import { type Measured, type Pair, type TimedPair, writeComparison } from './comparison.ts';
import type { Prepared, PreparedAiperf } from './prepare.ts';
import { type Server, startLlama } from './servers.ts';
import { type Export, figure, type Load, runAiperf, runBench } from './tools.ts';

const prepared = inject('interop');
const aiperf = inject('aiperf');

const LATENCIES = ['time_to_first_token', 'request_latency', 'inter_token_latency', 'inter_chunk_latency'];
const medians = (within: number[], share = 0): Bound[] =>
  LATENCIES.map((tag, i) => ({ tag, statistic: 'p50', within: within[i] ?? 0, share }));

/** Milliseconds, in the order of LATENCIES: what a client's machine, the network and the server's own stamps take. */
const AGAINST_THE_SERVER = medians([2, 2, 0.2, 0.2]);
const EACH_OTHER = medians([4, 4, 0.3, 0.3]);
/**
 * llama.cpp takes no two runs the same time. With two requests in flight it prefills both at once where they come in step,
 * as AIPerf starts them, or one while the other decodes, as ours do: time moves between the first token and the others, and
 * only the whole can be compared.
 */
const ON_A_REAL_MODEL = medians([5, 5, 1, 1], 0.15);
const THE_WHOLE = ON_A_REAL_MODEL.filter(({ tag }) => tag === 'request_latency');
const EXACTLY: Bound[] = [
  'request_count.avg',
  'completed_request_count.avg',
  'request_error_rate.avg',
  'output_sequence_length.avg',
  'output_sequence_length.count',
  'total_osl.avg',
].map((name) => ({ tag: name.split('.')[0] as string, statistic: name.split('.')[1] as string, within: 1e-9 }));
const TOOLS: [string, string] = ['bench', 'AIPerf'];

describe.skipIf('skipped' in prepared || 'skipped' in aiperf)('bench and AIPerf', () => {
  const { model: tokenizer } = prepared as Prepared;
  const tool = aiperf as PreparedAiperf;
  const measured: Measured = { timed: [], llama: [] };
  let folder: string;
  let runs = 0;
  const fresh = (name: string) => join(folder, `${++runs}-${name}`);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lorabench-aiperf-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    if (process.env['LORABENCH_COMPARISON'] === 'write') await writeComparison(measured);
  });

  describe('on a server whose timings are known', () => {
    let server: TimedServer;
    afterEach(() => server.close());
    const serve = async (options: Partial<TimedServerOptions> = {}) => {
      server = await startTimedServer({ ttftMs: 100, gapMs: 10, ...options });
    };

    const loadOf = (concurrency: number): Load => ({
      url: `http://127.0.0.1:${server.port}`,
      model: 'base',
      tokenizer,
      concurrency,
      requests: 10 * concurrency,
      promptTokens: 50,
      outputTokens: 20,
    });

    /** Both tools, and what the server says of the requests that each of them counts: warm-up comes before those. */
    async function pairOf(load: Load, flags: string[] = []): Promise<TimedPair> {
      const first = server.log.length;
      const bench = await runBench(load, fresh('bench'));
      const second = server.log.length;
      const theirs = await runAiperf(tool, load, fresh('aiperf'), flags);
      const served = (from: number, to: number) => servedAs(server.log.slice(from, to).slice(-load.requests));
      return {
        load,
        bench: { ...bench, served: served(first, second) },
        aiperf: { exported: theirs, served: served(second, server.log.length) },
      };
    }

    test.each([4, 32])('%i at a time', async (concurrency) => {
      await serve();
      const { measured: pair, faults } = await agreed(
        () => pairOf(loadOf(concurrency)),
        ({ bench, aiperf: theirs }) => [
          ...apart(bench.exported, bench.served, AGAINST_THE_SERVER, ['bench', 'the server']),
          // At 32 AIPerf's one process for all streams is itself late on a small machine; the comparison shows by how much.
          ...(concurrency === 4 ? apart(bench.exported, theirs.exported, EACH_OTHER, TOOLS) : []),
          ...apart(bench.exported, theirs.exported, EXACTLY, TOOLS),
        ],
      );
      measured.timed.push(pair);
      measured.machine = pair.bench.result.machine;
      expect(faults).toEqual([]);
    });

    test('with four tokens a chunk, they agree on the time between tokens where AIPerf is told of them', async () => {
      await serve({ tokensPerChunk: 4, gapMs: 40 });
      const { measured: pair, faults } = await agreed(
        async () => {
          const load: Load = { ...loadOf(4), api: 'chat' }; // AIPerf asks for running usage there only
          const plain = await pairOf(load);
          return { plain, told: await runAiperf(tool, load, fresh('aiperf'), ['--per-chunk-usage']) };
        },
        ({ plain: { bench, aiperf: theirs }, told }) => [
          ...apart(bench.exported, bench.served, AGAINST_THE_SERVER, ['bench', 'the server']),
          ...apart(bench.exported, told, EACH_OTHER, TOOLS),
          // Untold, it takes one token off the 20 for a first chunk that had four.
          ...apart(spreadOver(bench.exported, 16 / 19), theirs.exported, EACH_OTHER.slice(2, 3), TOOLS),
        ],
      );
      measured.chunks = pair;
      expect(faults).toEqual([]);
    });

    test('with every fifth request failing, they count alike, and ours says what the survivors hide', async () => {
      await serve({ fault: (n) => (n % 5 === 4 ? { status: 500, body: '{"error": {"message": "no room"}}' } : null) });
      const alike = [...EXACTLY, { tag: 'error_request_count', statistic: 'avg', within: 0 }];
      const adjusted = { tag: 'adj_request_latency', statistic: 'p50', within: 4 };
      const { measured: pair, faults } = await agreed(
        () => pairOf(loadOf(4)),
        ({ bench, aiperf: theirs }) =>
          apart(bench.exported, theirs.exported, [...alike, ...EACH_OTHER, adjusted], TOOLS),
      );
      measured.failures = pair;
      expect(faults).toEqual([]);
      expect(figure(pair.bench.exported, 'error_request_count')).toBe(8);
      for (const { exported } of [pair.bench, pair.aiperf]) {
        const [summary, ...more] = exported['error_summary'] as { error_details: { code: number }; count: number }[];
        expect({ code: summary?.error_details.code, count: summary?.count, more }).toEqual({
          code: 500,
          count: 8,
          more: [],
        });
      }
      // A fifth failed, so nine in ten is not known; the file of AIPerf's form has it of those that succeeded, as AIPerf.
      const { e2e } = pair.bench.result.cells[0]!.runs[0]!.metrics;
      expect(isDistribution(e2e) && e2e).toMatchObject({ censored: 8, p90: { gt: expect.any(Number) } });
      expect(figure(pair.bench.exported, 'request_latency', 'p90')).toBeLessThan(400);
      expect(pair.bench.exported['adj_request_latency']).not.toHaveProperty('p90');
    });
  });

  describe('on SmolLM2-135M-Instruct in llama.cpp', () => {
    let llama: Server;
    // One thread: two of llama.cpp's wait for each other in a loop, which a client on the same cores would disturb.
    const flags = ['--threads', '1', '--slots', '2'];
    beforeAll(async () => {
      llama = await startLlama({ ...(prepared as Prepared), adapters: [] }, 'f16', flags);
    });
    afterAll(() => llama?.stop());

    test.each([1, 2])('%i at a time', async (concurrency) => {
      const load: Load = {
        url: llama.url,
        model: 'smollm2',
        tokenizer,
        concurrency,
        requests: 12,
        promptTokens: 64,
        outputTokens: 16,
        extra: { cache_prompt: false },
        closing: true,
      };
      // The model's speed is what a busy machine disturbs most: of each tool its quickest run so far.
      let best: Pair | undefined;
      const { measured: pair, faults } = await agreed(
        async (): Promise<Pair> => {
          const bench = quicker(best?.bench, await runBench(load, fresh('bench')));
          const theirs = quicker(best?.aiperf, { exported: await runAiperf(tool, load, fresh('aiperf')) });
          best = { load, bench, aiperf: theirs };
          return best;
        },
        ({ bench, aiperf: theirs }) => [
          ...apart(bench.exported, theirs.exported, concurrency === 1 ? ON_A_REAL_MODEL : THE_WHOLE, TOOLS),
          ...apart(
            bench.exported,
            theirs.exported,
            [...EXACTLY, { tag: 'total_isl', statistic: 'avg', within: 0 }],
            TOOLS,
          ),
        ],
      );
      measured.llama.push(pair);
      measured.llamaVersion = llama.version;
      expect(faults).toEqual([]);
    });
  });
});

/** An export whose time between tokens is multiplied. */
const spreadOver = (exported: Export, factor: number): Export => ({
  inter_token_latency: { unit: 'ms', p50: factor * figure(exported, 'inter_token_latency', 'p50') },
});
