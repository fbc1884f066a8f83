/** Kept sessions: what goes in, what comes back, what is refused, and that a verdict by the written file is one by the runs themselves. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LEAST_SESSIONS } from '../../src/gate/against-sessions.ts';
import { armFactsOf } from '../../src/gate/arm-facts.ts';
import { judge } from '../../src/gate/judge.ts';
import {
  addSession,
  BASELINE_FORMAT,
  baselinePath,
  listBaselines,
  readBaseline,
} from '../../src/result/baseline-file.ts';
import type { Distribution, MetricValue, Result, RunResult } from '../../src/result/schema.ts';
import { checked, distribution, input, run } from '../gate/runs.ts';
import { resultFixture } from '../report/fixture.ts';
import { normal, randomOf } from '../stats/series.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baselines-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const base = resultFixture({ requests: 2, adapters: [0], concurrency: [1], standIn: null });

/** One session of three runs of one cell. */
function session(id: string, metrics: Record<string, MetricValue>, more: Partial<Result> = {}): Result {
  const runs = [0, 1, 2].map((replicate) => run(metrics, { replicate }));
  const at = new Date(Date.UTC(2026, 10, 1 + Number(id))).toISOString();
  return { ...base, session: id, createdAt: at, cells: [{ ...base.cells[0]!, runs }], ...more };
}
const facts = armFactsOf(base, null);
const add = (result: Result) => addSession(result, armFactsOf(result, null).fingerprint, folder);

/** Sessions of a server whose TTFT differs by 3% from day to day. */
function kept(count: number, ttft: (value: number) => Distribution = distribution): number[] {
  const random = randomOf(7);
  const values = Array.from({ length: count }, () => 20 * Math.exp(0.03 * normal(random)));
  for (const [i, value] of values.entries()) add(session(String(i), { ttft: ttft(value) }));
  return values;
}

const path = () => baselinePath(base.scenario.name, base.machine.id, folder);

function verdictOn(ttft: Distribution, arms = facts) {
  const thresholds = checked([{ metric: 'ttft.p50', max_increase: '10%' }]);
  const pairs = [0, 1, 2].map((pair) => ({ cell: 'c1', pair, a: null, b: run({ ttft }, { replicate: pair }) }));
  const baseline = readBaseline(path()).sessions;
  return judge(input({ mode: 'baseline', thresholds, pairs, baseline, arms: { A: null, B: arms } }));
}
const first = (judgement: ReturnType<typeof verdictOn>) => judgement.verdicts[0]!;

describe('a session', () => {
  it('comes back with all that a verdict reads, bounds included, and without what none does', () => {
    const gt = distribution(20, {
      p99: { gt: 400 },
      p999: { gt: 400 },
      max: { gt: 400 },
      censored: 30,
      hdr: 'HISTFAAA',
    });
    add(
      session('1', {
        ttft: gt,
        rate: { unit: '/s', count: 3, value: 2.5, hdr: 'HISTFAAA' },
        itl: { unit: 'ms', count: 0, reason: 'none' },
      }),
    );
    const { format, scenario, machine, sessions } = readBaseline(path());
    expect([format, scenario, machine.id]).toEqual([BASELINE_FORMAT, base.scenario.name, base.machine.id]);
    const [one] = sessions;
    expect(one).toMatchObject({ session: '1', planHash: base.planHash, fingerprint: facts.fingerprint });
    expect(one?.runs['c1']).toHaveLength(3);
    expect(one?.runs['c1']?.[0]?.metrics).toEqual({
      ttft: { ...gt, hdr: '' },
      rate: { unit: '/s', count: 3, value: 2.5 },
      itl: { unit: 'ms', count: 0, reason: 'none' },
    });
    expect(readFileSync(path(), 'utf8')).not.toContain('HISTF');
  });

  it('of eight cells takes less than 100 KB', () => {
    const eight = resultFixture({ requests: 100, concurrency: [1, 4], adapters: [0, 1, 8, 32], standIn: null });
    expect(eight.cells).toHaveLength(8);
    addSession(eight, 'f', folder);
    expect(statSync(baselinePath(eight.scenario.name, eight.machine.id, folder)).size).toBeLessThan(100_000);
  });

  it('stands in the order of time, whenever it is added', () => {
    for (const id of ['3', '1', '2']) add(session(id, { ttft: distribution(20) }));
    expect(readBaseline(path()).sessions.map((one) => one.session)).toEqual(['1', '2', '3']);
    expect(readFileSync(path(), 'utf8').split('\n')).toHaveLength(6); // one line each
  });
});

describe('what is no session of it', () => {
  const ttft = { ttft: distribution(20) };
  const failed = (more: Partial<RunResult>) =>
    session('2', ttft, { cells: [{ ...base.cells[0]!, runs: [run(ttft, more)] }] });
  const valid = run(ttft).validity;
  it.each<[string, () => Result, RegExp]>([
    ['twice the same', () => session('1', ttft), /has session 1 already/],
    ['of another plan', () => session('2', ttft, { planHash: 'other' }), /of another plan/],
    [
      'of a target of another kind',
      () => session('2', ttft, { targets: [{ ...base.targets[0]!, kind: 'endpoint' }] }),
      /of another machine or device/,
    ],
    ['with two targets', () => session('2', ttft, { targets: [base.targets[0]!, base.targets[0]!] }), /2 targets/],
    ['without a run', () => session('2', ttft, { cells: [] }), /nothing was measured/],
    ['with a run that failed', () => failed({ state: 'failed' }), /a run of it is failed/],
    ['invalid', () => failed({ validity: { ...valid, valid: false, reasons: ['send lag'] } }), /invalid \(send lag\)/],
  ])('is refused: %s', (_, make, why) => {
    add(session('1', ttft));
    const before = readFileSync(path(), 'utf8');
    expect(() => add(make())).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(why) }));
    expect(readFileSync(path(), 'utf8')).toBe(before);
  });

  it('of another machine has a file of its own', () => {
    add(session('1', ttft));
    const other = { ...base.machine, id: 'ffffffffffffffff' };
    add(session('1', ttft, { machine: other }));
    expect(listBaselines(folder).map(({ file }) => file?.sessions.length)).toEqual([1, 1]);
  });
});

describe('a file', () => {
  it.each([
    ['is not there', null, /there is no such file/],
    ['is no JSON', '{"format":', /cannot read the baseline/],
    ['is of another format', '{"format":"bench-result/1","sessions":[]}', /no baseline of this version/],
    ['is null', 'null', /no baseline of this version/],
    ['has half a session', `{"format":"${BASELINE_FORMAT}","sessions":[{"session":"1"}]}`, /sessions\[0\]/],
    [
      'has half a run',
      `{"format":"${BASELINE_FORMAT}","sessions":[{"session":"1","createdAt":"","planHash":"p","fingerprint":"f","runs":{"c1":[{}]}}]}`,
      /sessions\[0\]/,
    ],
  ])('that %s is refused, and listed with why', (_, text, why) => {
    if (text !== null) writeFileSync(path(), text);
    expect(() => readBaseline(path())).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(why) }),
    );
    if (text !== null)
      expect(listBaselines(folder)).toEqual([{ path: path(), file: null, why: expect.stringMatching(why) }]);
  });
});

describe('a verdict by the file', () => {
  it('takes eight sessions', () => {
    kept(LEAST_SESSIONS - 1);
    const few = verdictOn(distribution(20));
    expect(first(few)).toMatchObject({ outcome: 'invalid', reason: expect.stringContaining('7 sessions are kept, 8') });
    expect(few.exitCode).toBe(4);
  });

  it('passes a session like the others, and fails one that is slower than any', () => {
    const values = kept(12);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(verdictOn(distribution(mean))).toMatchObject({ exitCode: 0 });
    const slower = verdictOn(distribution(1.5 * mean));
    expect(first(slower)).toMatchObject({ outcome: 'fail', pairs: 12 });
    expect(slower.exitCode).toBe(1);
  });

  it('is none on another plan or machine', () => {
    kept(8);
    for (const arms of [
      { ...facts, planHash: 'q' },
      { ...facts, fingerprint: 'other' },
    ]) {
      const judgement = verdictOn(distribution(20), arms);
      expect(first(judgement).outcome).toBe('invalid');
      expect(judgement.exitCode).toBe(4);
    }
  });

  it('does not count sessions whose figure was only a bound', () => {
    kept(8, (value) => distribution(value, { p50: { gt: value }, censored: 600 }));
    const judgement = verdictOn(distribution(20));
    expect(first(judgement)).toMatchObject({
      outcome: 'no-data',
      reason: expect.stringContaining('0 of 8 kept sessions'),
    });
    expect(judgement.exitCode).toBe(3);
  });
});
