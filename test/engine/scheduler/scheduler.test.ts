/** Whatever arrives, whenever it is cancelled and wherever it ends: plans a device can run, nothing lost, nothing kept. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SequenceRequest } from '../../../engine/core.ts';
import { AdapterSlots, type ResidentAdapter } from '../../../engine/lora/slots.ts';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { Scheduler } from '../../../engine/scheduler/scheduler.ts';
import { Sequence } from '../../../engine/scheduler/sequence.ts';
import { type Life, SimulatedDevice } from './simulated-device.ts';

const END = 3;

function request(fields: Partial<SequenceRequest> & { promptLength: number }): SequenceRequest {
  const { promptLength, ...rest } = fields;
  const prompt = Uint32Array.from({ length: promptLength }, (_, i) => 100 + i);
  return {
    adapter: null,
    maxTokens: 4,
    minTokens: 0,
    ignoreEos: true,
    temperature: 0,
    topP: 1,
    topK: 0,
    seed: 0,
    ...rest,
    prompt,
  };
}

function loaded(ranks: readonly number[]): { adapters: ResidentAdapter[]; pages: number } {
  const slots = new AdapterSlots(ranks.length, 64);
  const adapters = ranks.map((rank, i) => slots.add(`a${i}`, 'test', rank, 0.5) as ResidentAdapter);
  return { adapters: adapters.reverse(), pages: slots.pages };
}

interface Arrival {
  turn: number;
  promptLength: number;
  maxTokens: number;
  minTokens: number;
  ignoreEos: boolean;
  /** Index into the adapters; their number for the base model. */
  adapter: number;
  /** Turns after its arrival at which it is cancelled, or null. */
  cancelAfter: number | null;
  /** Ids the device samples; the last one repeats. */
  ids: number[];
}

const arrivals = fc.array(
  fc.record<Arrival>({
    turn: fc.nat(30),
    promptLength: fc.integer({ min: 1, max: 40 }),
    maxTokens: fc.integer({ min: 1, max: 12 }),
    minTokens: fc.nat(6),
    ignoreEos: fc.boolean(),
    adapter: fc.nat(3),
    cancelAfter: fc.option(fc.nat(15), { freq: 3 }),
    ids: fc.array(fc.oneof(fc.constant(END), fc.integer({ min: 4, max: 99 })), { minLength: 1, maxLength: 12 }),
  }),
  { minLength: 1, maxLength: 25 },
);
const limits = fc
  .record({
    maxNumSeqs: fc.integer({ min: 1, max: 8 }),
    extraTokens: fc.nat(40),
    blockSize: fc.constantFrom(1, 4, 16),
    extraBlocks: fc.nat(20),
  })
  .map(({ maxNumSeqs, extraTokens, blockSize, extraBlocks }) => ({
    maxNumSeqs,
    // As the memory plan has it: a row for every sequence, and blocks for one of full length.
    maxNumBatchedTokens: maxNumSeqs + extraTokens,
    blockSize,
    blocks: Math.ceil(52 / blockSize) + extraBlocks,
    endIds: [END],
  }));

/** The ids a sequence has to deliver, and how it ends, when nobody cancels it. */
function outcome({ maxTokens, minTokens, ignoreEos, ids }: Arrival): { ids: number[]; finish: 'length' | 'stop' } {
  const out: number[] = [];
  while (out.length < maxTokens) {
    const id = idAt(ids, out.length, !ignoreEos && out.length < minTokens);
    if (id === END && !ignoreEos) return { ids: out, finish: 'stop' };
    out.push(id);
  }
  return { ids: out, finish: 'length' };
}

/** Masked, the device gives the next best. */
function idAt(ids: readonly number[], index: number, masked: boolean): number {
  const id = ids[Math.min(index, ids.length - 1)] as number;
  return masked && id === END ? END + 1 : id;
}

async function drive(
  scheduled: readonly Arrival[],
  chosen: { maxNumSeqs: number; maxNumBatchedTokens: number; blockSize: number; blocks: number; endIds: number[] },
) {
  const { adapters, pages } = loaded([4, 16, 64]);
  const scripts = new Map<Life, Arrival>();
  const device = new SimulatedDevice({ ...chosen, pages }, (life) => {
    const { ids, ignoreEos, minTokens } = scripts.get(life) as Arrival;
    return idAt(ids, life.sampled.length, !ignoreEos && life.sampled.length < minTokens);
  });
  const pending = scheduled
    .map((arrival, i) => ({ arrival, i }))
    .sort((a, b) => a.arrival.turn - b.arrival.turn || a.i - b.i);
  for (let turn = 0, idle = 0; idle < 2; turn++) {
    while (pending[0] && pending[0].arrival.turn <= turn) {
      const { arrival } = pending.shift() as (typeof pending)[number];
      const { promptLength, maxTokens, minTokens, ignoreEos } = arrival;
      const asked = request({ promptLength, maxTokens, minTokens, ignoreEos });
      scripts.set(device.add(asked, adapters[arrival.adapter] ?? null), arrival);
    }
    for (const [life, { turn: at, cancelAfter }] of scripts) {
      if (cancelAfter !== null && at + cancelAfter === turn && life.finish === null) device.cancel(life);
    }
    const busy = await device.turn();
    idle = busy || pending.length > 0 ? 0 : idle + 1;
    if (turn > 5000) throw new Error('it never comes to an end');
  }
  return { device, adapters, scripts };
}

describe('any arrivals, cancels and ids', () => {
  it('give plans that run, and every sequence its own ids to its own end', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals, limits, async (scheduled, chosen) => {
        const { device, adapters, scripts } = await drive(scheduled, chosen);
        for (const [life, arrival] of scripts) {
          const want = outcome(arrival);
          if (life.cancelled) {
            expect(life.finish).toBeNull();
            expect(life.delivered).toEqual(want.ids.slice(0, life.delivered.length));
          } else {
            expect({ ids: life.delivered, finish: life.finish }).toEqual(want);
            // Ends by length are planned ahead; an end id costs at most the one token planned before it was seen.
            expect(life.sampled.length).toBeLessThanOrEqual(want.ids.length + (want.finish === 'stop' ? 2 : 0));
          }
          expect(life.sequence.inFlight).toBe(0);
        }
        expect(device.blocks.free).toBe(chosen.blocks);
        expect(device.blocks.owned.size).toBe(0);
        expect(adapters.map(({ users }) => users)).toEqual(adapters.map(() => 0));
        expect([device.scheduler.running, device.scheduler.waiting]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  it('are admitted first come, first served', async () => {
    await fc.assert(
      fc.asyncProperty(arrivals, limits, async (scheduled, chosen) => {
        const { device } = await drive(scheduled, chosen);
        const order = [...device.lives.values()].filter(({ admittedAt }) => admittedAt !== null);
        // Ids grow in order of arrival. Sequences admitted in one turn are noted in that order as well.
        for (let i = 1; i < order.length; i++) expect(order[i]!.admittedAt!).toBeGreaterThan(order[i - 1]!.admittedAt!);
      }),
      { numRuns: 100 },
    );
  });
});

describe('one step ahead', () => {
  const blocks = () => new BlockManager(64, 16);
  const scheduler = (fields: Partial<ConstructorParameters<typeof Scheduler>[0]> = {}) =>
    new Scheduler({ maxNumSeqs: 4, maxNumBatchedTokens: 8, blocks: blocks(), endIds: [END], ...fields });
  const sequence = (
    id: number,
    promptLength: number,
    fields: Partial<SequenceRequest> = {},
    adapter: ResidentAdapter | null = null,
  ) => new Sequence(id, request({ promptLength, ...fields }), adapter, 0);

  it("cuts a prompt by the budget, decodes first, and samples at the prompt's end only", () => {
    const s = scheduler();
    s.add(sequence(0, 3));
    const first = s.schedule()!;
    s.add(sequence(1, 12));
    const second = s.schedule()!;
    const third = s.schedule()!;
    const seen = [first, second, third].map(({ parts, rows, sampled }) => ({
      rows,
      sampled: sampled.length,
      parts: parts.map(({ sequence: { id }, first: at, count, samples, previous }) => [
        id,
        at,
        count,
        samples,
        previous,
      ]),
    }));
    expect(seen).toEqual([
      { rows: 3, sampled: 1, parts: [[0, 0, 3, true, null]] },
      {
        rows: 8,
        sampled: 1,
        parts: [
          [0, 3, 1, true, 0],
          [1, 0, 7, false, null],
        ],
      },
      {
        rows: 6,
        sampled: 2,
        parts: [
          [0, 4, 1, true, 0],
          [1, 7, 5, true, null],
        ],
      },
    ]);
  });

  it('takes a token from the host once it is back, and from the device before', () => {
    const s = scheduler();
    s.add(sequence(0, 2));
    const first = s.schedule()!;
    s.complete(first, [50]);
    expect(s.schedule()!.parts[0]).toMatchObject({ first: 2, previous: null });
    expect(s.schedule()!.parts[0]).toMatchObject({ first: 3, previous: 0 });
  });

  it('plans no token past max_tokens', () => {
    const s = scheduler();
    s.add(sequence(0, 2, { maxTokens: 2 }));
    const steps = [s.schedule()!, s.schedule()!];
    expect(s.schedule()).toBeNull();
    expect(s.complete(steps[0]!, [50])).toMatchObject([{ ids: [50], finish: null }]);
    expect(s.complete(steps[1]!, [51])).toMatchObject([{ ids: [51], finish: 'length' }]);
  });

  it('drops the token planned before an end id was seen, and holds the blocks until then', () => {
    const free = blocks();
    const s = scheduler({ blocks: free });
    s.add(sequence(0, 2, { ignoreEos: false }));
    const steps = [s.schedule()!, s.schedule()!];
    expect(s.complete(steps[0]!, [END])).toMatchObject([{ ids: [], finish: 'stop' }]);
    expect(free.free).toBe(63);
    expect(s.schedule()).toBeNull();
    expect(s.complete(steps[1]!, [77])).toEqual([]);
    expect(free.free).toBe(64);
  });

  it('lets a cancelled sequence go with the last step that names it', () => {
    const { adapters } = loaded([8]);
    const s = scheduler();
    const one = sequence(0, 2, {}, adapters[0]!);
    s.add(one);
    const step = s.schedule()!;
    s.cancel(one);
    s.cancel(one);
    expect([adapters[0]!.users, s.running]).toEqual([1, 1]);
    expect(s.complete(step, [50])).toEqual([]);
    expect([adapters[0]!.users, s.running]).toEqual([0, 0]);
  });

  it('lets a waiting sequence go at once', () => {
    const { adapters } = loaded([8]);
    const s = scheduler();
    const one = sequence(0, 2, {}, adapters[0]!);
    s.add(one);
    s.cancel(one);
    expect([adapters[0]!.users, s.waiting]).toEqual([0, 0]);
    expect(s.schedule()).toBeNull();
  });

  it('lets nobody overtake a sequence that waits for blocks', () => {
    const s = scheduler({ blocks: new BlockManager(4, 16), maxNumBatchedTokens: 256 });
    s.add(sequence(0, 33, { maxTokens: 2 }));
    s.add(sequence(1, 30, { maxTokens: 2 }));
    s.add(sequence(2, 1, { maxTokens: 1 }));
    expect(s.schedule()!.parts.map((part) => part.sequence.id)).toEqual([0]);
    expect([s.running, s.waiting]).toEqual([1, 2]);
  });

  it('needs no block for the KV of the last token', () => {
    const s = scheduler({ blocks: new BlockManager(1, 16), maxNumBatchedTokens: 64 });
    s.add(sequence(0, 10, { maxTokens: 7 }));
    expect(s.schedule()!.rows).toBe(10);
  });

  it('refuses an id that is none: every logit was NaN', () => {
    const s = scheduler();
    s.add(sequence(0, 2));
    expect(() => s.complete(s.schedule()!, [0xffffffff])).toThrow(/sequence 0.*NaN/s);
  });
});
