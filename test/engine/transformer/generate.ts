/**
 * Runs requests through the real scheduler and model, as the worker's step loop does, and keeps every step's logits.
 *
 * In: a model and requests. Out: for each request its ids, how it ended, and the logits each id was chosen from. Free
 * running keeps one step in flight, so ids go from step to step on the device; with `forced` ids each step is completed
 * with those instead of what was sampled, so the next one's token comes from the host.
 */
import type { EngineConfig } from '../../../engine/config.ts';
import type { SequenceRequest } from '../../../engine/core.ts';
import { SYNTHETIC_SCALE } from '../../../engine/lora/synthetic.ts';
import { BlockManager } from '../../../engine/scheduler/block-manager.ts';
import { Scheduler, type Step } from '../../../engine/scheduler/scheduler.ts';
import { Sequence } from '../../../engine/scheduler/sequence.ts';
import { KV_BLOCK } from '../../../engine/transformer/memory-plan.ts';
import { Model, type Submitted } from '../../../engine/transformer/model.ts';
import { testDevice } from '../../support/device.ts';

export interface Asked extends Partial<Omit<SequenceRequest, 'prompt'>> {
  prompt: ArrayLike<number>;
  /** Ids that take the place of those sampled. All requests of a run have them, or none. */
  forced?: readonly number[];
}

export interface Generated {
  ids: number[];
  finish: 'length' | 'stop';
  /** [token] f32 [vocab]; empty when they were not asked for. With finish "stop" the end id's are the last. */
  logits: Float32Array[];
}

export interface RunOptions {
  /** Rows of a step; the model's own by default. */
  maxNumBatchedTokens?: number;
  blocks?: BlockManager;
  /** Reading logits back costs a copy a step. On by default. */
  logits?: boolean;
}

export interface ModelOptions extends Partial<EngineConfig> {
  /** Take the tiles and splits that hardware would get, on whatever the tests run on. */
  gpuTiles?: boolean;
  /** Have the weights lie as hardware would get them, under the test device's own tiles. */
  gpuLayout?: boolean;
}

/** A model on the test device. Small by default: 256 positions, 32 sequences, 8 slots of rank 64. */
export async function makeModel({ gpuTiles = false, gpuLayout = false, ...config }: ModelOptions = {}): Promise<Model> {
  const open = await testDevice();
  const software = open.software && !gpuTiles && !gpuLayout;
  const facts = { ...open.facts, software: open.facts.software && !gpuTiles };
  return Model.create(
    { ...open, software, facts },
    {
      model: 'llama-3.2-1b@1/8',
      servedModelName: null,
      weights: 'f16',
      seed: 20,
      device: 'auto',
      maxModelLen: 256,
      maxNumSeqs: 32,
      maxNumBatchedTokens: 256,
      maxGpuLoras: 8,
      maxCpuLoras: 64,
      maxLoraRank: 64,
      gpuMemory: null,
      batchInvariant: false,
      merge: null,
      kernels: 'portable',
      profile: false,
      validate: true,
      ...config,
    },
  );
}

export interface NamedAdapter {
  name: string;
  rank: number;
  seed: number;
}

export function load(model: Model, { name, rank, seed }: NamedAdapter): void {
  const adapter = model.slots.add(name, `synthetic:rank=${rank},seed=${seed}`, rank, SYNTHETIC_SCALE);
  if (!adapter) throw new Error(`no slot for ${name}`);
  model.pools.makeSynthetic(adapter, seed);
}

/** As many ids as asked for, the same for the same key. */
export function someIds(model: Model, key: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => (Math.imul(key * 1000 + i + 1, 0x9e3779b1) >>> 8) % model.geometry.vocab,
  );
}

export async function generate(model: Model, asked: readonly Asked[], options: RunOptions = {}): Promise<Generated[]> {
  const { memory, geometry, slots } = model;
  const scheduler = new Scheduler({
    maxNumSeqs: memory.maxNumSeqs,
    maxNumBatchedTokens: options.maxNumBatchedTokens ?? memory.maxNumBatchedTokens,
    blocks: options.blocks ?? new BlockManager(memory.kvBlocks, KV_BLOCK),
    endIds: geometry.eosIds,
  });
  const results = new Map<Sequence, Generated>();
  const forcedOf = new Map<Sequence, readonly number[]>();
  asked.forEach(({ prompt, forced, adapter = null, ...rest }, id) => {
    const resident = adapter === null ? null : slots.get(adapter);
    if (resident === undefined) throw new Error(`adapter ${adapter} is not loaded`);
    const request: SequenceRequest = {
      prompt: Uint32Array.from(prompt),
      adapter,
      maxTokens: forced ? forced.length + 1 : 1,
      minTokens: 0,
      ignoreEos: true,
      temperature: 0,
      topP: 1,
      topK: 0,
      seed: 0,
      ...rest,
    };
    const sequence = new Sequence(id, request, resident, 0);
    results.set(sequence, { ids: [], finish: 'length', logits: [] });
    if (forced) forcedOf.set(sequence, forced);
    scheduler.add(sequence);
  });

  type Running = { step: Step; submitted: Submitted; logits: Promise<Float32Array> | null };
  const submit = (step: Step): Running => {
    const submitted = model.submit(step);
    const copied = options.logits !== false && step.sampled.length > 0;
    return { step, submitted, logits: copied ? model.logits(step.sampled.length) : null };
  };
  const finish = async ({ step, submitted, logits }: Running): Promise<void> => {
    const ids = Array.from(await submitted.ids());
    const all = await logits;
    step.sampled.forEach(({ sequence }, i) => {
      if (sequence.ended) return;
      if (all) results.get(sequence)?.logits.push(all.slice(i * geometry.vocab, (i + 1) * geometry.vocab));
      ids[i] = forcedOf.get(sequence)?.[sequence.output.length] ?? (ids[i] as number);
    });
    for (const { sequence, ids: delivered, finish: end } of scheduler.complete(step, ids)) {
      const result = results.get(sequence) as Generated;
      result.ids.push(...delivered);
      if (end) result.finish = end;
    }
  };

  const steps = forcedOf.size > 0 ? 1 : 2;
  const inFlight: Running[] = [];
  for (;;) {
    const step = scheduler.schedule();
    if (step) inFlight.push(submit(step));
    if (inFlight.length === 0) break;
    if (!step || inFlight.length === steps) await finish(inFlight.shift() as Running);
  }
  return [...results.values()];
}

/** Largest absolute difference; NaN counts as infinite, and so do different lengths. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}
