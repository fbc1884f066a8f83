/** Two sides compared: ratios and intervals by hand and by scipy, and what must be refused rather than set side by side. */
import { describe, expect, it } from 'vitest';
import { compareSides } from '../../../src/report/compare/comparison.ts';
import { comparisonHtml } from '../../../src/report/compare/html.ts';
import { comparisonMarkdown } from '../../../src/report/compare/markdown.ts';
import { cellRows } from '../../../src/report/compare/rows.ts';
import { comparisonText } from '../../../src/report/compare/terminal.ts';
import type { Comparable, ComparableRun } from '../../../src/result/comparable.ts';
import type { Figure } from '../../../src/result/figures.ts';

const figure = (value: number, more: Partial<Figure> = {}): Figure => ({
  value,
  atLeast: false,
  within: null,
  ...more,
});
const run = (tpot: Figure, more: Partial<ComparableRun> = {}): ComparableRun => ({
  session: 's',
  pair: null,
  lost: 0,
  issued: 100,
  doubts: [],
  figures: new Map([['tpot p50', tpot]]),
  ...more,
});
const side = (runs: ComparableRun[], more: Partial<Comparable> = {}): Comparable => ({
  from: 'a',
  arm: null,
  kind: 'bench',
  model: 'm',
  planHash: 'p',
  scenario: null,
  standIn: null,
  sessions: [],
  cells: [{ key: 'c1', at: null, runs, unfinished: 0 }],
  ...more,
});
const only = (a: Comparable, b: Comparable) => {
  const found = compareSides(a, b).cells[0]?.figures[0];
  if (found === undefined) throw new Error('nothing was compared');
  return found;
};

describe('the interval of a ratio', () => {
  it('is of pairs where runs are pairs', () => {
    const pairs = (values: number[]) => values.map((value, pair) => run(figure(value), { pair }));
    const { ratio, interval, ground } = only(side(pairs([10, 20, 40])), side(pairs([11, 22.5, 43])));
    // ln of the ratios: 0.0953102, 0.1177830, 0.0723207; mean 0.0951380, sd 0.0227320; t(0.975, 2) = 4.302653
    expect(ground).toBe('pairs');
    expect(ratio).toBeCloseTo(Math.exp(0.095138), 5);
    expect(interval?.[0]).toBeCloseTo(Math.exp(0.095138 - (4.302653 * 0.022732) / Math.sqrt(3)), 4);
    expect(interval?.[1]).toBeCloseTo(Math.exp(0.095138 + (4.302653 * 0.022732) / Math.sqrt(3)), 4);
  });

  it("is Welch's where runs are of different times", () => {
    const logs = (values: number[]) => values.map((value) => run(figure(Math.exp(value))));
    // scipy.stats.ttest_ind(equal_var=False): difference 0.5, se 0.2081666, df 3.2 for these
    const { ratio, interval, ground } = only(side(logs([1, 1.2, 1.4])), side(logs([1.5, 1.7, 1.9])));
    const error = Math.sqrt(0.04 / 3 + 0.04 / 3);
    expect(ground).toBe('runs');
    expect(Math.log(ratio ?? 0)).toBeCloseTo(0.5, 12);
    expect(Math.log(interval?.[1] ?? 0) - 0.5).toBeCloseTo(2.7764451 * error, 6); // t(0.975, 4)
  });

  it('is of the samples within them where there is one run a side, and says so', () => {
    const [a, b] = [side([run(figure(10, { within: [9, 12] }))]), side([run(figure(20, { within: [18, 24] }))])];
    expect(only(a, b)).toMatchObject({
      ratio: expect.closeTo(2),
      interval: [1.5, 24 / 9],
      ground: 'within one run',
      detects: null,
    });
    expect(compareSides(a, b).notes.join(' ')).toContain('One run a side');
  });

  it('is not there for a figure that is only a bound, nor without anything to tell it from', () => {
    const bound = only(side([run(figure(10))]), side([run(figure(20, { atLeast: true }))]));
    expect(bound).toMatchObject({ ratio: expect.closeTo(2), interval: null, atLeast: ['b'] });
    expect(only(side([run(figure(10))]), side([run(figure(20))]))).toMatchObject({ interval: null, ground: 'none' });
  });

  it('is of sessions where a side has several, since the runs of one are alike', () => {
    const of = (session: string, values: number[]) => values.map((value) => run(figure(Math.exp(value)), { session }));
    const a = side([...of('s1', [1, 1.02]), ...of('s2', [1.3, 1.32]), ...of('s3', [1.6, 1.62])]);
    const b = side(of('s4', [1.29, 1.33]));
    const found = only(a, b);
    expect(found).toMatchObject({ ground: 'sessions', replicates: { a: 3, b: 1 }, runs: { a: 6, b: 2 } });
    expect(found.ratio).toBeCloseTo(1, 9);
    // means 1.01, 1.31, 1.61: sd 0.3; t(0.975, 2) = 4.302653, of a fourth session
    expect(Math.log(found.interval?.[1] ?? 0)).toBeCloseTo(4.302653 * 0.3 * Math.sqrt(1 + 1 / 3), 5);
    expect(compareSides(a, b).notes.join(' ')).not.toContain('at different times');
  });

  it('is of the runs of one side where the other has one', () => {
    const logs = (values: number[]) => values.map((value) => run(figure(Math.exp(value))));
    const { interval, ground, detects } = only(side(logs([1, 1.2, 1.4])), side(logs([1.5])));
    expect(ground).toBe('runs');
    expect(Math.log(interval?.[1] ?? 0)).toBeCloseTo(0.3 + 4.302653 * 0.2 * Math.sqrt(1 + 1 / 3), 5);
    expect(detects).toBeNull();
  });

  it('leaves nothing out that has no logarithm: a rate of nothing is 100% less', () => {
    const none = only(side([run(figure(4)), run(figure(6))]), side([run(figure(0)), run(figure(0))]));
    expect(none).toMatchObject({ a: 5, b: 0, ratio: 0, interval: null, runs: { a: 2, b: 2 } });
    expect(only(side([run(figure(0))]), side([run(figure(5))]))).toMatchObject({ a: 0, b: 5, ratio: null });
    const some = only(side([run(figure(4)), run(figure(6))]), side([run(figure(0)), run(figure(5))]));
    expect(some).toMatchObject({ b: 2.5, ratio: 0.5, interval: null });
  });

  it('is of what both halves of a pair have', () => {
    const pairs = (values: number[], from = 0) => values.map((value, i) => run(figure(value), { pair: from + i }));
    const found = only(side(pairs([10, 20, 40, 1000])), side(pairs([11, 22, 44])));
    expect(found).toMatchObject({ ground: 'pairs', replicates: { a: 3, b: 3 }, ratio: expect.closeTo(1.1) });
    expect(found.a).toBeCloseTo(20, 9); // without the fourth
  });

  it('says which change would have been seen: less with more pairs', () => {
    const pairs = (count: number, slower: number) =>
      Array.from({ length: count }, (_, pair) => run(figure(10 * slower * (1 + (pair % 2) * 0.02)), { pair }));
    const detects = (count: number) => {
      const a = Array.from({ length: count }, (_, pair) => run(figure(10), { pair }));
      return only(side(a), side(pairs(count, 1.1))).detects ?? 0;
    };
    expect(detects(4)).toBeGreaterThan(detects(20));
    expect(detects(20)).toBeGreaterThan(0);
  });
});

describe('a figure that is only a bound', () => {
  const bound = (a: boolean, b: boolean) => {
    const [x, y] = [side([run(figure(10, { atLeast: a }))]), side([run(figure(20, { atLeast: b }))])];
    const [row] = cellRows(compareSides(x, y).cells[0]!);
    return [row?.a, row?.b, row?.change];
  };
  it('makes the change one too, from the side that it is on', () => {
    expect(bound(false, true)).toEqual(['10.0', '> 20.0', '> +100 %']);
    expect(bound(true, false)).toEqual(['> 10.0', '20.0', '< +100 %']);
    expect(bound(true, true)).toEqual(['> 10.0', '> 20.0', '–']);
  });
});

it('does not show intervals that say nothing', () => {
  const logs = (values: number[]) => values.map((value) => run(figure(Math.exp(value))));
  const [row] = cellRows(compareSides(side(logs([0, 3])), side(logs([1, 5]))).cells[0]!);
  expect(row).toMatchObject({ interval: 'too wide to tell', clear: null, detects: '' });
});

describe('what is not alike', () => {
  const one = [run(figure(10))];
  it.each([
    ['models', { model: 'other' }, /one is of m, the other of other/],
    ['plans', { planHash: 'q' }, /their plans differ/],
    ['stand-ins', { standIn: '1/8 of m' }, /stand|1\/8 of m/],
  ])('is refused: %s', (_, more, message) => {
    expect(() => compareSides(side(one), side(one, more))).toThrow(message);
  });

  it('is named, down to the coordinate of a cell', () => {
    const at = (concurrency: number) => ({ adapters: 0, concurrency }) as never;
    const cells = (concurrency: number) => [{ key: 'c1', at: at(concurrency), runs: one, unfinished: 0 }];
    expect(() => compareSides(side(one, { cells: cells(1) }), side(one, { cells: cells(8), planHash: 'q' }))).toThrow(
      'c1 has concurrency 1 in one, 8 in the other',
    );
  });

  it('is named as the scenario calls it, where it is there; names of adapters do not count', () => {
    const scenario = (requests: number, names: string[]) => ({ name: 'n', adapters: { names }, measure: { requests } });
    const of = (requests: number, names: string[]) => side(one, { scenario: scenario(requests, names) });
    expect(() => compareSides(of(10, ['a']), { ...of(20, ['b']), planHash: 'q' })).toThrow(
      'measure.requests is 10 in one, 20 in the other',
    );
    expect(() => compareSides(of(10, ['a']), { ...of(10, ['b']), planHash: 'q' })).toThrow('in what is sent');
  });

  it('is not compared where nothing is in common', () => {
    const none = side([run(figure(10), { figures: new Map() })]);
    expect(() => compareSides(none, none)).toThrow(/no figure in common/);
  });
});

it('shows the same everywhere, whatever names say', async () => {
  const hostile = 'x|<script>alert(1)</script>\u001b[31m';
  const pairs = (values: number[]) => values.map((value, pair) => run(figure(value), { pair, lost: 1 }));
  const comparison = compareSides(side(pairs([10, 20, 40]), { from: hostile }), side(pairs([11, 22.5, 43])));
  const [row] = cellRows(comparison.cells[0]!);
  const page = await comparisonHtml(comparison);
  const outputs = [comparisonText(comparison, { width: 200, color: false }), comparisonMarkdown(comparison), page];
  for (const output of outputs) {
    for (const text of [row?.change ?? '?', row?.interval ?? '?', '3 of 300']) expect(output).toContain(text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    expect(output).not.toMatch(/\u001b/);
  }
  for (const output of outputs.slice(1)) expect(output).not.toContain('<script>alert');
  expect(row?.clear).toBe('worse');
});
