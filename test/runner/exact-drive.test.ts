/** The fixed drive against a real engine: the same counters each time, others for another cell, and why there are none. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../engine/models/tokenizer.ts';
import type { Cell, Plan } from '../../src/plan/plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import type { Exact } from '../../src/result/exact.ts';
import { EXACT_COUNTERS } from '../../src/result/exact.ts';
import { driveExactly, driveRequests } from '../../src/runner/exact-drive.ts';
import { runPlan } from '../../src/runner/run-plan.ts';
import { resolveScenario, scenarioFromText } from '../../src/scenario/load.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import type { Target } from '../../src/target/target.ts';
import { type RealServing, realServing } from '../engine/http/real-serving.ts';
import { startTimedServer } from '../support/timed-server.ts';

interface Adapters {
  data: { name: string; tier: string }[];
  idle_tier: string;
}

const NAMES = ['a1', 'a2', 'a3'];
const SLOTS = 2;

let tokenizer: Tokenizer;
let served: RealServing;
beforeAll(async () => {
  tokenizer = await loadTokenizer('llama-3');
  served = await realServing({ maxGpuLoras: SLOTS, maxLoraRank: 8, validate: false });
  for (const [i, name] of NAMES.entries()) {
    const body = { lora_name: name, lora_path: `synthetic:rank=${4 + i},seed=1` };
    expect(await served.ask('/v1/load_lora_adapter', body)).toMatchObject({ status: 200 });
  }
});
afterAll(() => served.close());

const signal = new AbortController().signal;

const cellOf = (url: string, model: string, set: readonly string[] = []): Cell => planFor(url, model, set).cells[0]!;

function planFor(url: string, model: string, set: readonly string[] = []): Plan {
  const text = `
name: drive
target: {url: "${url}/v1", api: completions}
models: [${JSON.stringify(model)}]
adapters: {count: [3], popularity: round_robin, base_share: 0.25}
prompt: {tokens: {uniform: {min: 4, max: 20}}}
output: {tokens: 12}
load: {concurrency: [4]}
measure: {requests: 6, repeats: 2}
`;
  const scenario = resolveScenario(scenarioFromText(text, null), { withoutGpu: false, endpoint: false, set });
  const models = [{ name: model, adapters: NAMES }];
  return planOf(scenario, { kind: 'endpoint', models, allowFewer: false });
}

async function up(url: string, cell: Cell): Promise<Target> {
  const source = endpointSource({ url: `${url}/v1`, api: 'completions', apiKeyEnv: null, headers: {}, env: {} });
  return source.bringUp(cell, () => {}, signal);
}

async function driven(set: readonly string[] = []): Promise<Exact> {
  const cell = cellOf(served.url, served.core.info.geometry.name, set);
  const exact = await driveExactly({ target: await up(served.url, cell), cell, tokenizer, signal });
  if (exact === null) throw new Error('the engine has no counters');
  return exact;
}

describe('on the engine', () => {
  it('gives the same counters each time, whatever ran between, and says for which device and kernels', async () => {
    const first = await driven();
    expect(Object.keys(first.counters)).toEqual(Object.keys(EXACT_COUNTERS));
    expect(Object.values(first.counters).every(Number.isFinite)).toBe(true);
    expect(first.counters).toMatchObject({ requests: 8, generated_tokens: 8 * 8, created_in_steps: 0 });
    const { rows, lora_rows, prompt_tokens, steps, dispatches, dispatches_per_step } = first.counters;
    expect(rows).toBe(prompt_tokens + 8 * 7);
    expect(lora_rows).toBeGreaterThan(0);
    expect(lora_rows).toBeLessThan(rows);
    expect(dispatches_per_step).toBe(dispatches / steps);
    const { candidate, name } = served.core.info.device;
    expect(first.validFor).toBe(`${candidate}: ${name}; kernels ${served.core.info.variants.join(', ')}`);

    const body = { model: 'a3', prompt: [1, 2, 3], max_tokens: 2 };
    expect(await served.ask('/v1/completions', body)).toMatchObject({ status: 200 });
    expect(await driven()).toEqual(first);
  });

  it('gives others for another cell', async () => {
    const { counters } = await driven();
    expect((await driven(['adapters.base_share=0'])).counters.lora_rows).toBeGreaterThan(counters.lora_rows);
    expect((await driven(['load.concurrency=2'])).counters).toMatchObject({ requests: 4 });
    expect((await driven(['prompt.tokens=21'])).counters.prompt_tokens).toBe(8 * 21);
  });

  it('leaves adapters where they were, and where they go when idle', async () => {
    const places = async () => {
      const { data, idle_tier } = (await served.ask('/v1/adapters')).answer as Adapters;
      return [idle_tier, ...data.map(({ name, tier }) => `${name} ${tier}`)];
    };
    const first = await driven();
    await served.ask('/v1/adapters/evict', { lora_name: 'a1', to: 'host' });
    await served.ask('/v1/adapters/prefetch', { lora_name: 'a3' });
    const warm = await places();
    expect(warm).toEqual(['device', 'a1 host', 'a2 device', 'a3 device']);
    expect(await driven()).toEqual(first);
    expect(await places()).toEqual(warm);

    await served.ask('/v1/adapters/idle_tier', { tier: 'host' });
    const cold = await places();
    expect(cold).toEqual(['host', 'a1 host', 'a2 host', 'a3 host']);
    expect(await driven()).toEqual(first);
    expect(await places()).toEqual(cold);
    await served.ask('/v1/adapters/idle_tier', { tier: 'device' });
  });

  it('names no more adapters than there are slots', () => {
    const cell = cellOf(served.url, 'm', ['adapters.base_share=0']);
    const names = (slots: number) => new Set(driveRequests({ cell, tokenizer }, slots).map(({ adapter }) => adapter));
    expect(names(SLOTS)).toEqual(new Set(['a1', 'a2']));
    expect(names(8)).toEqual(new Set(NAMES));
  });

  it('says why not when others use it, and lets go', async () => {
    const cell = cellOf(served.url, served.core.info.geometry.name);
    const target = await up(served.url, cell);
    await served.ask('/v1/engine/hold', { max_seconds: 30 });
    const error = await driveExactly({ target, cell, tokenizer, signal }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'NO_DATA', message: expect.stringContaining('held already') });
    expect(await served.ask('/v1/engine/release', {})).toMatchObject({ status: 200 });

    const short = { ...cell, prompt: { ...cell.prompt, lengths: { kind: 'fixed', tokens: 300 } as const } };
    const refused = await driveExactly({ target, cell: short, tokenizer, signal }).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: 'NO_DATA', message: expect.stringContaining('maximum context length') });
    expect((await served.ask('/v1/engine/counters')).answer).toMatchObject({ held: false });
  });
});

describe('in a sweep', () => {
  const sweep = async (url: string, model: string, exact: boolean) => {
    const plan = { ...planFor(url, model), slo: null };
    return runPlan({
      plan,
      source: endpointSource({ url: `${url}/v1`, api: 'completions', apiKeyEnv: null, headers: {}, env: {} }),
      tokenizerOf: () => tokenizer,
      records: { append: () => {} },
      progress: () => {},
      signal,
      exact,
    });
  };

  it('is made once for a cell, and stands in each of its runs', async () => {
    const { name } = served.core.info.geometry;
    const { cells, warnings } = await sweep(served.url, name, true);
    const wanted = await driven();
    expect(warnings.filter((text) => text.includes('exact'))).toEqual([]);
    expect(cells[0]!.runs.map(({ exact, exactFor }) => [exact, exactFor])).toEqual(
      [0, 1].map(() => [wanted.counters, wanted.validFor]),
    );
    const generated = async () => (await served.core.work()).counters.generatedTokens;
    const before = await generated();
    const without = await sweep(served.url, name, false);
    const perSweep = (await generated()) - before;
    expect(without.cells[0]!.runs.map(({ exact, exactFor }) => [exact, exactFor])).toEqual(
      [0, 1].map(() => [{}, undefined]),
    );
    await sweep(served.url, name, true);
    expect((await generated()) - before).toBe(2 * perSweep + wanted.counters.generated_tokens);
  });

  it('is told to be missing, and is not there, where the server has no counters', async () => {
    const server = await startTimedServer({ adapters: NAMES });
    const { cells, warnings } = await sweep(server.url.replace(/\/v1$/, ''), 'base', true);
    expect(cells[0]!.runs.map(({ exact }) => exact)).toEqual([{}, {}]);
    expect(warnings).toContain('c1: no exact counters: the server is not the engine, and counts nothing');
    await server.close();
  });
});

it('has nothing to say of other servers', async () => {
  const server = await startTimedServer({ adapters: NAMES });
  const base = server.url.replace(/\/v1$/, '');
  const cell = cellOf(base, 'base');
  expect(await driveExactly({ target: await up(base, cell), cell, tokenizer, signal })).toBeNull();
  await server.close();
});
