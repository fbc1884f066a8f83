/** Throughput, goodput, errors and adapters in flight against numbers worked out by hand. */
import { describe, expect, it } from 'vitest';
import { activeAdapters } from '../../src/metrics/active-adapters.ts';
import { errorRate } from '../../src/metrics/error-rate.ts';
import { goodput } from '../../src/metrics/goodput.ts';
import { goodputFraction } from '../../src/metrics/goodput-fraction.ts';
import { inputTokens } from '../../src/metrics/input-tokens.ts';
import { outputTokens } from '../../src/metrics/output-tokens.ts';
import { outputTokensPerSecond } from '../../src/metrics/output-tokens-per-second.ts';
import { outputTokensPerSecondWholeRun } from '../../src/metrics/output-tokens-per-second-whole-run.ts';
import { METRICS, metricInfo } from '../../src/metrics/registry.ts';
import { requestsPerSecond } from '../../src/metrics/requests-per-second.ts';
import { HdrHistogram } from '../../src/recorder/histogram.ts';
import { failed, input, record } from './records.ts';

describe('output_tokens_per_second', () => {
  it('counts the tokens that arrived in the window, wherever their request began or ended', () => {
    const before = record({
      sentMs: 0,
      chunks: [
        [900, 5],
        [1100, 3],
        [1900, 2],
      ],
    });
    const after = record({
      sentMs: 2500,
      chunks: [
        [400, 7],
        [600, 9],
      ],
    });
    // In [1000, 3000]: 3 + 2 + 7 tokens over 2 s; 5 in the first second, 7 in the next.
    const got = outputTokensPerSecond.compute(input([before, after], { window: [1000, 3000] })) as { hdr: string };
    expect(got).toMatchObject({ unit: 'tokens/s', count: 12, value: 6 });
    const seconds = HdrHistogram.decode(got.hdr);
    expect([seconds.count, seconds.percentile(0.5), seconds.percentile(1)]).toEqual([2, 5, 7]);
  });

  it('has no histogram below a second, and leaves the last part of one out', () => {
    const one = record({
      chunks: [
        [100, 4],
        [1200, 6],
      ],
    });
    expect(outputTokensPerSecond.compute(input([one], { window: [0, 500] }))).toEqual({
      unit: 'tokens/s',
      count: 4,
      value: 8,
    });
    const got = outputTokensPerSecond.compute(input([one], { window: [0, 1500] })) as { hdr: string };
    expect(HdrHistogram.decode(got.hdr).count).toBe(1);
  });

  it('counts what a cancelled request got, not what a failed one did', () => {
    const cut = record({ chunks: [[100, 2]], endMs: 200, outcome: 'cancelled' });
    const bad = record({ chunks: [[100, 50]], outcome: 'failed', error: 'wrong_output_tokens' });
    expect(outputTokensPerSecond.compute(input([cut, bad]))).toMatchObject({ count: 2, value: 2 });
  });

  it('says why there is none', () => {
    const reason = (text: string) => ({ count: 0, reason: expect.stringContaining(text) });
    expect(outputTokensPerSecond.compute(input([record()], { window: [5, 5] }))).toMatchObject(reason('steady'));
    expect(outputTokensPerSecond.compute(input([]))).toMatchObject(reason('no token'));
    expect(outputTokensPerSecond.compute(input([record({ chunks: [[1, null]] })]))).toMatchObject(reason('unknown'));
  });
});

describe('output_tokens_per_second_whole_run', () => {
  it('is all tokens from the first send to the last content', () => {
    const all = [
      record({
        sentMs: 1000,
        chunks: [
          [500, 10],
          [1000, 10],
        ],
        endMs: 9000,
      }),
      record({ sentMs: 2000, chunks: [[3000, 20]] }),
      failed({ sentMs: 0, endMs: 100 }),
    ];
    expect(outputTokensPerSecondWholeRun.compute(input(all))).toMatchObject({ count: 40, value: 10 });
  });

  it("takes the server's count where chunks don't tell, then without a histogram", () => {
    const one = record({
      chunks: [
        [1000, null],
        [2000, null],
      ],
      usage: { prompt_tokens: 1, completion_tokens: 8 },
    });
    expect(outputTokensPerSecondWholeRun.compute(input([one]))).toEqual({ unit: 'tokens/s', count: 8, value: 4 });
    const neither = record({ chunks: [[1000, null]] });
    expect(outputTokensPerSecondWholeRun.compute(input([neither]))).toMatchObject({ count: 0 });
  });
});

describe('requests_per_second, error_rate', () => {
  const all = [
    record({ chunks: [[100, 1]] }),
    record({ chunks: [[400, 1]] }),
    record({ chunks: [[700, 1]] }),
    failed({ endMs: 200 }),
  ];

  it('counts what succeeded and ended in the window', () => {
    expect(requestsPerSecond.compute(input(all, { window: [0, 500] }))).toEqual({
      unit: 'requests/s',
      count: 2,
      value: 4,
    });
    expect(requestsPerSecond.compute(input(all, { window: [800, 900] }))).toMatchObject({
      count: 0,
      reason: expect.any(String),
    });
    expect(requestsPerSecond.compute(input(all, { window: [9, 9] }))).toMatchObject({
      count: 0,
      reason: expect.any(String),
    });
  });

  it('has errors over all that was issued', () => {
    expect(errorRate.compute(input(all))).toEqual({ unit: 'ratio', count: 4, value: 0.25 });
    expect(errorRate.compute(input([record({ outcome: 'cancelled' })]))).toMatchObject({ value: 0 });
    expect(errorRate.compute(input([]))).toMatchObject({ count: 0, reason: expect.any(String) });
  });
});

describe('goodput', () => {
  const slo = { ttftMs: 50, itlMs: 10, e2eMs: 200 };
  const all = [
    record({
      chunks: [
        [50, 1],
        [60, 1],
      ],
    }), // meets each, ttft exactly
    record({
      chunks: [
        [51, 1],
        [60, 1],
      ],
    }), // ttft
    record({
      chunks: [
        [20, 1],
        [42, 2],
      ],
    }), // tpot 11 ms
    record({
      chunks: [
        [20, 1],
        [201, 30],
      ],
    }), // e2e
    record({ chunks: [[20, 4]] }), // no tpot to miss
    failed({ endMs: 30 }),
    record({ chunks: [[20, 1]], outcome: 'cancelled' }),
  ];

  it('is the requests that met every objective, per second and of all issued', () => {
    expect(goodput.compute(input(all, { slo, window: [0, 500] }))).toEqual({ unit: 'requests/s', count: 2, value: 4 });
    expect(goodput.compute(input(all, { slo, window: [0, 40] }))).toMatchObject({ count: 1, value: 25 });
    expect(goodputFraction.compute(input(all, { slo }))).toEqual({ unit: 'ratio', count: 7, value: 2 / 7 });
  });

  it('can be nothing, which is a value', () => {
    expect(goodput.compute(input([failed()], { slo }))).toEqual({ unit: 'requests/s', count: 0, value: 0 });
    expect(goodputFraction.compute(input([failed()], { slo }))).toMatchObject({ value: 0 });
  });

  it('is not guessed without an SLO, or where tokens are unknown', () => {
    expect(goodput.compute(input(all))).toMatchObject({ count: 0, reason: 'the scenario states no slo' });
    const unknown = [
      record({
        chunks: [
          [1, null],
          [2, null],
        ],
      }),
    ];
    expect(goodput.compute(input(unknown, { slo }))).toMatchObject({
      count: 0,
      reason: expect.stringContaining('unknown'),
    });
    expect(goodputFraction.compute(input(unknown, { slo: { ttftMs: 50 } }))).toMatchObject({ value: 1 });
  });
});

describe('active_adapters', () => {
  it('averages distinct adapters over the window, without the base', () => {
    const on = (adapter: string | null, sentMs: number, endMs: number) => record({ adapter, sentMs, endMs });
    const all = [on('a', 0, 600), on('a', 100, 1000), on('b', 500, 1000), on(null, 0, 1000), on('c', 2000, 3000)];
    // a the whole second, b half of it; a's two requests count once.
    expect(activeAdapters.compute(input(all))).toEqual({ unit: 'adapters', count: 3, value: 1.5 });
    expect(activeAdapters.compute(input([on(null, 0, 9)]))).toMatchObject({ count: 0, value: 0 });
    expect(activeAdapters.compute(input(all, { window: [1, 1] }))).toMatchObject({
      count: 0,
      reason: expect.any(String),
    });
  });
});

describe('lengths', () => {
  it("are the server's own counts", () => {
    const given = input([
      record({
        chunks: [
          [1, 3],
          [2, 4],
        ],
      }),
      record({ chunks: [[1, 1]], usage: null }),
      failed(),
    ]);
    expect(inputTokens.compute(given)).toMatchObject({ unit: 'tokens', count: 2, min: 5, max: 7 });
    expect(outputTokens.compute(given)).toMatchObject({ count: 2, min: 1, max: 7, mean: 4 });
    expect(outputTokens.compute(input([record({ chunks: [[1, null]] })]))).toMatchObject({ count: 0 });
  });
});

describe('the registry', () => {
  it('names every metric of the result contract once, and tells what each is', () => {
    const names = METRICS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining(
        'ttft service_ttft send_lag ttfot tpot itl chunk_gap tokens_per_chunk e2e output_tokens_per_second output_tokens_per_second_whole_run requests_per_second goodput goodput_fraction error_rate active_adapters adapter_load'.split(
          ' ',
        ),
      ),
    );
    expect(metricInfo('tpot')).toMatchObject({ title: 'Time per output token', unit: 'ms', better: 'lower' });
    expect(() => metricInfo('tpt')).toThrow(/no metric "tpt".*ttft/);
  });

  it('gives the unit it promises, from no requests to many', () => {
    const slo = { ttftMs: 1 };
    const given = [input([]), input([record(), failed()], { slo }), input([failed()], { slo, window: [3, 3] })];
    for (const metric of METRICS) {
      for (const one of given) expect(metric.compute(one).unit, metric.name).toBe(metric.unit);
    }
  });
});
