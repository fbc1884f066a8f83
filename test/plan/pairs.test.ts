/** Which run comes when in a plan of pairs, from scenario text: orders, seeds, looks. */
import { describe, expect, it } from 'vitest';
import { pairedPlan, pairStages } from '../../src/plan/pairs.ts';
import { planFor } from '../runner/plan-for.ts';

const plan = planFor('http://127.0.0.1:1/v1', ['load.concurrency=[1,2,4]', 'measure.repeats=12']);
const other = planFor('http://127.0.0.1:1/v1', ['load.concurrency=[1,2,4]', 'measure.repeats=12', 'measure.seed=2']);

describe('pairs', () => {
  const [pairs] = pairStages(plan);

  it('are one run on each target with one seed, in an order of their own', () => {
    expect(pairs).toHaveLength(36);
    for (const [first, second] of pairs!) {
      expect([first.arm, second.arm].sort()).toEqual(['A', 'B']);
      expect(second).toEqual({ ...first, arm: second.arm, order: first.order + 1 });
    }
    expect(pairs!.flat().map(({ order }) => order)).toEqual(Array.from({ length: 72 }, (_, i) => i));
  });

  it('have another seed each within a cell', () => {
    const seeds = pairs!.filter(([{ cell }]) => cell === 'c1').map(([{ seed }]) => seed);
    expect(new Set(seeds).size).toBe(12);
  });

  it('are interleaved over the cells: each has its k-th before any has its next', () => {
    const numbers = pairs!.map(([{ replicate }]) => replicate);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    for (let k = 0; k < 12; k++) {
      expect(
        pairs!
          .slice(3 * k, 3 * k + 3)
          .map(([{ cell }]) => cell)
          .sort(),
      ).toEqual(['c1', 'c2', 'c3']);
    }
  });

  it('begin with A as often as with B, at random, and the same way each time', () => {
    const firsts = (cell: string, of = plan) =>
      pairStages(of)
        .flat()
        .filter(([run]) => run.cell === cell)
        .map(([run]) => run.arm)
        .join('');
    for (const cell of ['c1', 'c2', 'c3']) {
      expect(firsts(cell)).toMatch(/^(AB|BA){6}$/);
      expect(firsts(cell)).toBe(firsts(cell));
      expect(firsts(cell)).toMatch(/AA|BB/); // one side's turn does not simply alternate
    }
    expect(new Set([firsts('c1'), firsts('c2'), firsts('c3'), firsts('c1', other)]).size).toBe(4);
  });

  it('come look by look, the rest last', () => {
    const stages = pairStages(plan, [3, 8]);
    expect(stages.map((stage) => stage.length)).toEqual([9, 15, 12]);
    const range = (stage: (typeof stages)[number]) => {
      const numbers = stage.map(([{ replicate }]) => replicate);
      return [Math.min(...numbers), Math.max(...numbers)];
    };
    expect(stages.map(range)).toEqual([
      [0, 2],
      [3, 7],
      [8, 11],
    ]);
    expect(pairStages(plan, [3, 8, 12])).toHaveLength(3);
  });

  it('double what a plan is said to take', () => {
    const doubled = pairedPlan(plan);
    expect(doubled.runs).toHaveLength(72);
    expect(doubled.estimate).toMatchObject({ runs: 72, requests: 2 * plan.estimate.requests, seconds: null });
  });
});
