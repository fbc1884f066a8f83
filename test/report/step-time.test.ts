/** A profile as it is read: figures a step, shares of the kernels' time and of the device's ceilings; several runs are one. */
import { describe, expect, it } from 'vitest';
import { stepTimeGroup } from '../../src/report/charts/step-time.ts';
import { htmlReport } from '../../src/report/html/page.ts';
import { stepTimes } from '../../src/report/step-time.ts';
import type { CellResult, StepKindProfile } from '../../src/result/schema.ts';
import { resultFixture } from './fixture.ts';

const decode: StepKindProfile = {
  kind: 'decode',
  rows: { least: 3, most: 4, sum: 70 },
  steps: 20,
  wallMs: 240,
  kernelMs: 200,
  adapters: 40,
  loraRows: 60,
  stages: [
    { stage: 'gateUp', ms: 150, bytes: 150e9, operations: 6e9 },
    { stage: 'sample', ms: 10, bytes: 0, operations: 0 },
    { stage: 'qkv', ms: 40, bytes: 20e9, operations: 8e12 },
    { stage: 'o', ms: 0, bytes: 0, operations: 0 },
  ],
  kernels: [
    { stage: 'gateUp', kernel: 'shrink', calls: 20, ms: 30 },
    { stage: 'gateUp', kernel: 'matmul', calls: 20, ms: 120 },
    { stage: 'qkv', kernel: 'matmul', calls: 20, ms: 40 },
    { stage: 'sample', kernel: 'sample', calls: 20, ms: 10 },
  ],
};
const rate = (best: number) => ({ best, median: best });
const ceilings = { read: rate(2e12), fma: rate(5e13), matrix: null } as never;
const cellWith = (...profiles: (StepKindProfile[] | undefined)[]): CellResult =>
  ({ id: 'c1', runs: profiles.map((profile) => ({ ...(profile ? { profile } : {}) })) }) as unknown as CellResult;

describe('a profile', () => {
  it('is of a step, by stages in their order, each against the ceiling it is nearer to', () => {
    const [time] = stepTimes([cellWith([decode])], ceilings)[0]?.kinds ?? [];
    expect(time).toMatchObject({ steps: 20, wallMs: 12, kernelMs: 10, adapters: 2, loraRows: 3 });
    expect(time?.rows).toEqual({ least: 3, most: 4, mean: 3.5 });
    expect(time?.stages.map(({ stage, ms, share }) => [stage, ms, share])).toEqual([
      ['qkv', 2, 0.2],
      ['gateUp', 7.5, 0.75],
      ['sample', 0.5, 0.05],
    ]);
    const [qkv, gateUp, sample] = time?.stages ?? [];
    expect(gateUp).toMatchObject({ bytesPerSecond: 1e12, ofCeiling: { of: 'read', share: 0.5 } });
    expect(gateUp?.kernels).toEqual([
      { kernel: 'matmul', ms: 6 },
      { kernel: 'shrink', ms: 1.5 },
    ]);
    expect(qkv).toMatchObject({ operationsPerSecond: 2e14, ofCeiling: { of: 'rate', share: 4 } });
    expect(sample).toMatchObject({ bytesPerSecond: null, operationsPerSecond: null, ofCeiling: null });
  });

  it('of several runs is one, and of runs without one is none', () => {
    const [{ kinds }] = stepTimes([cellWith([decode], undefined, [decode])], null) as [
      ReturnType<typeof stepTimes>[number],
    ];
    expect(kinds).toHaveLength(1);
    expect(kinds[0]).toMatchObject({ steps: 40, wallMs: 12, kernelMs: 10, adapters: 2 });
    expect(kinds[0]?.stages.find(({ stage }) => stage === 'gateUp')).toMatchObject({
      ms: 7.5,
      bytesPerSecond: 1e12,
      ofCeiling: null,
    });
    expect(stepTimes([cellWith(undefined)], null)).toEqual([]);
  });

  it('keeps decodes and prompts, and numbers of rows, apart', () => {
    const prompts = { ...decode, kind: 'prefill' as const, kernelMs: 900 };
    const many = { ...decode, rows: { least: 20, most: 32, sum: 500 }, kernelMs: 500 };
    const [{ kinds }] = stepTimes([cellWith([decode, prompts, many])], null) as [ReturnType<typeof stepTimes>[number]];
    expect(kinds.map(({ kind, rows }) => `${kind} ${rows.most}`)).toEqual(['prefill 4', 'decode 32', 'decode 4']);
  });
});

describe('the charts of it', () => {
  const cells = () => {
    const [cell] = structuredClone(resultFixture({ adapters: [8], concurrency: [4], requests: 4 })).cells;
    cell!.runs[0]!.profile = [decode];
    return [cell!];
  };

  it('have a bar a kind of step, in stages that add up to it, and each stage beside its ceiling', () => {
    const group = stepTimeGroup(stepTimes(cells(), ceilings))!;
    const [time, ceiling] = group.charts;
    expect(time!.rows.map(({ name, series, value }) => [name, series, value])).toEqual([
      ['c1: 8 adapters, decode of 3–4', 'q, k, v', 2],
      ['c1: 8 adapters, decode of 3–4', 'gate, up', 7.5],
      ['c1: 8 adapters, decode of 3–4', 'sampling', 0.5],
    ]);
    expect(time!.label).toContain('10.0 ms, most in gate, up');
    expect(ceiling!.rows.map(({ series, value, of }) => [series, value, of])).toEqual([
      ['q, k, v', 4, 'computing'],
      ['gate, up', 0.5, 'reading'],
    ]);
    expect(group.legend.map(({ series }) => series)).toEqual(['q, k, v', 'gate, up', 'sampling']);
  });

  it('leave out the ceiling where none was measured, and are none without a profile', () => {
    expect(stepTimeGroup(stepTimes(cells(), null))!.charts).toHaveLength(1);
    expect(stepTimeGroup([])).toBeNull();
  });
});

describe('the report', () => {
  it('shows it where there is one, and nothing where there is none', async () => {
    const result = resultFixture();
    expect(await htmlReport(result)).not.toContain('id="steps"');
    const run = result.cells[0]?.runs[0];
    if (run) run.profile = [decode];
    const page = await htmlReport(result);
    expect(page).toContain('Where a step’s time goes');
    expect(page).toContain('Decode, 3 to 4 rows');
    expect(page).toContain('run `bench doctor`');
  });
});
