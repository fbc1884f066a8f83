/** One run in AIPerf's form: every metric against AIPerf's own formula, applied to the records it was measured from. */
import { describe, expect, it } from 'vitest';
import type { Cell, Load, Slo } from '../../src/plan/plan.ts';
import { aiperfExport, documentOf } from '../../src/result/aiperf.ts';
import type { AiperfStats } from '../../src/result/aiperf-stats.ts';
import type { RequestRecord, Result, RunResult } from '../../src/result/schema.ts';
import { measureRun } from '../../src/validity/measure-run.ts';
import { cell, failed, ms, OPEN, record } from '../metrics/records.ts';
import { resultFixture } from '../report/fixture.ts';

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** Four requests of 3 tokens each, one after the other; the second chunk of some has two. */
const served = (): RequestRecord[] =>
  [0, 100, 200, 300].map((sentMs, i) =>
    record({
      sentMs,
      chunks:
        i % 2 === 0
          ? [
              [10 + i, 1],
              [20 + i, 1],
              [40 + 2 * i, 1],
            ]
          : [
              [10 + i, 1],
              [50 + i, 2],
            ],
      endMs: sentMs + 60, // behind the last content
    }),
  );

const cutShort = (sentMs: number): RequestRecord =>
  record({
    sentMs,
    chunks: [
      [5, 1],
      [9, 1],
    ],
    endMs: sentMs + 90,
    outcome: 'cancelled',
    usage: null,
  });

function exportOf(records: RequestRecord[], options: { slo?: Slo; load?: Load; over?: Partial<RunResult> } = {}) {
  const given: Cell = cell(options.load);
  const numbers = measureRun(records, {
    cell: given,
    slo: options.slo ?? null,
    runStart: 0,
    lastIssue: Math.max(...records.map(({ sent }) => sent)),
    runEnd: Math.max(...records.map(({ end }) => end)),
  });
  const base = resultFixture({ requests: 2, adapters: [0], concurrency: [1], standIn: null });
  const run: RunResult = { ...(base.cells[0]!.runs[0] as RunResult), ...numbers, ...options.over };
  const result: Result = { ...base, cells: [{ ...base.cells[0]!, at: given.at, runs: [run] }] };
  return aiperfExport(result, result.cells[0]!, 0);
}

describe('metrics', () => {
  const { metrics } = exportOf(served());
  const avg = (tag: string) => metrics[tag]?.avg as number;

  it('are these and no others', () => {
    expect(Object.keys(metrics).sort()).toEqual([
      'benchmark_duration',
      'completed_request_count',
      'input_sequence_length',
      'input_token_throughput',
      'inter_chunk_latency',
      'inter_token_latency',
      'output_sequence_length',
      'output_token_throughput',
      'output_token_throughput_per_user',
      'request_count',
      'request_error_rate',
      'request_latency',
      'request_throughput',
      'time_to_first_output_token',
      'time_to_first_token',
      'total_isl',
      'total_osl',
      'total_token_throughput',
    ]);
  });

  it("follow AIPerf's formulas", () => {
    const firsts = [10, 11, 12, 13];
    const latencies = [40, 51, 44, 53];
    expect(avg('time_to_first_token')).toBeCloseTo(mean(firsts), 9);
    expect(avg('time_to_first_output_token')).toBeCloseTo(mean(firsts), 9);
    expect(avg('request_latency')).toBeCloseTo(mean(latencies), 9);
    // (request latency - time to first token) / (output sequence length - tokens of the first chunk)
    const itl = latencies.map((latency, i) => (latency - firsts[i]!) / (3 - 1));
    expect(avg('inter_token_latency')).toBeCloseTo(mean(itl), 9);
    const perUser = avg('output_token_throughput_per_user');
    expect(Math.abs(perUser / mean(itl.map((value) => 1000 / value)) - 1)).toBeLessThan(1e-3);
    expect(metrics['inter_chunk_latency']).toMatchObject({ count: 6, sum: 10 + 20 + 40 + 10 + 22 + 40 });
    expect(metrics['output_sequence_length']).toMatchObject({ unit: 'tokens', avg: 3, count: 4, sum: 12 });
    expect(metrics['input_sequence_length']).toMatchObject({ unit: 'tokens', avg: 7, count: 4, sum: 28 });
    // From the first send to the last content, not to the end of the stream.
    const seconds = 0.353;
    const expected: Record<string, AiperfStats> = {
      benchmark_duration: { unit: 'sec', avg: seconds },
      request_count: { unit: 'requests', avg: 4 },
      completed_request_count: { unit: 'requests', avg: 4 },
      request_error_rate: { unit: '%', avg: 0 },
      request_throughput: { unit: 'requests/sec', avg: 4 / seconds },
      output_token_throughput: { unit: 'tokens/sec', avg: 12 / seconds },
      input_token_throughput: { unit: 'tokens/sec', avg: 28 / seconds },
      total_token_throughput: { unit: 'tokens/sec', avg: 40 / seconds },
      total_isl: { unit: 'tokens', avg: 28 },
      total_osl: { unit: 'tokens', avg: 12 },
    };
    for (const [tag, { unit, avg: value }] of Object.entries(expected)) {
      expect({ tag, unit: metrics[tag]?.unit, fields: Object.keys(metrics[tag] ?? {}) }).toEqual({
        tag,
        unit,
        fields: ['unit', 'avg'],
      });
      expect(avg(tag)).toBeCloseTo(value as number, 9);
    }
  });

  it('are of the requests that succeeded, with errors beside them and in adj_', () => {
    const { metrics: some, error_summary } = exportOf([...served(), failed({ sentMs: 20, endMs: 21 }), cutShort(30)]);
    for (const tag of ['time_to_first_token', 'request_latency', 'inter_token_latency', 'output_token_throughput']) {
      expect(some[tag]?.avg).toBeCloseTo(avg(tag), 9);
      expect(some[tag]?.count).toBe(metrics[tag]?.count);
    }
    expect(some['request_count']?.avg).toBe(4);
    expect(some['error_request_count']).toEqual({ unit: 'requests', avg: 2 });
    expect(some['completed_request_count']?.avg).toBe(6);
    expect(some['request_error_rate']?.avg).toBeCloseTo(100 / 3, 9);
    expect(some['adj_request_latency']).toMatchObject({ count: 6, min: 40, p50: 51 });
    expect(some['adj_request_latency']).not.toHaveProperty('p90');
    expect(Object.keys(some).filter((tag) => tag.startsWith('adj_'))).toHaveLength(3);
    expect(error_summary).toEqual([
      { error_details: { code: 500, type: 'http_500', message: 'http 500' }, count: 1 },
      { error_details: { code: 499, type: 'RequestCancellationError', message: expect.any(String) }, count: 1 },
    ]);
  });

  it('leave out gaps where a request that failed had some', () => {
    expect(exportOf([...served(), failed({ sentMs: 20 })]).metrics).toHaveProperty('inter_chunk_latency');
    expect(exportOf([...served(), cutShort(30)]).metrics).not.toHaveProperty('inter_chunk_latency');
  });

  it('judge goodput over the whole run, and all that were issued', () => {
    const slo: Slo = { ttftMs: 12, e2eMs: 45 };
    const { metrics: good } = exportOf([...served(), failed({ sentMs: 20 })], { slo });
    expect(good['good_request_count']).toEqual({ unit: 'requests', avg: 2 });
    expect(good['good_request_fraction']).toEqual({ unit: 'ratio', avg: 2 / 5 });
    expect(good['goodput']?.avg).toBeCloseTo(2 / 0.353, 9);
    // AIPerf and we differ over a request without a decode rate.
    const single = record({ sentMs: 40, chunks: [[10, 1]] });
    expect(exportOf([...served(), single], { slo }).metrics).not.toHaveProperty('goodput');
  });

  it('count from the actual send, or are left out, where a schedule was not kept', () => {
    const late = (lagMs: number) => served().map((one) => ({ ...one, intended: one.sent - ms(lagMs) }));
    const { metrics: kept } = exportOf(late(0.03), { load: OPEN, slo: { ttftMs: 12 } });
    expect(kept['time_to_first_token']?.avg).toBeCloseTo(11.5, 9);
    expect(kept['request_latency']?.avg).toBeCloseTo(mean([40, 51, 44, 53]), 1);
    expect(kept).toHaveProperty('goodput');
    const { metrics: slipped } = exportOf(late(5), { load: OPEN, slo: { ttftMs: 12 } });
    expect(slipped['time_to_first_token']?.avg).toBeCloseTo(11.5, 9);
    for (const tag of ['request_latency', 'time_to_first_output_token', 'goodput']) {
      expect(slipped).not.toHaveProperty(tag);
    }
  });

  it('of a run in which nothing succeeded are counts', () => {
    const { metrics: none } = exportOf([failed(), failed({ sentMs: 10 })]);
    expect(none).toEqual({
      request_count: { unit: 'requests', avg: 0 },
      error_request_count: { unit: 'requests', avg: 2 },
      completed_request_count: { unit: 'requests', avg: 2 },
      request_error_rate: { unit: '%', avg: 100 },
    });
  });

  it('leave out what needs tokens where nobody counts them', () => {
    const uncounted = served().map((one) => ({
      ...one,
      usage: null,
      chunks: one.chunks.map(([at]): [number, null] => [at, null]),
    }));
    const { metrics: some } = exportOf(uncounted);
    expect(some).toHaveProperty('request_latency');
    expect(some).toHaveProperty('inter_chunk_latency');
    for (const tag of ['inter_token_latency', 'output_token_throughput', 'output_sequence_length', 'total_osl']) {
      expect(some).not.toHaveProperty(tag);
    }
  });
});

describe('a run whose start was not steady', () => {
  it('has latencies of what came after, counts and rates of all, and says so', () => {
    // The first fifty take five times as long.
    const settling = Array.from({ length: 300 }, (_, i) =>
      record({
        sentMs: 100 * i,
        chunks: [
          [i < 50 ? 50 : 10 + (i % 7) / 10, 1],
          [i < 50 ? 90 : 20, 1],
        ],
      }),
    );
    const { metrics, metadata } = exportOf(settling);
    const cut = metadata['requests_before_steady_state'] as number;
    expect(cut).toBeGreaterThanOrEqual(50);
    expect(metrics['time_to_first_token']).toMatchObject({ count: 300 - cut });
    expect(metrics['time_to_first_token']?.max).toBeLessThan(11);
    expect(metrics['request_count']?.avg).toBe(300);
    expect(metrics['output_sequence_length']?.count).toBe(300);
    expect(metrics['benchmark_duration']?.avg).toBeCloseTo(29.92, 9);
  });
});

describe('what is said of a run', () => {
  it('names it, its seed and its place in the sweep by paths of the scenario', () => {
    const result = resultFixture({ adapters: [0, 2], concurrency: [1, 4], repeats: 2, requests: 4 });
    const wanted = result.cells.findIndex(({ at }) => at.adapters === 2 && at.concurrency === 4);
    const one = aiperfExport(result, result.cells[wanted]!, 1);
    expect(one.run_info).toMatchObject({
      sweep_id: result.session,
      random_seed: result.cells[wanted]!.runs[1]!.seed,
      trial: 1,
      run_label: `${result.cells[wanted]!.id}.1`,
      variation_index: wanted,
    });
    expect(one.run_info.variation_values).toMatchObject({ 'adapters.count': 2, 'load.concurrency': 4 });
    expect(one.run_info.variation_label).toMatch(/adapters_2__.*concurrency_4/);
    expect(one.run_info.benchmark_id).toBe(one.benchmark_id);
    const ids = result.cells.flatMap((each) => each.runs.map((_, i) => aiperfExport(result, each, i).benchmark_id));
    expect(new Set(ids).size).toBe(8);
  });

  it('has no variation where nothing is swept', () => {
    const { run_info } = exportOf(served());
    expect(run_info).toMatchObject({ variation_label: 'base', variation_index: 0, variation_values: {} });
  });

  it('tells whether it is complete, and of a stand-in that it is one', () => {
    expect(exportOf(served())).toMatchObject({ was_cancelled: false, is_complete: true });
    expect(exportOf(served(), { over: { state: 'interrupted' } })).toMatchObject({
      was_cancelled: true,
      is_complete: false,
      incomplete_reason: 'the run was interrupted',
    });
    expect(exportOf(served(), { over: { state: 'failed' } })).toMatchObject({
      was_cancelled: false,
      is_complete: false,
    });
    const standIn = { for: 'llama-3-8b', scale: '1/8', why: 'no GPU' };
    const result = resultFixture({ standIn, requests: 2 });
    expect(aiperfExport(result, result.cells[0]!, 0).metadata).toMatchObject({ stand_in: standIn });
    expect(exportOf(served()).metadata).not.toHaveProperty('stand_in');
  });

  it('lies on the disk with every metric a field of its own', () => {
    const document = documentOf(exportOf(served()));
    expect(document).toMatchObject({ schema_version: '1.5', request_count: { unit: 'requests', avg: 4 } });
    expect(document).not.toHaveProperty('metrics');
    expect(document).not.toHaveProperty('aiperf_version');
  });
});
