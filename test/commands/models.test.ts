/** Models in folders: where a scenario's path leads, and what is wrong with it. */
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { folderModels } from '../../src/commands/models.ts';
import { tokenizersFor } from '../../src/commands/tokenizers.ts';
import { validate } from '../../src/commands/validate.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { placesOfFolder } from '../../src/scenario/model-folder.ts';
import type { Scenario } from '../../src/scenario/scenario.ts';
import { workloadOf } from '../../src/workload/workload.ts';
import { NO_FLAGS } from './no-flags.ts';

const TINY_LLAMA = join(dirname(fileURLToPath(import.meta.url)), '../golden/tiny-llama');

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'models-')));
  mkdirSync(join(folder, 'scenarios'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const textWith = (changes: object): string =>
  JSON.stringify({
    name: 'a',
    models: ['./tiny'],
    prompt: { tokens: 8 },
    output: { tokens: 4 },
    load: { concurrency: 1 },
    ...changes,
  });

function scenarioWith(changes: object): Scenario {
  const file = join(folder, 'scenarios', 's.yaml');
  return resolveScenario(scenarioFromText(textWith(changes), file), { withoutGpu: false, endpoint: false, set: [] });
}

const put = (...path: string[]) => cpSync(TINY_LLAMA, join(folder, ...path), { recursive: true });

describe('a path in a scenario', () => {
  it('is looked for beside the scenario, then in the working folder', async () => {
    put('scenarios', 'tiny');
    const beside = await folderModels(scenarioWith({}));
    expect(beside['./tiny']).toMatchObject({
      geometry: { name: 'tiny', layers: 2 },
      folder: join(folder, 'scenarios', 'tiny'),
    });
    const here = relative(process.cwd(), TINY_LLAMA);
    const found = await folderModels(scenarioWith({ models: [`./${here}`] }));
    expect(found[`./${here}`]).toMatchObject({ geometry: { name: 'tiny-llama' }, folder: TINY_LLAMA });
  });

  it('may be absolute, or begin at home', () => {
    expect(placesOfFolder('/models/x', 'a/s.yaml')).toEqual(['/models/x']);
    expect(placesOfFolder('~/x', 'a/s.yaml')).toEqual([join(homedir(), 'x')]);
    expect(placesOfFolder('./x', null)).toEqual([join(process.cwd(), 'x')]);
  });

  it('that leads nowhere is told with the places looked at', async () => {
    const error = folderModels(scenarioWith({}));
    await expect(error).rejects.toMatchObject({ code: 'PLAN_INVALID', exitCode: 2 });
    await expect(error).rejects.toThrow(
      `models: there is no folder ${join(folder, 'scenarios', 'tiny')}, nor ${join(process.cwd(), 'tiny')}`,
    );
  });

  it('that leads to no model says what is missing, or what cannot be served', async () => {
    mkdirSync(join(folder, 'scenarios', 'tiny'));
    await expect(folderModels(scenarioWith({}))).rejects.toThrow(/config\.json/);
    writeFileSync(
      join(folder, 'scenarios', 'tiny', 'config.json'),
      JSON.stringify({ architectures: ['GPT2LMHeadModel'] }),
    );
    await expect(folderModels(scenarioWith({}))).rejects.toThrow(/models: .*GPT2LMHeadModel/);
  });

  it('must not lead to a second model of the same name', async () => {
    put('scenarios', 'a', 'tiny');
    put('scenarios', 'b', 'tiny');
    const twice = folderModels(scenarioWith({ models: ['./a/tiny', './b/tiny'] }));
    await expect(twice).rejects.toThrow('models: "./a/tiny" and "./b/tiny" are both called tiny');
    put('scenarios', 'llama-3-8b');
    const preset = folderModels(scenarioWith({ models: ['llama-3-8b', './llama-3-8b'] }));
    await expect(preset).rejects.toThrow('are both called llama-3-8b');
  });
});

describe('prompts', () => {
  it("of a folder's model are made with its own tokenizer; those of a preset with Llama 3's", async () => {
    put('scenarios', 'tiny');
    const scenario = scenarioWith({ models: ['./tiny', 'llama-3.2-1b@1/8'] });
    const folders = await folderModels(scenario);
    const { cells } = planOf(scenario, { kind: 'engine', software: true, deviceName: 'x', folders });
    const tokenizerOf = await tokenizersFor(scenario, folders);
    expect(cells.map((cell) => tokenizerOf(cell).vocab)).toEqual([120, 128256]);
  });

  it('say so where a vocabulary has no words to make them of', async () => {
    put('scenarios', 'tiny');
    const scenario = scenarioWith({});
    const folders = await folderModels(scenario);
    const [cell] = planOf(scenario, { kind: 'engine', software: true, deviceName: 'x', folders }).cells;
    const tokenizer = (await tokenizersFor(scenario, folders))(cell!);
    expect(() => workloadOf(cell!, { seed: 1, nonce: 'n', tokenizer })).toThrow(/too few one-token words/);
  });

  it('for an endpoint may be counted by the tokenizer of a folder', async () => {
    put('scenarios', 'tiny');
    const target = { url: 'http://h/v1', tokenizer: './tiny' };
    const scenario = scenarioWith({ models: ['m'], target });
    const facts = { kind: 'endpoint' as const, models: [{ name: 'm', adapters: [] }], allowFewer: false };
    const [cell] = planOf(scenario, facts).cells;
    expect((await tokenizersFor(scenario, {}))(cell!).vocab).toBe(120);
    const nowhere = scenarioWith({ models: ['m'], target: { ...target, tokenizer: './nowhere' } });
    await expect(tokenizersFor(nowhere, {})).rejects.toThrow('target.tokenizer: there is no folder');
  });
});

it('bench validate explains a scenario with a folder', async () => {
  put('scenarios', 'tiny');
  const file = join(folder, 'scenarios', 's.yaml');
  writeFileSync(file, textWith({ adapters: { rank: 4, count: [0, 1], kind: 'dora' } }));
  let said = '';
  const stream = { write: (text: string) => (said += text) } as unknown as NodeJS.WriteStream;
  await validate(
    { ...NO_FLAGS, scenario: file },
    { stdout: stream, stderr: stream, env: {}, signal: new AbortController().signal },
  );
  expect(said).toContain('Target: the bundled engine, model tiny.');
  expect(said).toContain('c2: tiny, 1 dora adapter of rank 4 (uniform)');
  expect(said).toMatch(/Files: 1 adapter made/);
});
