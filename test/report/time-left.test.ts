import { describe, expect, test } from 'vitest';
import type { Cell, Plan } from '../../src/plan/plan.ts';
import { TimeLeft } from '../../src/report/time-left.ts';
import { planFixture } from './plan-fixture.ts';

const cellOf = (plan: Plan, id: string): Cell => plan.cells.find((cell) => cell.id === id)!;

describe('time left', () => {
  test('is the plan’s estimate before anything is measured, and nothing without one', () => {
    expect(new TimeLeft(planFixture({ seconds: 60 })).ms(0)).toBe(60_000);
    expect(new TimeLeft(planFixture({ seconds: null })).ms(0)).toBeNull();
  });

  test('follows the pace of the run in progress, and of the run nearest in concurrency', () => {
    const plan = planFixture({ seconds: null, concurrency: [1, 4], requests: 10 });
    const left = new TimeLeft(plan);
    left.runStarted(cellOf(plan, 'c1'), 0);
    left.warmedUp(1000);
    left.requestEnded(4, 2);
    // 5 requests' work in 5 s: 5 s for the other 5; of the run to come nothing is known yet.
    expect(left.ms(6000)).toBeNull();
    left.requestEnded(10, 0);
    left.runEnded(11_000);
    // 11 s for 10 requests, warm-up included.
    expect(left.ms(11_000)).toBe(11_000);
    left.runStarted(cellOf(plan, 'c2'), 11_000);
    expect(left.ms(13_000)).toBe(9000);
    left.requestEnded(3, 4);
    expect(left.ms(16_000)).toBe(5000);
    left.requestEnded(10, 0);
    left.runEnded(20_000);
    expect(left.ms(20_000)).toBe(0);
  });

  test('is known of open loops and of runs that end by time', () => {
    const open = planFixture({ seconds: null, rate: 4, requests: 20 });
    expect(new TimeLeft(open).ms(0)).toBe(5000);
    const timed = planFixture({ seconds: null, concurrency: [1, 4], durationMs: 30_000 });
    const left = new TimeLeft(timed);
    expect(left.ms(0)).toBe(60_000);
    left.runStarted(cellOf(timed, 'c1'), 0);
    left.requestEnded(3, 1);
    expect(left.ms(10_000)).toBe(50_000);
    expect(left.ms(45_000)).toBe(30_000);
  });

  test('a second attempt is not one more run', () => {
    const plan = planFixture({ seconds: 20, concurrency: [1, 4], requests: 10 });
    const left = new TimeLeft(plan);
    left.runStarted(cellOf(plan, 'c1'), 0);
    left.runStarted(cellOf(plan, 'c1'), 1000);
    expect(left.ms(1000)).toBe(20_000);
  });
});
