/** The store over a real core: folders that come, change, break and go while requests run. */
import { cp, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeAdapter } from '../../../engine/adapter-files/make-adapter.ts';
import type { EngineCore } from '../../../engine/core.ts';
import { AdapterStore } from '../../../engine/lora/store.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { startTestCore } from '../../support/core.ts';

let core: EngineCore;
let made: string;
let folder: string;
let lines: string[];
let store: AdapterStore;

beforeAll(async () => {
  core = await startTestCore();
  made = await mkdtemp(join(tmpdir(), 'store-made-'));
  const { geometry } = core.info;
  for (const [seed, format] of [
    [1, 'peft'],
    [2, 'peft'],
    [3, 'nemo'],
  ] as const) {
    const options = { geometry, folder: null, kind: 'lora', format, rank: 2 * seed, modules: MODULES } as const;
    await makeAdapter({ ...options, scale: 0.5, seed, out: join(made, String(seed)) });
  }
});

afterAll(async () => {
  await core.close();
  await rm(made, { recursive: true });
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
  lines = [];
  store = new AdapterStore(core, { folder, refreshSeconds: 0 }, (line) => lines.push(line));
});

afterEach(async () => {
  store.stop();
  for (const { name } of core.adapters()) await core.unloadAdapter(name);
  await rm(folder, { recursive: true, force: true });
});

const put = (adapter: number, name: string) => cp(join(made, String(adapter)), join(folder, name), { recursive: true });
const names = () =>
  core
    .adapters()
    .map(({ name }) => name)
    .sort();
const answer = (adapter: string | null, tokens = 4): Promise<number[]> =>
  new Promise((resolve, reject) => {
    const all: number[] = [];
    const request = { adapter, prompt: Uint32Array.of(5, 6, 7), maxTokens: tokens, minTokens: tokens, ignoreEos: true };
    core.submit(
      { ...request, temperature: 0, topP: 1, topK: 0, seed: 0 },
      {
        onTokens: (ids, finish) => {
          all.push(...ids);
          if (finish) resolve(all);
        },
        onError: ({ message }) => reject(new Error(message)),
      },
    );
  });

it('takes every folder by its name, and reads it when a request names it', async () => {
  await put(1, 'support');
  await put(3, 'math');
  await symlink(join(made, '2'), join(folder, 'linked'));
  await put(1, '.hidden');
  await writeFile(join(folder, 'notes.txt'), 'not an adapter');
  await store.start();
  expect(core.adapters().map(({ name, rank, format, tier }) => ({ name, rank, format, tier }))).toEqual([
    { name: 'linked', rank: 4, format: 'peft', tier: 'disk' },
    { name: 'math', rank: 6, format: 'nemo', tier: 'disk' },
    { name: 'support', rank: 2, format: 'peft', tier: 'disk' },
  ]);
  expect(lines).toEqual([`${folder}: 3 adapters`]);
  expect(await answer('math')).not.toEqual(await answer(null));
  expect(core.adapters().find(({ name }) => name === 'math')?.tier).toBe('device');
});

it('sees what comes and what goes; requests that use it end first', async () => {
  await put(1, 'first');
  await store.start();
  await put(2, 'second');
  await store.scan();
  expect(names()).toEqual(['first', 'second']);
  await answer('first'); // read: from now on it needs its folder no more
  const running = answer('first', 24);
  await rm(join(folder, 'first'), { recursive: true });
  await store.scan();
  expect((await running).length).toBe(24);
  await expect.poll(names).toEqual(['second']);
  await expect(answer('first')).rejects.toThrow();
});

it('takes a changed one again under its name, with its new weights', async () => {
  await put(1, 'support');
  await put(2, 'other');
  await store.start();
  const before = await answer('support');
  await rm(join(folder, 'support'), { recursive: true });
  await put(2, 'support');
  await store.scan();
  expect(await answer('support')).toEqual(await answer('other'));
  expect(await answer('support')).not.toEqual(before);
  expect(lines).toContain('adapter "support" has changed and was taken again');
});

it('tells of a broken one once, serves the others, and tries again when it changes', async () => {
  await put(1, 'broken');
  await put(2, 'sound');
  await truncate(join(folder, 'broken', 'adapter_model.safetensors'), 1000);
  await mkdir(join(folder, 'empty'));
  await store.start();
  await store.scan();
  expect(names()).toEqual(['sound']);
  const told = lines.filter((line) => line.startsWith('adapter "broken" is left out'));
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/adapter_model\.safetensors/);
  expect(lines.filter((line) => line.startsWith('adapter "empty" is left out'))).toHaveLength(1);
  await rm(join(folder, 'broken'), { recursive: true });
  await put(1, 'broken');
  await store.scan();
  expect(names()).toEqual(['broken', 'sound']);
});

it('leaves away what was unloaded by hand, until its folder changes', async () => {
  await put(1, 'support');
  await store.start();
  await core.unloadAdapter('support');
  await store.scan();
  expect(names()).toEqual([]);
  await rm(join(folder, 'support'), { recursive: true });
  await put(2, 'support');
  await store.scan();
  expect(names()).toEqual(['support']);
});

it('comes back to a change that found its adapter being loaded by somebody else', async () => {
  let byHand: Promise<unknown> | null = null;
  const contested = {
    info: core.info,
    unloadAdapter: (name: string) => core.unloadAdapter(name),
    loadAdapter: (...args: Parameters<EngineCore['loadAdapter']>) => {
      // Asked for just before: it is still at work when the store's own is looked at.
      if (args[2]?.replace) byHand ??= core.loadAdapter(args[0], join(made, '3'), { replace: true });
      return core.loadAdapter(...args);
    },
  };
  store = new AdapterStore(contested, { folder, refreshSeconds: 0 }, (line) => lines.push(line));
  await put(1, 'alpha');
  await store.start();
  await rm(join(folder, 'alpha'), { recursive: true });
  await put(2, 'alpha');
  await store.scan();
  expect(await byHand).toBeNull();
  expect(core.adapters()).toMatchObject([{ name: 'alpha', path: join(made, '3') }]);
  await store.scan();
  expect(core.adapters()).toMatchObject([{ name: 'alpha', path: join(folder, 'alpha') }]);
});

it('does not touch an adapter of the same name that came from elsewhere', async () => {
  expect(await core.loadAdapter('support', 'synthetic:rank=2,seed=9')).toBeNull();
  await put(1, 'support');
  await store.start();
  expect(core.adapters()).toMatchObject([{ name: 'support', format: 'synthetic' }]);
  expect(lines[0]).toMatch(/"support" is left out: .*loaded already/);
  await rm(join(folder, 'support'), { recursive: true });
  await store.scan();
  expect(names()).toEqual(['support']);
});

it('keeps what it has when the folder cannot be read, and says so once', async () => {
  await put(1, 'support');
  await store.start();
  await rename(folder, `${folder}-away`);
  await store.scan();
  await store.scan();
  expect(names()).toEqual(['support']);
  expect(lines.filter((line) => line.includes('cannot be read'))).toHaveLength(1);
  await rename(`${folder}-away`, folder);
  await store.scan();
  expect(names()).toEqual(['support']);
});

it('looks again by itself', async () => {
  store = new AdapterStore(core, { folder, refreshSeconds: 0.05 }, (line) => lines.push(line));
  await store.start();
  await put(1, 'late');
  await expect.poll(names, { timeout: 20_000 }).toEqual(['late']);
});

it.each([
  ['is not there', 'missing'],
  ['is no folder', 'file'],
])('refuses a store that %s', async (words, name) => {
  await writeFile(join(folder, 'file'), '');
  const wrong = new AdapterStore(core, { folder: join(folder, name), refreshSeconds: 0 }, () => {});
  await expect(wrong.start()).rejects.toMatchObject({ code: 'usage', message: expect.stringContaining(words) });
});
