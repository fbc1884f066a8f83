/**
 * YAML and JSON that READMEs show: whole scenarios, files for another target, pieces of a scenario, lists of values, workflow steps. Each
 * goes through the loader that a file would, so that none can show a key or a value that is refused.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { geometryOf, isGeometry } from '../../engine/models/geometry.ts';
import { checkPlan } from '../../src/gate/check-plan.ts';
import { thresholdsOf } from '../../src/gate/threshold.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import type { Scenario } from '../../src/scenario/scenario.ts';
import { otherTarget, scenarioForOther } from '../../src/scenario/target-file.ts';
import { type Block, pages } from './pages.ts';

type Tree = Record<string, unknown>;

const blocks = pages().flatMap((page) => page.blocks);
const shown = blocks
  .filter(({ language }) => language === 'yaml')
  .map((block) => ({ ...block, tree: parse(block.text) as unknown }));
const isWhole = (tree: unknown): tree is Tree => isMapping(tree) && 'name' in tree && 'load' in tree;
const isForAnother = (block: Block, tree: unknown): tree is Tree =>
  isMapping(tree) && /--against \S+\.yaml|^# old\.yaml/m.test(block.text);
const isSteps = (tree: unknown): boolean =>
  Array.isArray(tree) && tree.some((step) => isMapping(step) && ('run' in step || 'uses' in step));
const isMapping = (tree: unknown): tree is Tree => tree !== null && typeof tree === 'object' && !Array.isArray(tree);

const folder = mkdtempSync(join(tmpdir(), 'readme-yaml-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function resolved(text: string): Scenario {
  const tree = parse(text) as Tree;
  const [model] = [tree['models'] ?? []].flat() as string[];
  const endpoint = model !== undefined && !isGeometry(geometryOf(model)) && !isMapping(tree['target']);
  const url = endpoint ? { url: 'http://host:8000/v1' } : {};
  return resolveScenario(scenarioFromText(text, 's.yaml'), { withoutGpu: false, endpoint, ...url, set: [] });
}

function planned(scenario: Scenario): Plan {
  if (scenario.target.kind === 'engine')
    return planOf(scenario, { kind: 'engine', software: false, deviceName: 'GPU' });
  const models = [{ name: 'my-model', adapters: [] }];
  return planOf(scenario, { kind: 'endpoint', models, allowFewer: false });
}

const placeOf = ({ page, line }: Block): string => `${page}:${line}`;

test('each block is of a kind that is looked at, and there are some of each', () => {
  const kinds = shown.map((block) => kindOf(block, block.tree));
  expect(shown.filter((_, i) => kinds[i] === null).map(placeOf)).toEqual([]);
  expect(new Set(kinds)).toEqual(new Set(['whole', 'another', 'steps', 'values', 'piece']));
});

type Kind = 'whole' | 'another' | 'steps' | 'values' | 'piece';
function kindOf(block: Block, tree: unknown): Kind | null {
  if (isWhole(tree)) return 'whole';
  if (isForAnother(block, tree)) return 'another';
  if (isSteps(tree)) return 'steps'; // their commands are in commands.test.ts
  if (Array.isArray(tree)) return 'values';
  return isMapping(tree) ? 'piece' : null;
}

const of = (kind: Kind) =>
  shown.filter((block) => kindOf(block, block.tree) === kind).map((block) => [placeOf(block), block] as const);

test.each(of('whole'))('%s is a scenario that can be planned, and its gate judged', (_, block) => {
  const scenario = resolved(block.text);
  const plan = planned(scenario);
  expect(plan.cells.length).toBeGreaterThan(0);
  if (scenario.gate === null) return;
  const { thresholds } = checkPlan(thresholdsOf(scenario), plan, { mode: 'interleaved', file: null });
  expect(thresholds.length).toBeGreaterThan(scenario.gate.thresholds.length);
});

test.each(of('another'))('%s is a file for another target of a scenario that is shown', (_, block) => {
  const file = join(folder, 'other.yaml');
  writeFileSync(file, block.text);
  const other = otherTarget({ flag: '--against', target: file, model: null, adapters: null, apiKeyEnv: null });
  const own = shown.find(({ text }) => text.startsWith('# gate-vllm.yaml'))!;
  expect(scenarioForOther(resolved(own.text), other).target).toMatchObject({ kind: 'endpoint' });
});

test.each(of('piece'))('%s is a piece of a scenario', (_, block) => {
  expect(resolved(stringify(around(block.tree as Tree))).name).toBe('piece');
});

test.each(of('values'))('%s lists values that are accepted, each by itself', (_, block) => {
  for (const value of block.tree as unknown[]) {
    const scenario = resolved(stringify(around(withValue(block.heading, value))));
    expect(thresholdsOf(scenario)).toHaveLength(scenario.gate?.thresholds.length ?? 0);
  }
});

/** A whole scenario around a piece of one: what the piece needs beside it, and no more. */
function around(piece: Tree): Tree {
  const load = piece['load'];
  const replays = isMapping(load) && 'trace' in load;
  const lengths =
    'workload' in piece ? {} : { prompt: replays ? { trace: 'x.jsonl' } : { tokens: 999 }, output: { tokens: 9 } };
  const names = isMapping(piece['adapters']) && 'names' in piece['adapters'];
  const atEndpoint = names || isMapping(piece['target']);
  const target = names ? { target: { url: 'http://host:8000/v1' } } : {};
  const models = { models: atEndpoint ? 'my-model' : 'llama-3-8b' };
  return { name: 'piece', ...models, ...target, ...lengths, load: { concurrency: 1 }, ...piece };
}

/** By the section that a list of values stands in. */
function withValue(section: string, value: unknown): Tree {
  const threshold = (one: unknown) => ({ slo: { ttft: '1s' }, gate: { thresholds: [one] } });
  switch (section) {
    case 'lengths':
      return { prompt: { tokens: value } };
    case 'threshold':
      return threshold(value);
    case 'at':
      return threshold({ metric: 'tpot.p50', max_increase: '5%', at: value });
    default:
      throw new Error(`no key takes the values of a section "${section}"`);
  }
}

test('JSON is JSON', () => {
  const told = blocks.filter(({ language }) => language === 'json');
  expect(told.length).toBeGreaterThan(0);
  for (const { text } of told) expect(() => JSON.parse(text) as unknown).not.toThrow();
});
