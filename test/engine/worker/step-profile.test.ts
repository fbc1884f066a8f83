/** A profile is sums of steps alike, and a real step's adds up to what the device did: every dispatch, with its stage and its time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EngineCore } from '../../../engine/core.ts';
import { geometryOf, isGeometry } from '../../../engine/models/geometry.ts';
import type { Step } from '../../../engine/scheduler/scheduler.ts';
import { groupShapes } from '../../../engine/transformer/dimensions.ts';
import { stepCost } from '../../../engine/transformer/step-cost.ts';
import { type ProfiledStep, StepProfile } from '../../../engine/worker/step-profile.ts';
import { startTestCore } from '../../support/core.ts';

const nothing = { bytes: 0, operations: 0 };
const cost = {
  qkv: { bytes: 10, operations: 100 },
  o: nothing,
  gateUp: nothing,
  down: nothing,
  attention: nothing,
  head: nothing,
};
const step = (decodes: number, prefills: number): ProfiledStep => ({
  decodes,
  prefills,
  adapters: 2,
  loraRows: 1,
  cost,
  dispatches: [
    { stage: 'qkv', kernel: 'shrink', ns: 1_000_000 },
    { stage: 'qkv', kernel: 'matmul', ns: 2_000_000 },
    { stage: 'qkv', kernel: 'matmul', ns: 3_000_000 },
  ],
  wallNs: 8_000_000,
});

describe('sums', () => {
  it('of steps of one kind', () => {
    const profile = new StepProfile();
    profile.add(step(3, 0));
    profile.add(step(4, 0));
    const [sums] = profile.sums;
    expect(sums).toEqual({
      kind: 'decode',
      rows: { least: 3, most: 4, sum: 7 },
      steps: 2,
      wallMs: 16,
      kernelMs: 12,
      adapters: 4,
      loraRows: 2,
      stages: [
        { stage: 'qkv', ms: 12, bytes: 20, operations: 200 },
        ...['o', 'gateUp', 'down', 'attention', 'head'].map((stage) => ({ stage, ms: 0, bytes: 0, operations: 0 })),
      ],
      kernels: [
        { stage: 'qkv', kernel: 'shrink', calls: 2, ms: 2 },
        { stage: 'qkv', kernel: 'matmul', calls: 4, ms: 10 },
      ],
    });
  });

  it('apart by rows and by whether there is a prompt, and begun anew', () => {
    const profile = new StepProfile();
    for (const [decodes, prefills] of [
      [1, 0],
      [4, 0],
      [5, 0],
      [3, 1],
    ] as const)
      profile.add(step(decodes, prefills));
    expect(profile.sums.map(({ kind, rows }) => `${kind} ${rows.sum}`).sort()).toEqual([
      'decode 1',
      'decode 4',
      'decode 5',
      'prefill 4',
    ]);
    profile.reset();
    expect(profile.sums).toEqual([]);
  });
});

describe('what a step costs at least', () => {
  const g = geometryOf('llama-3-8b');
  if (!isGeometry(g)) throw new Error('no such preset');
  const f16 = (n: number, k: number) => 2 * n * k;
  const weightBytes = {
    qkv: f16(6144, 4096),
    o: f16(4096, 4096),
    gateUp: f16(28672, 4096),
    down: f16(4096, 14336),
    head: f16(128256, 4096),
  };
  const rank16 = { rank: 16 };
  const part = (adapter: { place: { rank: number } } | null, first: number, count: number) => ({
    sequence: { adapter },
    first,
    count,
  });
  const costOf = (parts: ReturnType<typeof part>[]) => {
    const rows = parts.reduce((sum, { count }) => sum + count, 0);
    return stepCost(g, groupShapes(g), weightBytes, { parts, rows, sampled: parts } as unknown as Step);
  };
  const bytesOf = (parts: ReturnType<typeof part>[]) =>
    Object.values(costOf(parts)).reduce((sum, { bytes }) => sum + bytes, 0);

  it('of Llama 3 8B in f16 is 15.0 GB a decode, and 84 MB for each rank-16 adapter', () => {
    const base = bytesOf([part(null, 0, 1)]);
    expect(base / 1e9).toBeCloseTo(15.01, 2);
    expect((bytesOf([part({ place: rank16 }, 0, 1)]) - base) / 1e6).toBeCloseTo(83.9, 1);
  });

  it('counts an adapter once however many rows name it, and keys and values of every position', () => {
    const shared = { place: rank16 };
    const one = bytesOf([part(shared, 511, 1)]);
    expect(bytesOf([part(shared, 511, 1), part(shared, 511, 1)]) - one).toBe(512 * 131_072);
    expect(bytesOf([part(shared, 511, 1), part({ place: { rank: 16 } }, 511, 1)]) - one).toBe(
      512 * 131_072 + 83_886_080,
    );
  });

  it('counts two operations for each weight and row, and the positions each row sees', () => {
    const { qkv, attention, head } = costOf([part(null, 2, 3)]);
    expect(qkv.operations).toBe(32 * 2 * 3 * 6144 * 4096);
    expect(attention.operations).toBe(32 * (3 + 4 + 5) * 4096 * 4);
    expect(head.operations).toBe(2 * 4096 * 128256);
  });
});

describe('on the device', () => {
  let core: EngineCore;
  beforeAll(async () => {
    core = await startTestCore({ profile: true });
  });
  afterAll(() => core.close());

  it('times every dispatch of every step', async () => {
    expect(core.info.profile).toBe(true);
    await core.profile(true);
    const before = await core.work();
    const began = performance.now();
    await new Promise<void>((resolve, reject) => {
      core.submit(
        {
          prompt: Uint32Array.of(1, 2, 3, 4, 5),
          adapter: null,
          maxTokens: 4,
          minTokens: 0,
          ignoreEos: true,
          temperature: 0,
          topP: 1,
          topK: 0,
          seed: 1,
        },
        { onTokens: (_ids, finish) => finish && resolve(), onError: ({ message }) => reject(new Error(message)) },
      );
    });
    const kinds = await core.profile(false);
    const elapsed = performance.now() - began;
    const after = await core.work();
    const sum = (of: (kind: (typeof kinds)[number]) => number) => kinds.reduce((total, kind) => total + of(kind), 0);
    expect(kinds.map(({ kind }) => kind).sort()).toEqual(['decode', 'prefill']);
    expect(sum(({ steps }) => steps)).toBe(after.counters.steps - before.counters.steps);
    expect(sum(({ kernels }) => kernels.reduce((calls, one) => calls + one.calls, 0))).toBe(
      after.counters.dispatches - before.counters.dispatches,
    );
    for (const { kernels, stages, kernelMs, wallMs } of kinds) {
      expect(kernels.map(({ kernel }) => kernel)).toEqual(
        expect.arrayContaining(['embed', 'matmul', 'attention', 'sample']),
      );
      expect(stages.find(({ stage }) => stage === 'gateUp')?.ms).toBeGreaterThan(0);
      expect(kernelMs).toBeGreaterThan(0);
      expect(wallMs).toBeGreaterThan(0);
    }
    // Kernels run one at a time, within the time that all of it took.
    expect(sum(({ kernelMs }) => kernelMs)).toBeLessThan(elapsed);
  });
});
