/**
 * 64 adapters of every kind and many ranks over 8 slots, 500 requests: each request has the tokens it has alone, and none
 * waits longer than residency.ts says.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AdapterKind } from '../../../engine/adapter-files/adapter.ts';
import { type MakeFormat, makeAdapter } from '../../../engine/adapter-files/make-adapter.ts';
import { openBaseNorms } from '../../../engine/adapter-files/make-base-norms.ts';
import type { EngineCore, SequenceTimings } from '../../../engine/core.ts';
import { QUANTUM_TURNS } from '../../../engine/lora/residency-line.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { startTestCore } from '../../support/core.ts';
import { type Followed, follow, somePrompt } from './follow.ts';

const ADAPTERS = 64;
const SLOTS = 8;
const REQUESTS = 500;
/** Running at once, and in flight at once: adapters both on the device and off it have sequences, and some wait for a seat. */
const SEATS = 24;
const IN_FLIGHT = 32;
const LONG = 20;

const KINDS: { kind: AdapterKind; format: MakeFormat }[] = [
  { kind: 'lora', format: 'peft' },
  { kind: 'dora', format: 'peft' },
  { kind: 'vera', format: 'peft' },
  { kind: 'tied', format: 'peft' },
  { kind: 'lora', format: 'nemo' },
];
const RANKS = [1, 4, 8, 13, 16, 24, 32];

let core: EngineCore;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'adapters-'));
  core = await startTestCore({
    maxGpuLoras: SLOTS,
    maxCpuLoras: 40,
    maxLoraRank: 32,
    maxNumSeqs: SEATS,
    maxModelLen: 64,
    kernels: 'portable',
    profile: false,
    validate: false,
  });
});
afterAll(async () => {
  await core?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function makeAll(): Promise<void> {
  const { geometry } = core.info;
  const norms = await openBaseNorms(geometry, null);
  for (let i = 0; i < ADAPTERS; i++) {
    const { kind, format } = KINDS[i % KINDS.length] as (typeof KINDS)[number];
    const rank = RANKS[i % RANKS.length] as number;
    const out = join(folder, `a${i}`);
    // So strong that a wrong adapter's tokens are other tokens.
    const made = { geometry, folder: null, kind, format, rank, modules: MODULES, scale: 0.7, seed: i + 1, out, norms };
    await makeAdapter(made);
  }
  await norms.close();
}

interface Asked {
  adapter: string | null;
  prompt: Uint32Array;
  maxTokens: number;
}

/** Each adapter has a short request, every eighth a long one too; and the base has some. */
function kindsOfRequest(): { short: Asked[]; long: Asked[]; base: Asked[] } {
  const { vocab } = core.info.geometry;
  const asked = (adapter: number | null, maxTokens: number): Asked => ({
    adapter: adapter === null ? null : `a${adapter}`,
    prompt: somePrompt(vocab, adapter ?? 99, 3 + ((adapter ?? 0) % 9)),
    maxTokens,
  });
  const all = Array.from({ length: ADAPTERS }, (_, i) => i);
  return {
    short: all.map((i) => asked(i, 3)),
    long: all.filter((i) => i % 8 === 3).map((i) => asked(i, LONG)),
    base: [asked(null, 3), asked(null, LONG)],
  };
}

const order = (i: number): number => Math.imul(i + 1, 0x9e3779b1) >>> 12;

test('500 requests to 64 adapters over 8 slots: the tokens of each alone, and no wait beyond the bound', async () => {
  await makeAll();
  for (let i = 0; i < ADAPTERS; i++) {
    expect(await core.loadAdapter(`a${i}`, join(folder, `a${i}`), { to: 'disk' })).toBeNull();
  }
  const { short, long, base } = kindsOfRequest();
  const key = ({ adapter, maxTokens }: Asked) => `${adapter} ${maxTokens}`;
  const alone = new Map<string, number[]>();
  for (const asked of [...short, ...long, ...base]) {
    const one = follow(core, asked);
    expect(await one.ended).toBe('length');
    alone.set(key(asked), one.ids);
  }
  // A wrong adapter would show: no two requests have the same tokens, though prompts repeat neither.
  expect(new Set([...alone.values()].map((ids) => ids.join())).size).toBe(alone.size);

  const before = core.stats();
  const done: { asked: Asked; one: Followed }[] = [];
  let next = 0;
  const client = async () => {
    while (next < REQUESTS) {
      const i = next++;
      const from = i % 12 === 0 ? long : i % 25 === 1 ? base : short;
      const asked = from[order(i) % from.length] as Asked;
      const one = follow(core, asked);
      expect(await one.ended).toBe('length');
      done.push({ asked, one });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  const after = core.stats();

  expect(done.length).toBe(REQUESTS);
  for (const { asked, one } of done) expect(one.ids, key(asked)).toEqual(alone.get(key(asked)));

  // The bound, in turns: every upload here takes one turn and, where its columns are looked at or its slices do not fit what
  // is left of a turn, another two.
  const each = 4;
  const bound = Math.ceil(SEATS / SLOTS) * (QUANTUM_TURNS + SLOTS * each) + each;
  const timings = done.map(({ one }) => one.calls.at(-1)?.timings as SequenceTimings);
  const stamps = [...new Set(done.flatMap(({ one }) => one.calls.map((call) => call.timings.lastToken)))].sort(
    (a, b) => a - b,
  );
  const stepsBetween = (from: number, to: number) => stamps.filter((at) => at > from && at <= to).length;
  const waits = timings.map(({ admitted, adapterWait, adapterTier }) => ({
    steps: stepsBetween(admitted, admitted + adapterWait),
    adapterTier,
  }));
  // From disk the time of the read comes on top, which no number of steps bounds.
  const bounded = waits.filter(({ adapterTier }) => adapterTier !== 'disk').map(({ steps }) => steps);
  expect(Math.max(...bounded)).toBeLessThanOrEqual(bound);
  const gaps = done.flatMap(({ one }) =>
    one.calls.slice(1).map((call, i) => call.steps - (one.calls[i] as Followed['calls'][number]).steps),
  );
  expect(Math.max(...gaps)).toBeLessThanOrEqual(bound);

  // It was about something: every tier was met, slots were taken from adapters in use, and what was read counts as read.
  const tiers = new Set(timings.map(({ adapterTier }) => adapterTier));
  expect(tiers).toEqual(new Set(['device', 'host', 'disk', null]));
  expect(after.adapterSwaps).toBeGreaterThan(before.adapterSwaps);
  expect(after.adapterLoadsFromDisk - before.adapterLoadsFromDisk).toBeGreaterThan(10);
  expect(after.adapterLoadsFromHost - before.adapterLoadsFromHost).toBeGreaterThan(10);
  expect(after.adaptersOnDevice).toBe(SLOTS);
  expect(after.adaptersOnDevice + after.adaptersInHost).toBeLessThanOrEqual(40);
  for (const { adapterTier, adapterBytes, adapterLoad } of timings) {
    if (adapterTier === null) expect([adapterBytes, adapterLoad]).toEqual([0, 0]);
    else if (adapterTier !== 'device') expect([adapterBytes > 0, adapterLoad > 0]).toEqual([true, true]);
  }
}, 300_000);
