import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Geometry, geometryOf } from '../../engine/models/geometry.ts';
import type { FolderModels, PromptFiles } from '../../src/plan/facts.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { hasWithoutGpu, readScenario, resolveScenario } from '../../src/scenario/load.ts';
import { readPromptFile } from '../../src/scenario/prompt-files/read.ts';
import type { Scenario } from '../../src/scenario/scenario.ts';
import { schemaFilePath } from '../../src/scenario/write-schema.ts';

const FOLDER = dirname(schemaFilePath());
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));
const SOFTWARE = { kind: 'engine', software: true, deviceName: 'SwiftShader' } as const;
/** Scenarios whose model is a folder, with a geometry of its size in its place: the folder is not in the repository. */
const FOLDER_MODELS: Record<string, FolderModels> = {
  'smollm2.yaml': {
    '../models/SmolLM2-135M-Instruct': {
      geometry: { ...(geometryOf('smollm2-135m') as Geometry), name: 'SmolLM2-135M-Instruct' },
      folder: '/models/SmolLM2-135M-Instruct',
    },
  },
};
/** The prompts' file for each model, with one token a character: none of these files is a dataset. */
async function promptFilesOf(scenario: Scenario, models = scenario.models): Promise<PromptFiles> {
  const file = await readPromptFile(scenario, (text) => text.length);
  return file === null ? {} : Object.fromEntries(models.map((model) => [model, file]));
}
const planWithoutGpu = async (file: string) => {
  const scenario = resolveScenario(readScenario(join(FOLDER, file)), { withoutGpu: true, endpoint: false, set: [] });
  const promptFiles = await promptFilesOf(scenario);
  return planOf(scenario, { ...SOFTWARE, folders: FOLDER_MODELS[file] ?? {}, promptFiles });
};

test('the scenarios are there', () => {
  const wanted = [
    ...['llama8b-rank16', 'llama8b-ranks', 'llama8b-mixed-ranks', 'llama70b-rank16', 'nim-lora', 'smoke'],
    ...['merged-vs-dynamic', 'adapter-kinds', 'cold-start', 'smollm2', 'trace', 'gate'],
  ];
  expect(FILES).toEqual(expect.arrayContaining(wanted.map((name) => `${name}.yaml`)));
});

describe.each(FILES)('%s', (file) => {
  const source = readScenario(join(FOLDER, file));

  test('is named after its file, says what it answers, and plans on a GPU', async () => {
    const scenario = resolveScenario(source, { withoutGpu: false, endpoint: false, set: [] });
    expect(`${scenario.name}.yaml`).toBe(file);
    expect(scenario.text).toMatch(/^# yaml-language-server: \$schema=\.\/scenario\.schema\.json\n#\n# .+\?/m);
    const folders = FOLDER_MODELS[file] ?? {};
    const promptFiles = await promptFilesOf(scenario);
    const plan = planOf(scenario, { kind: 'engine', software: false, deviceName: 'GPU', folders, promptFiles });
    expect(plan.standIn).toBe(null);
    expect(plan.estimate.seconds).toBe(null);
  });

  test('has a without_gpu that is a stand-in, or a model as small as one, and takes minutes at most', async () => {
    expect(hasWithoutGpu(source)).toBe(true);
    const plan = await planWithoutGpu(file);
    if (FOLDER_MODELS[file] === undefined) expect(plan.standIn).toMatchObject({ scale: '1/8' });
    else expect(plan.standIn).toBe(null);
    expect(plan.estimate.seconds).toBeLessThan(210);
  });

  test('runs against an endpoint whose adapters it is told', async () => {
    const names = { 8: 8, 16: 32, 32: 8, 64: 16 };
    const byRank = Object.entries(names).map(([rank, n]) => [
      rank,
      Array.from({ length: n + 8 }, (_, i) => `${rank}-${i}`),
    ]);
    // What each of these says at its top of endpoints.
    const engineOnly = { 'merged-vs-dynamic.yaml': 'mode=dynamic', 'cold-start.yaml': 'residency=warm' }[file];
    if (engineOnly !== undefined) expect(source.text).toContain(`--set adapters.${engineOnly}`);
    const set = [
      `adapters.names=${JSON.stringify(Object.fromEntries(byRank))}`,
      ...(engineOnly === undefined ? [] : [`adapters.${engineOnly}`]),
    ];
    const scenario = resolveScenario(source, { withoutGpu: false, endpoint: true, url: 'http://h:1/v1', set });
    const models = [{ name: 'm', adapters: [] }];
    const promptFiles = await promptFilesOf(scenario, ['m']);
    const plan = planOf(scenario, { kind: 'endpoint', models, allowFewer: false, promptFiles });
    expect(new Set(plan.cells.map((cell) => cell.at.model))).toEqual(new Set(['m']));
  });
});

test('llama8b-rank16 without GPU: adapter counts 0, 1, 8, 32 at concurrencies 1 and 4', async () => {
  const plan = await planWithoutGpu('llama8b-rank16.yaml');
  expect(plan.cells.map(({ at }) => [at.adapters, at.concurrency])).toEqual(
    [0, 1, 8, 32].flatMap((count) => [1, 4].map((concurrency) => [count, concurrency])),
  );
  expect(plan.cells.map(({ measure }) => measure)).toEqual(Array(8).fill({ requests: 16 }));
});

test('nim-lora asks for three requests for each in flight, as the guide does', () => {
  const scenario = resolveScenario(readScenario(join(FOLDER, 'nim-lora.yaml')), {
    withoutGpu: false,
    endpoint: false,
    set: [],
  });
  const plan = planOf(scenario, { kind: 'engine', software: false, deviceName: 'GPU' });
  for (const { at, measure } of plan.cells) expect(measure).toEqual({ requests: 3 * (at.concurrency ?? 0) });
  expect(Math.max(...plan.cells.map(({ at }) => at.concurrency ?? 0))).toBe(250);
});

test('smoke takes under 20 seconds', async () => {
  expect((await planWithoutGpu('smoke.yaml')).estimate.seconds).toBeLessThan(20);
});

test('gate takes under 5 minutes at its last look', async () => {
  const { cells, estimate } = await planWithoutGpu('gate.yaml');
  const { gate } = resolveScenario(readScenario(join(FOLDER, 'gate.yaml')), {
    withoutGpu: true,
    endpoint: false,
    set: [],
  });
  expect(cells.map(({ at }) => at.adapters)).toEqual([0, 4]);
  const startSeconds = 8; // once for each of the two servers, and not for each run
  const [pairs, round] = [gate?.looks.at(-1) ?? Number.NaN, (estimate.seconds ?? Number.NaN) - startSeconds];
  expect(2 * (startSeconds + pairs * round)).toBeLessThan(240);
});

test('trace: every prompt begins with what others begin with, as its text says', async () => {
  const scenario = resolveScenario(readScenario(join(FOLDER, 'trace.yaml')), {
    withoutGpu: false,
    endpoint: false,
    set: [],
  });
  const file = await readPromptFile(scenario, (text) => text.length);
  if (file?.kind !== 'trace') throw new Error('no trace was read');
  expect(file.entries).toHaveLength(240);
  expect(file.entries.at(-1)!.atMs).toBeGreaterThan(55_000);
  expect(file.entries.at(-1)!.atMs).toBeLessThan(65_000);
  expect(new Set(file.entries.map(({ hashIds }) => hashIds![0])).size).toBe(3);
  expect(scenario.text).toContain('The trace is made up');
});

test('what is only for the engine is refused at an endpoint, with what to say instead', () => {
  const refusalOf = (file: string) => {
    const options = { withoutGpu: false, endpoint: true, url: 'http://h:1/v1', set: [] };
    try {
      resolveScenario(readScenario(join(FOLDER, file)), options);
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };
  expect(refusalOf('merged-vs-dynamic.yaml')).toMatch(
    /adapters\.mode\[1\]: merged is for the engine.*--set adapters\.mode=dynamic/,
  );
  expect(refusalOf('cold-start.yaml')).toMatch(
    /residency\[1\]: cold_host is for the engine.*--set adapters\.residency=warm/,
  );
});
