/** What a run's latencies are of, and whether they stay the same: runs of a simulated server that is slow at first, or ever slower. */
import { describe, expect, it } from 'vitest';
import { measure } from '../../src/metrics/measure.ts';
import { tpotOf, ttftOf } from '../../src/metrics/request-times.ts';
import type { Cell } from '../../src/plan/plan.ts';
import { type Distribution, isDistribution, type RequestRecord } from '../../src/result/schema.ts';
import { trendOf } from '../../src/stats/trend.ts';
import { measureRun } from '../../src/validity/measure-run.ts';
import { cell, ms, OPEN, record } from './records.ts';
import { type SimulatedRun, simulatedRun } from './simulated-run.ts';

const closed = (concurrency: number, over: Partial<Cell> = {}) => cell({ kind: 'closed', concurrency }, over);

function contextOf(records: readonly RequestRecord[], given: Cell) {
  const lastIssue = Math.max(...records.map(({ sent }) => sent));
  return { cell: given, slo: null, runStart: 0, lastIssue, runEnd: Math.max(...records.map(({ end }) => end)) };
}

const judged = (run: SimulatedRun, given = closed(run.concurrency)) => {
  const records = simulatedRun(run);
  return measureRun(records, contextOf(records, given));
};

const verdicts = (count: number, run: Omit<SimulatedRun, 'seed'>) =>
  Array.from({ length: count }, (_, seed) => judged({ ...run, seed }).validity);

const countOf = (metric: unknown): number => (metric as Distribution).count;

describe('a warm-up', () => {
  const WARM = 60;
  const run = { requests: 400, concurrency: 8, seed: 3, slower: (issued: number) => (issued < WARM ? 3 : 1) };
  const records = simulatedRun(run);
  const got = measure(records, contextOf(records, closed(8)));
  const { cutRequests } = got.input.steadyDetail;

  it('is found and left out of every latency, and nothing else is', () => {
    expect(cutRequests).toBeGreaterThanOrEqual(WARM - 8);
    expect(cutRequests).toBeLessThanOrEqual(WARM + 20);
    const kept = 400 - cutRequests;
    for (const name of ['ttft', 'service_ttft', 'ttfot', 'tpot', 'e2e'])
      expect(countOf(got.metrics[name]), name).toBe(kept);
    for (const name of ['itl', 'chunk_gap']) expect(countOf(got.metrics[name]), name).toBe(9 * kept);
    expect(countOf(got.metrics['tokens_per_chunk'])).toBe(10 * kept);
    // Twice the time of a step, at the least, were slow requests among them.
    expect((got.metrics['tpot'] as Distribution).max).toBeLessThan(1.5 * 16);
  });

  it('stays in what is of all requests', () => {
    expect(got.counts).toMatchObject({ issued: 400, ok: 400, outputTokens: 4000 });
    for (const name of ['input_tokens', 'output_tokens', 'error_rate'])
      expect(countOf(got.metrics[name]), name).toBe(400);
    expect(got.perAdapter['(base)']).toMatchObject({ count: 400, ttft: { count: 400 - cutRequests } });
  });

  it('moves the start of the window, and rates with it', () => {
    const first = records.filter(({ intended }) => intended >= got.window.from);
    expect(first).toHaveLength(400 - cutRequests);
    expect(Math.min(...first.map(({ intended }) => intended))).toBe(got.window.from);
    const throughput = got.metrics['output_tokens_per_second'];
    const seconds = (got.window.to - got.window.from) / 1e9;
    expect(throughput).toMatchObject({ value: countOf(throughput) / seconds });
    // 8 tokens a step of 16 ms, not of the 48 ms at first.
    expect((throughput as { value: number }).value).toBeGreaterThan(450);
  });

  it('is all of a run that is too short to tell', () => {
    const short = judged({ ...run, requests: 90 });
    expect(short.validity).toMatchObject({
      steady: 'unknown',
      steadyDetail: { cutRequests: 0, pTrend: null, drift: null },
    });
    expect(short.validity.steadyDetail?.why).toMatch(
      /^\d+ requests under the full load are too few to tell: 100 are needed$/,
    );
    expect(countOf(short.metrics['ttft'])).toBe(90);
  });
});

describe('a run without a warm-up', () => {
  it('loses its ramp alone: requests issued before the asked concurrency was in flight', () => {
    const given = { requests: 300, concurrency: 8, seed: 5 };
    const records = simulatedRun(given);
    const got = measure(records, contextOf(records, closed(8)));
    const inFlight = (at: number) => records.filter(({ sent, end }) => sent <= at && end > at).length;
    const full = Math.min(...records.map(({ sent }) => sent).filter((at) => inFlight(at) === 8));
    expect(got.window.from).toBe(full);
    expect(got.input.steadyDetail.cutRequests).toBe(records.filter(({ sent }) => sent < full).length);
    expect(countOf(got.metrics['ttft'])).toBe(300 - got.input.steadyDetail.cutRequests);
  });

  it('is steady, though its end, where the load falls, is faster', () => {
    // A quarter of these requests end under a falling load. Of steady runs one in twenty may seem to trend.
    const all = verdicts(40, { requests: 240, concurrency: 64 });
    expect(all.filter(({ steady }) => steady === 'steady').length).toBeGreaterThanOrEqual(34);
    expect(all.flatMap(({ warnings }) => warnings).length).toBeLessThanOrEqual(3);
  });

  it('keeps what was in flight at the end, which would leave out the longest', () => {
    const records = simulatedRun({ requests: 300, concurrency: 8, seed: 6 });
    const last = records.find(({ i }) => i === 299)!;
    last.chunks = last.chunks.map(([at, n], k, { length }) => [k === length - 1 ? at + ms(5000) : at, n]);
    last.end += ms(5000);
    const e2e = measure(records, contextOf(records, closed(8))).metrics['e2e'];
    expect(isDistribution(e2e) && (e2e.max as number)).toBeGreaterThan(5000);
  });
});

describe('a run that gets 30% slower', () => {
  it('is trending, and says which latency by how much', () => {
    const all = verdicts(20, { requests: 600, concurrency: 4, slower: (issued) => 1 + (0.3 * issued) / 600 });
    expect(all.filter(({ steady }) => steady === 'trending').length).toBeGreaterThanOrEqual(18);
    const one = all.find(({ steady }) => steady === 'trending')!;
    expect(one.valid).toBe(true);
    expect(one.steadyDetail!.pTrend).toBeLessThan(0.05);
    const drifts = all.map(({ steadyDetail }) => steadyDetail!.drift!).sort((a, b) => a - b);
    // 30% over the whole run; where half of it had to be left out, as much as is left of that.
    expect(drifts[0]).toBeGreaterThan(0.08);
    expect(drifts[10]).toBeGreaterThan(0.11);
    expect(drifts[19]).toBeLessThan(0.4);
    expect(one.warnings).toEqual([
      expect.stringMatching(/^latencies were not steady: (ttft|tpot) rose by \d\d% over the requests it is of \(p = /),
    ]);
  });

  it('is not when it is 5%, which is of no account', () => {
    const all = verdicts(20, { requests: 2000, concurrency: 1, slower: (issued) => 1 + (0.05 * issued) / 2000 });
    expect(new Set(all.map(({ steady }) => steady))).toEqual(new Set(['steady']));
    expect(Math.max(...all.map(({ steadyDetail }) => steadyDetail!.drift!))).toBeLessThan(0.1);
  });
});

describe('what is judged', () => {
  it('are two latencies, so that the clearer p counts twice', () => {
    const records = simulatedRun({ requests: 200, concurrency: 1, seed: 4 });
    const { metric, pTrend, cutRequests } = measure(records, contextOf(records, closed(1))).input.steadyDetail;
    expect(cutRequests).toBe(0);
    const logs = { ttft: records.map(ttftOf), tpot: records.map((one) => (tpotOf(one) as { ns: number }).ns) };
    const [smaller, larger] = [logs.ttft, logs.tpot]
      .map((values) => trendOf(values.map((value) => Math.log(value as number))).p!)
      .sort((a, b) => a - b) as [number, number];
    expect(pTrend).toBeCloseTo(Math.min(1, 2 * smaller), 12);
    expect(smaller).toBeLessThan(Math.min(0.5, larger));
    expect(['ttft', 'tpot']).toContain(metric);
  });

  const slowStart = { requests: 300, concurrency: 4, seed: 9, slower: (issued: number) => (issued < 50 ? 3 : 1) };

  it('are no cold starts that are made on purpose, nor a trace', () => {
    const { at } = cell();
    const cold = judged(slowStart, closed(4, { at: { ...at, residency: 'cold_disk' } }));
    expect(cold.validity).toMatchObject({ steady: 'unknown', steadyDetail: { cutRequests: 0 } });
    expect(cold.validity.steadyDetail?.why).toContain('cold on purpose');
    expect(countOf(cold.metrics['ttft'])).toBe(300);
    expect(cold.validity.warnings).toEqual([]);

    const trace = judged(slowStart, cell({ kind: 'open', rate: 10, arrivals: 'trace', speed: 1 }));
    expect(trace.validity).toMatchObject({ steady: 'unknown', steadyDetail: { cutRequests: 0 } });
    expect(trace.validity.steadyDetail?.why).toContain('trace');
  });

  it('are requests that succeeded, and all that were issued afterwards count', () => {
    const run = judged({ ...slowStart, fails: (i) => i % 5 === 0 });
    const { cutRequests } = run.validity.steadyDetail!;
    expect(cutRequests).toBeGreaterThanOrEqual(45);
    expect(run.metrics['ttft']).toMatchObject({
      count: 300 - cutRequests,
      censored: expect.closeTo((300 - cutRequests) / 5, -1),
    });
    expect(run.counts).toMatchObject({ issued: 300, failed: 60 });
  });

  it('of an open loop is the first request as well, however late it was sent', () => {
    const records = Array.from({ length: 200 }, (_, i) =>
      record({ i, intendedMs: 10 * i, sentMs: 10 * i + 0.2, chunks: [[3 + (i % 3), 1]] }),
    );
    const got = measure(records, contextOf(records, cell(OPEN)));
    expect(got.input.steadyDetail).toMatchObject({ cutRequests: 0, metric: 'ttft', why: null });
    expect(countOf(got.metrics['ttft'])).toBe(200);
    expect(got.window.from).toBe(ms(0.2));
  });

  it('that settles only at the middle is told of', () => {
    const { validity } = judged({ ...slowStart, slower: (issued) => (issued < 150 ? 4 - issued / 50 : 1) });
    expect(['unknown', 'trending']).toContain(validity.steady);
    expect(validity.warnings).toHaveLength(1);
  });

  it('does not depend on the order in which requests ended', () => {
    const records = simulatedRun(slowStart);
    const { input: _, ...forwards } = measure(records, contextOf(records, closed(4)));
    const { input: __, ...backwards } = measure(records.toReversed(), contextOf(records, closed(4)));
    expect(backwards).toEqual(forwards);
  });
});
