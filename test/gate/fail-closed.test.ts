/** Every way in which other gates pass without having judged anything: here each ends in another code than 0. */
import { expect, test } from 'vitest';
import { judge } from '../../src/gate/judge.ts';
import type { JudgeInput } from '../../src/gate/judgement.ts';
import { checked, distribution, FACTS, failing, input, type run, ttftPairs, withA, withB } from './runs.ts';

const thresholds = checked([{ metric: 'ttft.p50', max_increase: '5%' }]);
const pairs = ttftPairs(6);
const INVALID = 4;
const NO_DATA = 3;

test('the same pairs with nothing wrong pass: what follows is not failing anyway', () => {
  expect(judge(input({ thresholds, pairs })).exitCode).toBe(0);
});

const without = { ttft: { unit: 'ms', count: 0 as const, reason: 'no request has a value' } };
const dead = (one: ReturnType<typeof run>) => ({ ...one, state: 'failed' as const });
const nothingRight = {
  counts: { issued: 500, ok: 0, failed: 500, cancelled: 0, inputTokens: 0, outputTokens: 0 },
  errors: { http_500: 500 },
};

test.each<[string, number, Partial<JudgeInput>]>([
  ['no runs at all', NO_DATA, { pairs: [] }],
  ['runs of another cell only', NO_DATA, { pairs: ttftPairs(6, { cell: 'c2' }) }],
  ['no reference run', NO_DATA, { pairs: withA(pairs, () => null) }],
  ['no candidate run', NO_DATA, { pairs: withB(pairs, () => null) }],
  ['fewer pairs than can tell anything', NO_DATA, { pairs: ttftPairs(5) }],
  ['interrupted runs', NO_DATA, { pairs: withB(pairs, (b) => ({ ...b, state: 'interrupted' })) }],
  ['no samples', NO_DATA, { pairs: withB(pairs, (b) => ({ ...b, metrics: without })) }],
  [
    'no samples on either side',
    NO_DATA,
    {
      pairs: withA(
        withB(pairs, (b) => ({ ...b, metrics: without })),
        (a) => ({ ...a, metrics: without }),
      ),
    },
  ],
  [
    'too few samples for the percentile',
    NO_DATA,
    { pairs: withB(pairs, (b) => ({ ...b, metrics: { ttft: distribution(20, { count: 4 }) } })) },
  ],
  ['a missing metric', NO_DATA, { pairs: withB(pairs, (b) => ({ ...b, metrics: {} })) }],
  ['NaN', INVALID, { pairs: withB(pairs, (b) => ({ ...b, metrics: { ttft: distribution(Number.NaN) } })) }],
  [
    'NaN in a single run',
    INVALID,
    {
      pairs: withB(ttftPairs(20), (b, pair) =>
        pair === 3 ? { ...b, metrics: { ttft: distribution(Number.NaN) } } : b,
      ),
    },
  ],
  [
    'an infinite value',
    INVALID,
    { pairs: withB(pairs, (b) => ({ ...b, metrics: { ttft: distribution(Number.POSITIVE_INFINITY) } })) },
  ],
  ['NaN counts', INVALID, { pairs: withB(pairs, (b) => ({ ...b, counts: { ...b.counts, failed: Number.NaN } })) }],
  ['a zero that has no ratio', NO_DATA, { pairs: withA(pairs, (a) => ({ ...a, metrics: { ttft: distribution(0) } })) }],
  [
    'a value of the wrong shape',
    INVALID,
    { pairs: withB(pairs, (b) => ({ ...b, metrics: { ttft: { unit: 'ms', count: 1, value: 20 } } })) },
  ],
  ['an evaluation that throws', INVALID, { pairs: withB(pairs, (b) => ({ ...b, metrics: null as never })) }],
  ['another plan on the other side', INVALID, { arms: { A: { ...FACTS, planHash: 'other' }, B: FACTS } }],
  ['no reference', INVALID, { arms: { A: null, B: FACTS } }],
  ['no request issued', INVALID, { pairs: withB(pairs, (b) => ({ ...b, counts: { ...b.counts, issued: 0, ok: 0 } })) }],
  ['no threshold', NO_DATA, { thresholds: [] }],
  ['thresholds that are only shown', NO_DATA, { thresholds: thresholds.map((one) => ({ ...one, gating: false })) }],
  ['a missing baseline', INVALID, { mode: 'baseline' }],
  ['an empty baseline', INVALID, { mode: 'baseline', baseline: [] }],
  ['a dead candidate', 1, { pairs: withB(pairs, (b, pair) => (pair === 5 ? dead(b) : b)) }],
  [
    'a candidate that does not come up',
    1,
    { pairs: withB(pairs, () => null), down: { A: null, B: 'connection refused' } },
  ],
  ['a candidate that answers nothing right', 1, { pairs: withB(pairs, (b) => ({ ...b, ...nothingRight })) }],
  ['a candidate that errs', 1, { pairs: withB(pairs, (b) => ({ ...b, ...failing(50) })) }],
  ['a candidate whose requests are cut off', 1, { pairs: withB(pairs, (b) => ({ ...b, ...failing(0, 50) })) }],
  ['a dead reference', 5, { pairs: withA(pairs, (a, pair) => (pair === 5 ? dead(a) : a)) }],
  ['a reference that does not come up', 5, { pairs: [], down: { A: 'connection refused', B: null } }],
  [
    'both gone',
    5,
    {
      pairs: withA(
        withB(pairs, () => null),
        () => null,
      ),
      down: { A: 'refused', B: 'refused' },
    },
  ],
  ['a client without file handles', INVALID, { pairs: withB(pairs, (b) => ({ ...b, errors: { client_limit: 3 } })) }],
])('%s: exit %i', (_, exitCode, more) => {
  const judgement = judge(input({ thresholds, pairs, onInconclusive: 'warn', ...more }));
  expect(judgement.exitCode).not.toBe(0);
  expect(judgement.reasons.length).toBeGreaterThan(0);
  expect(judgement.exitCode).toBe(exitCode);
});

test.each([{ alpha: Number.NaN }, { alpha: 0 }, { looks: [] }, { look: 1 }])(
  '%j is a bug of ours, and throws',
  (more) => {
    expect(() => judge(input({ thresholds, pairs, ...more }))).toThrow(RangeError);
  },
);

test('a failure in a valid cell is exit 1, whatever the other cells say', () => {
  const two = checked([{ metric: 'ttft.p50', max_increase: '5%' }], ['c1', 'c2']);
  const bad = ttftPairs(6, { change: 0.5 });
  expect(judge(input({ thresholds: two, pairs: bad })).exitCode).toBe(1);
  const spoilt = withB(ttftPairs(6, { cell: 'c2' }), (b) => ({ ...b, errors: { client_limit: 3 } }));
  expect(judge(input({ thresholds: two, pairs: [...bad, ...spoilt] })).exitCode).toBe(1);
  expect(judge(input({ thresholds: two, pairs: bad, down: { A: 'it exited', B: null } })).exitCode).toBe(1);
});
