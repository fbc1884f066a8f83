import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { planOf } from '../../src/plan/plan-of.ts';
import { hasWithoutGpu, readScenario, resolveScenario } from '../../src/scenario/load.ts';
import { schemaFilePath } from '../../src/scenario/write-schema.ts';

const FOLDER = dirname(schemaFilePath());
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml'));
const SOFTWARE = { kind: 'engine', software: true, deviceName: 'SwiftShader' } as const;
const planWithoutGpu = (file: string) => {
  const scenario = resolveScenario(readScenario(join(FOLDER, file)), { withoutGpu: true, endpoint: false, set: [] });
  return planOf(scenario, SOFTWARE);
};

test('the scenarios are there', () => {
  const wanted = ['llama8b-rank16', 'llama8b-ranks', 'llama8b-mixed-ranks', 'nim-lora', 'smoke'];
  expect(FILES).toEqual(expect.arrayContaining(wanted.map((name) => `${name}.yaml`)));
});

describe.each(FILES)('%s', (file) => {
  const source = readScenario(join(FOLDER, file));

  test('is named after its file, says what it answers, and plans on a GPU', () => {
    const scenario = resolveScenario(source, { withoutGpu: false, endpoint: false, set: [] });
    expect(`${scenario.name}.yaml`).toBe(file);
    expect(scenario.text).toMatch(/^# yaml-language-server: \$schema=\.\/scenario\.schema\.json\n#\n# .+\?/m);
    const plan = planOf(scenario, { kind: 'engine', software: false, deviceName: 'GPU' });
    expect(plan.standIn).toBe(null);
    expect(plan.estimate.seconds).toBe(null);
  });

  test('has a without_gpu that is a stand-in and takes minutes at most', () => {
    expect(hasWithoutGpu(source)).toBe(true);
    const plan = planWithoutGpu(file);
    expect(plan.standIn).toMatchObject({ scale: '1/8' });
    expect(plan.estimate.seconds).toBeLessThan(210);
  });

  test('runs against an endpoint whose adapters it is told', () => {
    const names = { 8: 8, 16: 32, 32: 8, 64: 16 };
    const byRank = Object.entries(names).map(([rank, n]) => [
      rank,
      Array.from({ length: n + 8 }, (_, i) => `${rank}-${i}`),
    ]);
    const set = [`adapters.names=${JSON.stringify(Object.fromEntries(byRank))}`];
    const scenario = resolveScenario(source, { withoutGpu: false, endpoint: true, url: 'http://h:1/v1', set });
    const plan = planOf(scenario, { kind: 'endpoint', models: [{ name: 'm', adapters: [] }], allowFewer: false });
    expect(new Set(plan.cells.map((cell) => cell.at.model))).toEqual(new Set(['m']));
  });
});

test('llama8b-rank16 without GPU: adapter counts 0, 1, 8, 32 at concurrencies 1 and 4', () => {
  const plan = planWithoutGpu('llama8b-rank16.yaml');
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

test('smoke takes under 20 seconds', () => {
  expect(planWithoutGpu('smoke.yaml').estimate.seconds).toBeLessThan(20);
});
