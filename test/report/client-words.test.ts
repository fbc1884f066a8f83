/** What is told of the client: figures as they stand in the result, and plainly where there are none. */
import { expect, test } from 'vitest';
import { clientWords } from '../../src/report/client-words.ts';
import type { ClientHealth, StampError } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

const error = (p50: number, p99: number): StampError => ({ count: 9, p50, p99, max: p99, hdr: '' });
const health = (stampError: StampError | null): ClientHealth => ({
  workers: 1,
  stampError,
  gcPauseMaxMs: 0,
  gcPauseTotalMs: 0,
  eventLoopDelayP99Ms: 0,
  eventLoopDelayMaxMs: 0,
  busy: 0,
});

test('the self-check at its load, and the run whose stamps were the latest', () => {
  const result = resultFixture({});
  result.client = {
    workers: 2,
    selfCheck: { workers: 2, streams: 250, gapMs: 20, ttft: error(0.3, 1.84), tpot: error(0.004, 0.019) },
  };
  result.cells[0]!.runs[0]!.client = health(error(0.1, 0.9));
  result.cells[1]!.runs[0]!.client = health(error(0.2, 12.34));
  expect(clientWords(result)).toEqual({
    selfCheck:
      'at 250 streams of 50 tokens/s in step: TTFT late by 0.30 ms at the median, 1.8 ms at p99; TPOT off by 0.00 ms at the median, 0.02 ms at p99',
    runs: 'stamps late by 0.20 ms at the median, 12.3 ms at p99 in the worst run (c2)',
  });
});

test('nothing where nothing is known, as in a result of an earlier version', () => {
  expect(clientWords(resultFixture({}))).toEqual({ selfCheck: null, runs: null });
});
