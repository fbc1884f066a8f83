/** Two sides compared: ratios and intervals by hand and by scipy, and what must be refused rather than set side by side. */
import { describe, expect, it } from 'vitest';
import { compareSides } from '../../../src/report/compare/comparison.ts';
import { comparisonHtml } from '../../../src/report/compare/html.ts';
import { comparisonMarkdown } from '../../../src/report/compare/markdown.ts';
import { cellRows } from '../../../src/report/compare/rows.ts';
import { comparisonText } from '../../../src/report/compare/terminal.ts';
import type { Comparable, ComparableRun, Figure } from '../../../src/result/comparable.ts';

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
  figures: new Map([['tpot p50', tpot]]),
  ...more,
});
const side = (runs: ComparableRun[], more: Partial<Comparable> = {}): Comparable => ({
  from: 'a',
  kind: 'bench',
  model: 'm',
  planHash: 'p',
  standIn: null,
  sessions: ['s'],
  cells: [{ key: 'c1', at: null, runs }],
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
    const cells = (concurrency: number) => [{ key: 'c1', at: at(concurrency), runs: one }];
    expect(() => compareSides(side(one, { cells: cells(1) }), side(one, { cells: cells(8), planHash: 'q' }))).toThrow(
      'c1 has concurrency 1 in one, 8 in the other',
    );
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
