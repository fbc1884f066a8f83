/** Latency metrics against numbers worked out by hand. */
import { describe, expect, it } from 'vitest';
import { chunkGap } from '../../src/metrics/chunk-gap.ts';
import { e2e } from '../../src/metrics/e2e.ts';
import { itl } from '../../src/metrics/itl.ts';
import { sendLag } from '../../src/metrics/send-lag.ts';
import { serviceTtft } from '../../src/metrics/service-ttft.ts';
import { tokensPerChunk } from '../../src/metrics/tokens-per-chunk.ts';
import { tpot } from '../../src/metrics/tpot.ts';
import { ttfot } from '../../src/metrics/ttfot.ts';
import { ttft } from '../../src/metrics/ttft.ts';
import { failed, input, ms, OPEN, record } from './records.ts';

describe('ttft, service_ttft, send_lag', () => {
  const late = [
    record({ intendedMs: 100, sentMs: 130, chunks: [[20, 1]] }),
    record({ intendedMs: 200, sentMs: 201, chunks: [[30, 1]] }),
  ];

  it('open loop: from the intended send, from the actual one, and the difference', () => {
    const given = input(late, { load: OPEN });
    expect(ttft.compute(given)).toMatchObject({ count: 2, min: 31, p50: 31, max: 50, mean: 40.5 });
    expect(serviceTtft.compute(given)).toMatchObject({ min: 20, max: 30 });
    expect(sendLag.compute(given)).toMatchObject({ min: 1, max: 30, p50: 1 });
  });

  it('closed loop: the send is the intention, and there is no lag to speak of', () => {
    const given = input([record({ chunks: [[20, 1]] })]);
    expect(ttft.compute(given)).toMatchObject({ p50: 20 });
    expect(sendLag.compute(given)).toMatchObject({ count: 0, reason: expect.stringContaining('closed loop') });
  });

  it('censors what failed or was cancelled at its end', () => {
    const given = input(
      [
        record({ chunks: [[20, 1]] }),
        failed({ sentMs: 10, endMs: 510 }),
        record({ chunks: [[5, 1]], endMs: 90, outcome: 'cancelled' }),
      ],
      { load: OPEN },
    );
    expect(ttft.compute(given)).toMatchObject({ count: 3, censored: 2, p50: { gt: 90 }, max: { gt: 500 }, min: 20 });
    expect(e2e.compute(given)).toMatchObject({ count: 3, censored: 2, min: 20 });
    expect(sendLag.compute(given)).toMatchObject({ count: 3, censored: 0 });
  });
});

describe('ttfot', () => {
  it('waits for the end of the thoughts', () => {
    const chunks: [number, number][] = [
      [10, 1],
      [20, 1],
      [30, 1],
    ];
    const given = input([record({ chunks, firstOutput: ms(30) }), record({ chunks, firstOutput: ms(10) })]);
    expect(ttfot.compute(given)).toMatchObject({ min: 10, max: 30 });
  });

  it('censors a request that never stopped thinking, and takes records that do not tell as they are', () => {
    const given = input([
      record({
        chunks: [
          [10, 1],
          [50, 1],
        ],
        firstOutput: null,
      }),
      record({ chunks: [[10, 1]] }),
    ]);
    expect(ttfot.compute(given)).toMatchObject({ count: 2, censored: 1, p50: 10, max: { gt: 50 } });
  });
});

describe('e2e', () => {
  it('is to the last content, not to the end of the stream', () => {
    const given = input(
      [
        record({
          intendedMs: 0,
          sentMs: 5,
          chunks: [
            [10, 1],
            [40, 1],
          ],
          endMs: 100,
        }),
      ],
      { load: OPEN },
    );
    expect(e2e.compute(given)).toMatchObject({ p50: 45 });
  });
});

describe('tpot', () => {
  it('leaves the tokens of the first chunk out', () => {
    // 3 tokens at 10 ms, then 5 more by 60 ms: 50 / 5. GenAI-Perf's division by 8 - 1 would say 7.1.
    const given = input([
      record({
        chunks: [
          [10, 3],
          [40, 2],
          [60, 3],
        ],
      }),
    ]);
    expect(tpot.compute(given)).toMatchObject({ count: 1, p50: 10 });
  });

  it('is undefined, not 0, where everything came at once', () => {
    const all = [
      record({ chunks: [[10, 4]] }),
      record({
        chunks: [
          [10, 4],
          [20, 0],
        ],
      }),
    ];
    expect(tpot.compute(input(all))).toMatchObject({ count: 0, reason: 'no request has a value' });
    expect(
      tpot.compute(
        input([
          ...all,
          record({
            chunks: [
              [10, 1],
              [30, 2],
            ],
          }),
        ]),
      ),
    ).toMatchObject({ count: 1, p50: 10 });
  });

  it("takes the server's own total", () => {
    const chunks: [number, number][] = [
      [10, 1],
      [50, 1],
    ];
    const given = input([record({ chunks, usage: { prompt_tokens: 1, completion_tokens: 5 } })]);
    expect(tpot.compute(given)).toMatchObject({ p50: 10 });
  });

  it('is unavailable where tokens are unknown, and censored where a request was cut', () => {
    expect(
      tpot.compute(
        input([
          record({
            chunks: [
              [10, null],
              [20, null],
            ],
          }),
        ]),
      ),
    ).toMatchObject({ count: 0 });
    const cut = record({
      chunks: [
        [10, 1],
        [20, 1],
      ],
      endMs: 100,
      outcome: 'failed',
      error: 'total_timeout',
      asked: { promptTokens: 1, outputTokens: 10 },
    });
    // 90 ms since the first content, 9 tokens still asked for after it: at least 10 ms each.
    expect(
      tpot.compute(
        input([
          record({
            chunks: [
              [1, 1],
              [5, 1],
            ],
          }),
          cut,
        ]),
      ),
    ).toMatchObject({ censored: 1, p50: 4, max: { gt: 10 } });
  });
});

describe('itl, chunk_gap, tokens_per_chunk', () => {
  const several = record({
    chunks: [
      [10, 2],
      [20, 1],
      [50, 3],
      [60, 0],
      [80, 1],
    ],
  });

  it('weights each gap by its tokens and leaves the first chunk out', () => {
    // 10 ms once, 30/3 = 10 ms three times, then the gap of the empty chunk and the last together: 30 ms once.
    expect(itl.compute(input([several]))).toMatchObject({ count: 5, p50: 10, p90: 30, min: 10, max: 30, mean: 14 });
  });

  it('shows undivided gaps beside it, and how many tokens a chunk has', () => {
    expect(chunkGap.compute(input([several]))).toMatchObject({ count: 4, min: 10, max: 30, p50: 10, mean: 17.5 });
    expect(tokensPerChunk.compute(input([several]))).toMatchObject({
      unit: 'tokens',
      count: 5,
      min: 0,
      max: 3,
      p50: 1,
      mean: 1.4,
    });
  });

  it('are the same with one token a chunk', () => {
    const given = input([
      record({
        chunks: [
          [10, 1],
          [17, 1],
          [30, 1],
        ],
      }),
    ]);
    const { hdr: a, ...gaps } = chunkGap.compute(given) as { hdr: string };
    const { hdr: b, ...tokens } = itl.compute(given) as { hdr: string };
    expect(tokens).toEqual(gaps);
    expect(a).toBe(b);
  });

  it('add one censored sample for the gap in which a request died', () => {
    const died = record({
      chunks: [
        [10, 1],
        [20, 1],
      ],
      endMs: 520,
      outcome: 'failed',
      error: 'total_timeout',
    });
    expect(itl.compute(input([died]))).toMatchObject({ count: 2, censored: 1, p50: 10, p90: { gt: 500 } });
    expect(chunkGap.compute(input([died]))).toMatchObject({ count: 2, censored: 1, max: { gt: 500 } });
    expect(itl.compute(input([failed()]))).toMatchObject({ count: 0 });
  });

  it('say why where tokens are unknown; the gap needs none', () => {
    const unknown = input([
      record({
        chunks: [
          [10, null],
          [20, null],
        ],
      }),
    ]);
    expect(itl.compute(unknown)).toMatchObject({ count: 0, reason: expect.stringContaining('unknown') });
    expect(tokensPerChunk.compute(unknown)).toMatchObject({ count: 0, reason: expect.stringContaining('unknown') });
    expect(chunkGap.compute(unknown)).toMatchObject({ count: 1, p50: 10 });
  });

  it('a request that was cut before its tokens could be told apart spoils nothing', () => {
    const cut = record({
      chunks: [
        [10, null],
        [20, null],
      ],
      endMs: 30,
      outcome: 'cancelled',
    });
    expect(
      itl.compute(
        input([
          record({
            chunks: [
              [10, 1],
              [15, 1],
            ],
          }),
          cut,
        ]),
      ),
    ).toMatchObject({ count: 2, p50: 5, censored: 1 });
  });
});
