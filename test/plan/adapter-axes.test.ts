/** The adapter axes that are more than a number: kinds, modes, residencies and modules, from scenario to plan. */
import { describe, expect, test } from 'vitest';
import type { FoundModel } from '../../engine/models/find-model.ts';
import { type Geometry, geometryOf } from '../../engine/models/geometry.ts';
import { adaptersInFiles } from '../../src/plan/adapter-files.ts';
import { describePlan } from '../../src/plan/describe.ts';
import { enginePlan } from '../../src/plan/engine-plan.ts';
import type { TargetFacts } from '../../src/plan/facts.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { dealtKinds } from '../../src/plan/ranks.ts';
import { scenarioWith } from './scenario-text.ts';

const GPU: TargetFacts = { kind: 'engine', software: false, deviceName: 'H100' };
const SOFTWARE: TargetFacts = { ...GPU, software: true, deviceName: 'SwiftShader' };
const planWith = (adapters: object, more: object = {}) => planOf(scenarioWith({ adapters, ...more }), GPU);
const namesOf = (adapters: object) => planWith(adapters).cells.map((cell) => cell.adapters.map(({ name }) => name));

describe('kinds', () => {
  test('are an axis; an adapter is named by rank and kind', () => {
    expect(namesOf({ rank: 16, count: [0, 2], kind: ['lora', 'dora'] })).toEqual([
      [],
      ['r16-a1', 'r16-a2'],
      ['r16-dora-a1', 'r16-dora-a2'],
    ]);
    const { cells } = planWith({ rank: 16, count: [0, 1], kind: ['vera', 'tied'] });
    expect(cells.map(({ at }) => at.kind)).toEqual([null, 'vera', 'tied']);
  });

  test('of a mix are dealt to each rank apart, and a smaller count is a prefix', () => {
    const mix = { rank: { mix: { 8: 1, 64: 1 } }, kind: { mix: { dora: 1, lora: 1 } } };
    const [few, many] = namesOf({ ...mix, count: [3, 8] });
    expect(many).toEqual([
      ...['r8-a1', 'r64-a1', 'r8-dora-a1', 'r64-dora-a1'],
      ...['r8-a2', 'r64-a2', 'r8-dora-a2', 'r64-dora-a2'],
    ]);
    expect(many!.slice(0, 3)).toEqual(few);
    const plan = planWith({ ...mix, count: [2, 4] });
    expect(plan.cells[0]!.at).toMatchObject({ kind: 'mix(lora:1,dora:1)', rank: 'mix(8:1,64:1)' });
    expect(plan.warnings.join()).toMatch(/c1: 2 adapters hold 1 of the 2 kinds of mix\(lora:1,dora:1\)/);
    expect(plan.warnings.join()).not.toMatch(/c2: 4 adapters hold/);
  });

  test('are spread by their shares', () => {
    const shares = [
      { name: 'lora' as const, weight: 3 },
      { name: 'vera' as const, weight: 1 },
    ];
    expect(dealtKinds({ kind: 'mix', shares }, 8)).toEqual([
      'lora',
      'lora',
      'vera',
      'lora',
      'lora',
      'lora',
      'vera',
      'lora',
    ]);
  });

  test('of an endpoint are a label', () => {
    const scenario = scenarioWith({ adapters: { rank: 8, count: [0, 1], kind: 'dora', modules: ['v', 'q'] } }, true);
    const facts: TargetFacts = { kind: 'endpoint', models: [{ name: 'm', adapters: ['x'] }], allowFewer: false };
    const { cells } = planOf(scenario, facts);
    expect(cells[1]!.at).toMatchObject({ kind: 'dora', mode: 'dynamic', residency: null, modules: 'q,v' });
    expect(cells[1]!.adapters).toEqual([{ name: 'x', rank: 8, servedRank: 8, kind: null, seed: 0 }]);
  });
});

describe('modes and residencies', () => {
  const axes = { rank: 8, count: [0, 1], mode: ['dynamic', 'merged'], residency: ['warm', 'cold_disk'] };

  test('multiply the sweep; the base has neither, an adapter in the weights no residency', () => {
    const { cells } = planWith(axes);
    expect(cells.map(({ at }) => [at.adapters, at.mode, at.residency])).toEqual([
      [0, null, null],
      [1, 'dynamic', 'warm'],
      [1, 'dynamic', 'cold_disk'],
      [1, 'merged', null],
    ]);
  });

  test('an adapter in the weights is a server of its own, whose runs follow each other', () => {
    const plan = planWith({ ...axes, rank: [8, 16], residency: 'warm' }, { measure: { repeats: 2 } });
    const needs = enginePlan(plan);
    expect(needs.map(({ merged, maxAdapters }) => [merged, maxAdapters])).toEqual([
      [null, 1],
      ['r8-a1', 1],
      ['r16-a1', 1],
    ]);
    const modeOf = new Map(plan.cells.map(({ id, at }) => [id, at.mode === 'merged' ? String(at.rank) : 'dynamic']));
    const servers = plan.runs.map(({ cell }) => modeOf.get(cell));
    expect(servers).toEqual([...Array(6).fill('dynamic'), '8', '8', '16', '16']);
    // Each server takes its time to start.
    const alone = planOf(scenarioWith({ adapters: { ...axes, mode: 'dynamic', residency: 'warm' } }), SOFTWARE);
    const both = planOf(scenarioWith({ adapters: { ...axes, residency: 'warm' } }), SOFTWARE);
    expect(both.estimate.seconds! - alone.estimate.seconds!).toBeGreaterThan(8);
  });

  test('are told before a run, with what they leave out', () => {
    const scenario = scenarioWith({
      adapters: { ...axes, kind: 'dora', modules: ['q', 'v'] },
      engine: { max_gpu_loras: 1 },
    });
    const lines = describePlan(planOf(scenario, GPU), scenario).join('\n');
    expect(lines).toContain('mode dynamic, merged; residency warm, cold_disk');
    expect(lines).toContain('1 dora adapter of rank 8 on q,v (uniform, cold_disk), 32 tokens in');
    expect(lines).toContain('1 dora adapter of rank 8 on q,v merged into the weights, 32 tokens in');
    expect(lines).toMatch(
      /Files: 1 adapter made in the folder for temporary files, about \d+ [KM]B, removed at the end\./,
    );
    expect(lines).toMatch(/Warning: c3: cold_disk reads adapters through the operating system's cache/);
  });

  test('a load that leaves no adapter idle leaves none cold, which is said', () => {
    const warningsAt = (load: object) =>
      planWith({ rank: 8, count: 4, residency: 'cold_host' }, { load }).warnings.join();
    const doubt = '4 in flight rarely leave any of 4 idle; the count of ttft_cold says how many requests were';
    expect(warningsAt({ concurrency: 4 })).toContain(doubt);
    expect(warningsAt({ concurrency: 3 })).not.toContain('is not cold');
    expect(warningsAt({ rate: '1/s' })).not.toContain('is not cold');
  });

  test('more adapters than slots take turns, which is said', () => {
    const plan = planWith({ rank: 8, count: [4, 5] }, { engine: { max_gpu_loras: 4 }, load: { concurrency: 8 } });
    expect(plan.warnings).toContain(
      'c2: 5 adapters take turns in 4 slots (engine.max_gpu_loras), so requests also wait for theirs',
    );
    expect(plan.warnings.join()).not.toContain('c1: 4 adapters take turns');
  });
});

describe('which adapters are files', () => {
  const inFiles = (adapters: object) => [...adaptersInFiles(planWith(adapters).cells, false)];

  test('plain ones that are warm are not', () => {
    expect(inFiles({ rank: 8, count: 2 })).toEqual([]);
    expect(inFiles({ rank: 8, count: 1, mode: 'merged' })).toEqual([]);
  });

  test('other kinds, some modules, and cold ones are', () => {
    expect(inFiles({ rank: 8, count: 1, kind: ['lora', 'tied'] })).toEqual(['r8-tied-a1']);
    expect(inFiles({ rank: 8, count: 1, modules: ['q'] })).toEqual(['r8-a1']);
    expect(inFiles({ rank: 8, count: 1, residency: 'cold_host' })).toEqual(['r8-a1']);
  });

  test('one that any cell needs as a file is that file in all of them', () => {
    const plan = planWith({ rank: 8, count: [1, 2], residency: ['warm', 'cold_disk'], mode: ['dynamic'] });
    const [needs] = enginePlan(plan);
    expect(needs!.adapters.map(({ name, inFile }) => [name, inFile])).toEqual([
      ['r8-a1', true],
      ['r8-a2', true],
    ]);
    // Two adapters of rank 8/8 on all projections of the stand-in: A and B of every module, as bf16.
    const g = geometryOf('llama-3-8b@1/8') as Geometry;
    const widths = 4 * g.hidden + 2 * (g.hidden + g.kvHeads * g.headDim) + 3 * (g.hidden + g.intermediate);
    expect(plan.estimate.adapterFiles).toEqual({ count: 2, bytes: 2 * 2 * g.layers * widths });
    expect(planWith({ rank: 8, count: 2 }).estimate.adapterFiles).toBe(null);
  });
});

test('a model in a folder is called by its name, planned by its own geometry, and no stand-in', () => {
  const geometry = { ...(geometryOf('llama-3.2-1b@1/8') as Geometry), name: 'mine', standIn: null, maxPosition: 64 };
  const folders: Record<string, FoundModel> = { './models/mine': { geometry, folder: '/models/mine' } };
  const scenario = scenarioWith({ models: ['./models/mine'], adapters: { rank: 16, count: 1 } });
  const plan = planOf(scenario, { ...SOFTWARE, folders });
  expect(plan.cells[0]!.at.model).toBe('mine');
  // Its adapters are sized by its weights, whatever their kind.
  expect(plan.estimate.adapterFiles).toMatchObject({ count: 1 });
  expect(enginePlan(plan, folders)[0]!.adapters.map(({ inFile }) => inFile)).toEqual([true]);
  expect(plan.cells[0]!.adapters[0]).toMatchObject({ rank: 16, servedRank: 16 });
  expect(plan.standIn).toBe(null);
  expect(plan.estimate.seconds).toBeGreaterThan(0);
  const long = scenarioWith({ models: ['./models/mine'], prompt: { tokens: 60 } });
  expect(() => planOf(long, { ...SOFTWARE, folders })).toThrow('but mine has positions for 64');
});
