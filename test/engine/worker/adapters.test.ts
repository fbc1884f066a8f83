/** Adapters from files through the device thread: tiers, cold and warm, broken files, more than slots, pins, replacing. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type MakeOptions, makeAdapter } from '../../../engine/adapter-files/make-adapter.ts';
import type { EngineCore, SequenceTimings, Tier } from '../../../engine/core.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { startTestCore } from '../../support/core.ts';
import { type Followed, follow, somePrompt } from './follow.ts';

const SLOTS = 2;
let core: EngineCore;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adapters-'));
  core = await startTestCore({ maxGpuLoras: SLOTS, maxCpuLoras: 3, maxLoraRank: 16 });
});
afterAll(async () => {
  await core?.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await core.setIdleTier('device');
  for (const { name } of core.adapters()) await core.unloadAdapter(name);
});

let seeds = 0;
/** A folder with a random adapter. */
async function made(fields: Partial<MakeOptions> = {}): Promise<string> {
  const seed = ++seeds;
  const out = join(folder, `made ${seed}`);
  const { geometry } = core.info;
  const base = { geometry, folder: null, kind: 'lora', format: 'peft', rank: 8, modules: MODULES, scale: 0.7 } as const;
  await makeAdapter({ ...base, seed, out, ...fields });
  return out;
}

const prompt = (): Uint32Array => somePrompt(core.info.geometry.vocab, 7, 9);
const run = (adapter: string | null, maxTokens = 4): Followed => follow(core, { prompt: prompt(), adapter, maxTokens });
async function ids(adapter: string | null, maxTokens = 4): Promise<number[]> {
  const one = run(adapter, maxTokens);
  expect(await one.ended).toBe('length');
  return one.ids;
}
async function timingsOf(one: Followed): Promise<SequenceTimings> {
  expect(await one.ended).toBe('length');
  return one.calls.at(-1)?.timings as SequenceTimings;
}
const tierOf = (name: string): Tier | undefined => core.adapters().find((adapter) => adapter.name === name)?.tier;

describe('tiers', () => {
  test('a load brings an adapter up as far as asked, and as far as that evicts nobody', async () => {
    const paths = [await made(), await made({ kind: 'dora' }), await made(), await made()];
    expect(await core.loadAdapter('disk', paths[0] as string, { to: 'disk' })).toBeNull();
    expect(await core.loadAdapter('host', paths[0] as string, { to: 'host' })).toBeNull();
    expect(await core.loadAdapter('first', paths[1] as string)).toBeNull();
    expect(await core.loadAdapter('second', 'synthetic:rank=4,seed=1')).toBeNull();
    expect(await core.loadAdapter('third', paths[2] as string)).toBeNull();
    expect(await core.loadAdapter('fourth', paths[3] as string)).toBeNull();
    // Three images at most, and two slots.
    const tiers = Object.fromEntries(core.adapters().map(({ name, tier }) => [name, tier]));
    expect(tiers).toEqual({
      disk: 'disk',
      host: 'host',
      first: 'device',
      second: 'device',
      third: 'host',
      fourth: 'disk',
    });
    const [disk, , first] = core.adapters();
    expect(disk).toMatchObject({ kind: 'lora', format: 'peft', rank: 8, loads: 0, pinned: false, users: 0 });
    expect(first).toMatchObject({ kind: 'dora', format: 'peft', rank: 8, loads: 1 });
    expect((first?.bytes as number) > (disk?.bytes as number)).toBe(true); // its column words
    expect(core.stats()).toMatchObject({ adaptersOnDevice: 2, adaptersInHost: 2, adaptersOnDisk: 2 });
  });

  test('a request says where its adapter was, what was moved and how long it waited', async () => {
    expect(await core.loadAdapter('a', await made(), { to: 'disk' })).toBeNull();
    const cold = await timingsOf(run('a'));
    const warm = await timingsOf(run('a'));
    expect(await core.residency({ action: 'evict', name: 'a', to: 'host' })).toBeNull();
    const lukewarm = await timingsOf(run('a'));
    expect([cold, warm, lukewarm].map(({ adapterTier }) => adapterTier)).toEqual(['disk', 'device', 'host']);
    const { bytes, loads } = core.adapters()[0] as { bytes: number; loads: number };
    expect([cold, warm, lukewarm].map(({ adapterBytes }) => adapterBytes)).toEqual([bytes, 0, bytes]);
    expect(loads).toBe(2);
    for (const { adapterLoad, adapterWait, prefillStart, received } of [cold, lukewarm]) {
      expect(adapterLoad).toBeGreaterThan(0);
      expect(adapterWait).toBeGreaterThan(0);
      expect(prefillStart - received).toBeGreaterThanOrEqual(adapterWait);
    }
    expect([warm.adapterLoad, warm.adapterWait]).toEqual([0, 0]);
    expect(await timingsOf(run(null))).toMatchObject({ adapterTier: null, adapterBytes: 0 });
  });

  test.each(['lora', 'dora', 'vera', 'tied'] as const)('%s has the same tokens from every tier', async (kind) => {
    expect(await core.loadAdapter('a', await made({ kind }), { to: 'disk' })).toBeNull();
    const from: (number[] | undefined)[] = [];
    for (const tier of ['disk', 'host', 'device', 'disk'] as const) {
      if (tier !== 'device') expect(await core.residency({ action: 'evict', name: 'a', to: tier })).toBeNull();
      expect(tierOf('a')).toBe(tier);
      from.push(await ids('a'));
    }
    for (const one of from) expect(one).toEqual(from[0]);
    expect(from[0]).not.toEqual(await ids(null));
  });

  test('with an idle tier every first use is cold', async () => {
    expect(await core.loadAdapter('a', await made())).toBeNull();
    await core.setIdleTier('disk');
    expect(tierOf('a')).toBe('disk');
    for (let i = 0; i < 2; i++) expect((await timingsOf(run('a'))).adapterTier).toBe('disk');
    await core.setIdleTier('host');
    expect((await timingsOf(run('a'))).adapterTier).toBe('disk');
    expect((await timingsOf(run('a'))).adapterTier).toBe('host');
  });
});

describe('more adapters than slots', () => {
  test('take turns, and each has its own tokens to its end', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) expect(await core.loadAdapter(name, await made(), { to: 'disk' })).toBeNull();
    const alone = new Map<string, number[]>();
    for (const name of names) alone.set(name, await ids(name, 40));
    const swaps = core.stats().adapterSwaps;
    const together = [...names, null].map((name) => run(name, 40));
    for (const [i, one] of together.entries()) {
      expect(await one.ended).toBe('length');
      const name = names[i];
      if (name !== undefined) expect(one.ids).toEqual(alone.get(name));
    }
    expect(core.stats().adapterSwaps).toBeGreaterThan(swaps);
    expect(core.stats().kvBlocksFree).toBe(core.info.kvBlocks);
  });

  test('a pinned one keeps its slot; when all are, others are refused at once', async () => {
    for (const name of ['a', 'b', 'c']) expect(await core.loadAdapter(name, await made(), { to: 'disk' })).toBeNull();
    expect(await core.residency({ action: 'pin', name: 'a', to: 'device' })).toBeNull();
    await Promise.all([ids('b', 24), ids('c', 24), ids('a', 24)]);
    expect(core.adapters().find(({ name }) => name === 'a')).toMatchObject({ tier: 'device', pinned: true, loads: 1 });
    expect(await core.residency({ action: 'evict', name: 'a', to: 'disk' })).toMatchObject({ code: 'in_use' });
    expect(await core.residency({ action: 'pin', name: 'b', to: 'device' })).toBeNull();
    expect(await core.residency({ action: 'pin', name: 'c', to: 'device' })).toMatchObject({ code: 'no_slot' });
    expect(await core.residency({ action: 'prefetch', name: 'c', to: 'device' })).toMatchObject({ code: 'no_slot' });
    expect(await run('c').ended).toMatchObject({
      code: 'adapter_gone',
      message: expect.stringMatching(/pinned.*"a", "b"/),
    });
    expect(await core.residency({ action: 'unpin', name: 'a', to: 'device' })).toBeNull();
    expect(await ids('c')).toHaveLength(4);
    expect(tierOf('a')).toBe('host');
  });

  test('what cannot be done says why', async () => {
    expect(await core.loadAdapter('s', 'synthetic:rank=4,seed=1')).toBeNull();
    expect(await core.residency({ action: 'pin', name: 'nobody', to: 'device' })).toMatchObject({ code: 'not_found' });
    expect(await core.residency({ action: 'evict', name: 's', to: 'disk' })).toMatchObject({ code: 'bad_file' });
    const user = run('s', 100);
    await user.reached(1);
    expect(await core.residency({ action: 'evict', name: 's', to: 'host' })).toMatchObject({ code: 'in_use' });
    user.handle.cancel();
  });
});

describe('files', () => {
  test('that are broken are refused with what is wrong, and block nobody', async () => {
    const cut = await made();
    const file = join(cut, 'adapter_model.safetensors');
    writeFileSync(file, readFileSync(file).subarray(0, 5000));
    const good = await made();
    const [broken, big, fine] = await Promise.all([
      core.loadAdapter('cut', cut),
      core.loadAdapter('big', await made({ rank: 32 })),
      core.loadAdapter('fine', good),
    ]);
    expect(broken).toMatchObject({ code: 'bad_file', message: expect.stringContaining(cut) });
    expect(big).toMatchObject({ code: 'rank_too_big', message: expect.stringContaining('16') });
    expect(fine).toBeNull();
    expect(core.adapters().map(({ name }) => name)).toEqual(['fine']);
    expect(await ids('fine')).toHaveLength(4);
  });

  test('that vanish between check and read end the requests that wait for them, and no others', async () => {
    const [gone, stays] = [await made(), await made()];
    expect(await core.loadAdapter('gone', gone, { to: 'disk' })).toBeNull();
    expect(await core.loadAdapter('stays', stays, { to: 'disk' })).toBeNull();
    const hidden = `${gone} hidden`;
    renameSync(gone, hidden);
    const waiting = [run('gone'), run('stays'), run('gone'), run(null)];
    const ends = await Promise.all(waiting.map(({ ended }) => ended));
    expect(ends[0]).toMatchObject({ code: 'adapter_gone', message: expect.stringMatching(/"gone".*does not exist/) });
    expect(ends[2]).toEqual(ends[0]);
    expect([ends[1], ends[3]]).toEqual(['length', 'length']);
    // It is known still, and served again when its file is back.
    renameSync(hidden, gone);
    expect(await ids('gone')).toHaveLength(4);
  });

  test('that change are not served as what they were', async () => {
    const [path, other] = [await made(), await made()];
    expect(await core.loadAdapter('a', path)).toBeNull();
    const before = await ids('a');
    const file = 'adapter_model.safetensors';
    rmSync(join(path, file));
    copyFileSync(join(other, file), join(path, file));
    expect(await ids('a')).toEqual(before); // in memory it is what it was
    expect(await core.residency({ action: 'evict', name: 'a', to: 'disk' })).toBeNull();
    expect(await run('a').ended).toMatchObject({ code: 'adapter_gone', message: expect.stringContaining('changed') });
    expect(await core.loadAdapter('a', path, { replace: true })).toBeNull();
    expect(await ids('a')).not.toEqual(before);
  });

  test('a path that is no adapter is refused', async () => {
    mkdirSync(join(folder, 'empty'), { recursive: true });
    expect(await core.loadAdapter('x', join(folder, 'empty'))).toMatchObject({ code: 'bad_file' });
    expect(await core.loadAdapter('x', join(folder, 'nowhere'))).toMatchObject({ code: 'bad_path' });
    expect(core.adapters()).toEqual([]);
  });
});

test('replacing serves new requests with the new weights, while old ones end on the old', async () => {
  const [old, fresh] = [await made(), await made()];
  expect(await core.loadAdapter('a', old)).toBeNull();
  const [ofOld, short] = [await ids('a', 60), await ids('a', 8)];
  const running = run('a', 60);
  await running.reached(2);
  expect(await core.loadAdapter('a', fresh)).toMatchObject({ code: 'exists' });
  expect(await core.loadAdapter('a', fresh, { replace: true })).toBeNull();
  const ofFresh = await ids('a', 8);
  expect(await running.ended).toBe('length');
  expect(running.ids).toEqual(ofOld);
  expect(ofFresh).not.toEqual(short);
  expect(core.adapters()).toMatchObject([{ name: 'a', path: fresh, tier: 'device' }]);
});

test('merged mode takes no adapters', async () => {
  const merged = await startTestCore({
    maxGpuLoras: 0,
    merge: { name: 'folded', path: 'synthetic:rank=8,seed=1' },
  });
  expect(merged.info.merged).toMatchObject({ name: 'folded', rank: 8 });
  expect(await merged.loadAdapter('x', 'synthetic:rank=8,seed=1')).toMatchObject({
    code: 'bad_path',
    message: expect.stringContaining('--merge-lora'),
  });
  await merged.close();
});

test('without slots there are no adapters', async () => {
  const none = await startTestCore({ maxGpuLoras: 0 });
  expect(await none.loadAdapter('x', 'synthetic:rank=8,seed=1')).toMatchObject({ code: 'no_slot' });
  await none.close();
});
