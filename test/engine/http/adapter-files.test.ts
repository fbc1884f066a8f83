/** Adapters from files over HTTP, on the real core: loaded, replaced and unloaded while requests run, or folded in at the start. */
import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapterFolder } from '../../support/golden-adapters.ts';
import { type RealServing, realServing } from './real-serving.ts';
import { type Chunk, chunksOf, post } from './serving.ts';

const greedy = { prompt: [5, 6, 7], temperature: 0, ignore_eos: true };

async function textOf(s: RealServing, model: string): Promise<string> {
  const { status, answer } = await s.ask('/v1/completions', { model, ...greedy, max_tokens: 12 });
  expect(status).toBe(200);
  return (answer as Chunk).choices[0]!.text;
}
const load = (s: RealServing, name: string, path: string, more: object = {}) =>
  s.ask('/v1/load_lora_adapter', { lora_name: name, lora_path: path, ...more });
const cards = async (s: RealServing) => ((await s.ask('/v1/models')).answer as { data: object[] }).data;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adapter-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('with slots for two', () => {
  let s: RealServing;
  beforeAll(async () => {
    s = await realServing({ maxGpuLoras: 2 });
  });
  afterAll(() => s.close());

  it('serves files of every kind and format beside the base, as many as are loaded', async () => {
    const kinds = { plain: 'lora', bin: 'lora', 'nemo-fused': 'lora', dora: 'dora', vera: 'vera', tied: 'tied' };
    const base = s.core.info.geometry.name;
    for (const name of Object.keys(kinds)) {
      expect(await load(s, name, adapterFolder(name))).toEqual({
        status: 200,
        answer: `Success: LoRA adapter '${name}' added successfully.`,
      });
    }
    expect(await cards(s)).toMatchObject([
      { id: base, root: base, parent: null },
      ...Object.entries(kinds).map(([name, kind]) => ({ id: name, root: adapterFolder(name), parent: base, kind })),
    ]);
    const names = [base, ...Object.keys(kinds)];
    const together = await Promise.all(names.map((name) => textOf(s, name)));
    const alone: string[] = [];
    for (const name of names) alone.push(await textOf(s, name));
    expect(together).toEqual(alone);
    // None answers as the base does, nor as another.
    expect(new Set(alone).size).toBe(names.length);
    for (const name of Object.keys(kinds)) {
      expect(await s.ask('/v1/unload_lora_adapter', { lora_name: name })).toMatchObject({ status: 200 });
    }
    expect(await cards(s)).toHaveLength(1);
  });

  it("takes a path relative to the server's working folder", async () => {
    expect(await load(s, 'near', relative(process.cwd(), adapterFolder('plain')))).toMatchObject({ status: 200 });
    expect(await cards(s)).toMatchObject([{}, { id: 'near', root: adapterFolder('plain') }]);
    await s.core.unloadAdapter('near');
  });

  it('replaces one in place: its requests end on the old weights, later ones run on the new', async () => {
    await load(s, 'a', adapterFolder('plain'));
    const old = await textOf(s, 'a');
    const request = { model: 'a', ...greedy, max_tokens: 150, stream: true };
    const whole = async (response: Response) =>
      (await chunksOf(response)).map(({ choices }) => choices[0]!.text).join('');
    const undisturbed = await whole(await post(`${s.url}/v1/completions`, request));
    const running = await post(`${s.url}/v1/completions`, request);
    expect(await load(s, 'a', adapterFolder('dora'), { load_inplace: true })).toMatchObject({ status: 200 });
    const fresh = await textOf(s, 'a');
    expect(await whole(running)).toBe(undisturbed);
    await load(s, 'dora', adapterFolder('dora'));
    expect(fresh).toBe(await textOf(s, 'dora'));
    expect(fresh).not.toBe(old);
    expect(await cards(s)).toMatchObject([{}, { id: 'a', root: adapterFolder('dora') }, { id: 'dora' }]);
    await s.core.unloadAdapter('a');
    await s.core.unloadAdapter('dora');
  });

  it('unload waits for the requests that use it, and gives newcomers a 404', async () => {
    await load(s, 'leaving', adapterFolder('plain'));
    const running = await post(`${s.url}/v1/completions`, {
      model: 'leaving',
      ...greedy,
      max_tokens: 150,
      stream: true,
    });
    let unloaded = false;
    const unloading = s.ask('/v1/unload_lora_adapter', { lora_name: 'leaving' }).then((answer) => {
      unloaded = true;
      return answer;
    });
    let status = 200;
    while (status === 200) {
      status = (await s.ask('/v1/completions', { model: 'leaving', ...greedy, max_tokens: 1 })).status;
    }
    expect(status).toBe(404);
    expect(unloaded).toBe(false);
    expect((await chunksOf(running)).at(-1)).toMatchObject({ choices: [{ finish_reason: 'length' }] });
    expect(await unloading).toMatchObject({ status: 200 });
  });

  it('refuses a broken file with its problems, and what has its name goes on', async () => {
    const broken = join(folder, 'broken');
    await cp(adapterFolder('plain'), broken, { recursive: true });
    await truncate(join(broken, 'adapter_model.safetensors'), 20_000);
    const refusal = {
      status: 400,
      answer: {
        error: {
          type: 'BadRequestError',
          code: 'bad_file',
          param: 'lora_path',
          message: expect.stringContaining('adapter_model.safetensors'),
        },
      },
    };
    expect(await load(s, 'b', broken)).toMatchObject(refusal);
    expect(await load(s, 'b', folder)).toMatchObject({ status: 400, answer: { error: { code: 'bad_file' } } });
    expect(await load(s, 'b', join(folder, 'nowhere'))).toMatchObject({
      status: 404,
      answer: { error: { type: 'NotFoundError', message: expect.stringContaining('nowhere') } },
    });
    expect(await cards(s)).toHaveLength(1);
    await load(s, 'b', adapterFolder('plain'));
    const text = await textOf(s, 'b');
    expect(await load(s, 'b', broken, { load_inplace: true })).toMatchObject(refusal);
    expect(await textOf(s, 'b')).toBe(text);
    await s.core.unloadAdapter('b');
  });

  it('tells a request why, when the file has changed since it was checked', async () => {
    const changing = join(folder, 'changing');
    await cp(adapterFolder('plain'), changing, { recursive: true });
    await load(s, 'changing', changing);
    await s.ask('/v1/adapters/evict', { lora_name: 'changing', to: 'disk' });
    await truncate(join(changing, 'adapter_model.safetensors'), 20_000);
    const { status, answer } = await s.ask('/v1/completions', { model: 'changing', ...greedy });
    expect(status).toBe(503);
    expect(answer).toMatchObject({ error: { message: expect.stringContaining('cannot be read') } });
    expect(await s.ask('/v1/adapters/prefetch', { lora_name: 'changing' })).toMatchObject({
      status: 400,
      answer: { error: { code: 'bad_file' } },
    });
    await s.core.unloadAdapter('changing');
  });
});

describe('without slots', () => {
  it('refuses every adapter', async () => {
    const s = await realServing({ maxGpuLoras: 0 });
    try {
      expect(await load(s, 'a', adapterFolder('plain'))).toMatchObject({
        status: 400,
        answer: { error: { code: 'no_slot', message: expect.stringContaining('--max-gpu-loras 0') } },
      });
      expect((await s.ask('/v1/adapters')).answer).toEqual({ data: [], idle_tier: 'device' });
    } finally {
      await s.close();
    }
  });
});

describe('with an adapter folded into the weights', () => {
  let s: RealServing;
  const path = adapterFolder('plain');
  beforeAll(async () => {
    s = await realServing({ maxGpuLoras: 0, merge: { name: 'folded', path } });
  });
  afterAll(() => s.close());

  it('it is the one model, under its name', async () => {
    const { rank } = s.core.info.merged!;
    const card = { id: 'folded', root: path, parent: null, lora_rank: rank, kind: 'lora' };
    expect(await cards(s)).toMatchObject([card]);
    expect((await s.ask('/v1/models/folded')).answer).toMatchObject(card);
    expect(await textOf(s, 'folded')).not.toBe('');
    const { status, answer } = await s.ask('/v1/completions', { model: s.core.info.geometry.name, ...greedy });
    expect(status).toBe(404);
    expect(answer).toMatchObject({ error: { message: expect.stringContaining('folded') } });
    expect((await s.ask('/metrics')).answer).toContain('vllm:num_requests_running{model_name="folded"} 0\n');
  });

  it('takes no others, and its name is not to be had', async () => {
    expect(await load(s, 'a', adapterFolder('dora'))).toMatchObject({
      status: 400,
      answer: { error: { message: expect.stringContaining('--merge-lora') } },
    });
    expect(await load(s, 'folded', adapterFolder('dora'), { load_inplace: true })).toMatchObject({
      status: 400,
      answer: { error: { type: 'InvalidUserInput', param: 'lora_name' } },
    });
    expect(await s.ask('/v1/unload_lora_adapter', { lora_name: 'folded' })).toMatchObject({ status: 404 });
  });
});
