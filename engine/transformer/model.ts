/**
 * A model on a device: step in, ids out. Owns all device memory; the step loop (worker/loop.ts) owns the order of things.
 *
 * submit() writes the step's data, records its dispatches and hands both to the device without waiting; ids() reads what a
 * submitted step sampled. One step may be submitted while another's ids are on their way.
 */
import type { EngineConfig } from '../config.ts';
import type { EngineInfo, SequenceRequest } from '../core.ts';
import type { OpenDevice } from '../device/dawn.ts';
import { StepTimer, type TimedDispatch } from '../device/timed-pass.ts';
import { EngineError } from '../errors.ts';
import { foldColumns } from '../kernels/fold.ts';
import { KernelCompiler } from '../kernels/kernel.ts';
import { RandomWeights } from '../kernels/random-weights.ts';
import { FoldGroup } from '../lora/fold-group.ts';
import { LoraPools } from '../lora/pools.ts';
import { AdapterSlots, ResidentAdapter } from '../lora/slots.ts';
import type { Geometry } from '../models/geometry.ts';
import type { Part, Step } from '../scheduler/scheduler.ts';
import { Sequence } from '../scheduler/sequence.ts';
import { type StepShape, StepWriter } from '../scheduler/step-data.ts';
import { allocateRest, allocateWithin, limitsOf } from './allocate.ts';
import { type BaseModel, openBaseModel } from './base-model.ts';
import type { Buffers } from './buffers.ts';
import { groupShapes, loraLayout } from './dimensions.ts';
import { KV_BLOCK, type MemoryPlan, planMemory } from './memory-plan.ts';
import { type MergedAdapter, openMergedAdapter } from './merged-adapter.ts';
import { TILE_ROWS } from './portable-stages.ts';
import { angleTable } from './rope.ts';
import { splitKBytes } from './split-k-stages.ts';
import { type StepCost, stepCost } from './step-cost.ts';
import { kvTokenBytes, type StepWork, sharedReads } from './step-work.ts';
import { Transformer } from './transformer.ts';
import { type Variant, variantsFor } from './variants.ts';
import { weightLayouts } from './weight-layouts.ts';
import { allocateWeights, type Weights } from './weights.ts';

export interface Submitted {
  shape: StepShape;
  work: StepWork;
  /** What it cost at least, and once its ids are there how long each dispatch took; null unless steps are profiled. */
  profile: { cost: StepCost; times(): Promise<TimedDispatch[]> } | null;
  /** Ids of the step's samples, in order; rejects when the device is lost. */
  ids(): Promise<Uint32Array>;
}

/** Sums have one order in batch-invariant products, which is that of the portable kernels. @throws EngineError usage */
function kernelsFor({ batchInvariant, kernels }: EngineConfig, { facts, architecture }: OpenDevice) {
  if (batchInvariant) {
    if (kernels === 'auto' || kernels === 'portable') return new Set<Variant>();
    throw new EngineError('usage', '--batch-invariant keeps to the portable kernels, whose sums have one order', {
      hint: 'leave out --kernels, or --batch-invariant',
    });
  }
  try {
    return variantsFor(kernels, facts, architecture);
  } catch (error) {
    if (error instanceof RangeError) throw new EngineError('usage', `--kernels: ${error.message}`);
    throw error;
  }
}

/** Bytes of one layer's matrices and of the head, as they lie on the device. */
function storedBytes({ layers: [layer], head }: Weights) {
  if (!layer) throw new Error('a model has no layers');
  const { qkv, o, gateUp, down } = layer;
  return { qkv: qkv.size, o: o.size, gateUp: gateUp.size, down: down.size, head: head.size };
}

/** A position whose keys are split among workgroups. */
const FAR = 1024;

/** Row counts that stand for the tiles of the other variants. */
const MORE_ROWS = [16, 32, 64, 128, 2048];

/** One on the device, one being read, and one that is planned meanwhile. */
const STEPS_UNDER_WAY = 3;

const WARM_UP: Omit<SequenceRequest, 'prompt'> = {
  adapter: null,
  maxTokens: 1,
  minTokens: 0,
  ignoreEos: true,
  temperature: 0,
  topP: 1,
  topK: 0,
  seed: 0,
};

/** Stands for any adapter while warming up: what its page holds does not matter. */
const FIRST_PAGE = new ResidentAdapter({ name: '', path: '', slot: 0, rank: 1, scale: 0, pages: [0] });

export class Model {
  readonly geometry: Geometry;
  /** The adapter folded into the weights, if one was. */
  readonly merged: EngineInfo['merged'];
  readonly memory: MemoryPlan;
  readonly slots: AdapterSlots;
  readonly pools: LoraPools;
  private readonly device: GPUDevice;
  private readonly buffers: Buffers;
  private readonly transformer: Transformer;
  private readonly writer: StepWriter;
  private readonly tokenBytes: number;
  private readonly adapterBytes: (rank: number, hasColumns: boolean) => number;
  private readonly timer: StepTimer | null;
  private readonly costOf: (step: Step) => StepCost;
  private steps = 0;

  private constructor(made: {
    geometry: Geometry;
    merged: EngineInfo['merged'];
    memory: MemoryPlan;
    slots: AdapterSlots;
    pools: LoraPools;
    device: GPUDevice;
    buffers: Buffers;
    transformer: Transformer;
    timer: StepTimer | null;
    costOf: (step: Step) => StepCost;
  }) {
    this.geometry = made.geometry;
    this.merged = made.merged;
    this.memory = made.memory;
    this.slots = made.slots;
    this.pools = made.pools;
    this.device = made.device;
    this.buffers = made.buffers;
    this.transformer = made.transformer;
    this.timer = made.timer;
    this.costOf = made.costOf;
    this.writer = new StepWriter(made.memory.stepWords, made.geometry.eosIds);
    this.tokenBytes = kvTokenBytes(made.geometry);
    this.adapterBytes = (rank, hasColumns) => made.pools.bytesOf(rank, hasColumns);
  }

  /**
   * @param report told the memory plan before it is carried out, and again when the device had less; then how far reading the
   *   weights has come, a line at a time
   * @throws EngineError usage (unknown model, a file that is not accepted), too_big (with the arithmetic) or bug (a kernel
   *   does not compile)
   */
  static async create(
    open: OpenDevice,
    config: EngineConfig,
    report: (lines: string[]) => void = () => {},
  ): Promise<Model> {
    const base = await openBaseModel(config);
    try {
      const merged = await openMergedAdapter(config, base.geometry);
      return await Model.build(open, config, base, merged, report);
    } finally {
      await base.close();
    }
  }

  private static async build(
    open: OpenDevice,
    config: EngineConfig,
    base: BaseModel,
    merged: MergedAdapter | null,
    report: (lines: string[]) => void,
  ): Promise<Model> {
    const { geometry, norms } = base;
    const { device, software, facts } = open;
    const slots = new AdapterSlots(config.maxGpuLoras, config.maxLoraRank);
    const lora = loraLayout(geometry, slots.pages, config.maxLoraRank, slots.slots);
    const layouts = weightLayouts(geometry, config.weights, software);
    const options = {
      facts,
      batchInvariant: config.batchInvariant,
      variants: kernelsFor(config, open),
      named: Array.isArray(config.kernels),
    };
    const shapes = groupShapes(geometry);
    const splits = options.variants.has('split-k');
    const shaped = { geometry, layout: layouts.projections, lora, shapes, options };
    const partialBytes = splits ? splitKBytes(shaped) : 0;
    // Refuses before anything is allocated.
    const planned = planMemory(geometry, config, limitsOf(open), { norms, partialBytes });
    report(planned.lines);
    if (config.profile && !open.facts.timestamps)
      report(['profile: this device has no timestamps, so no kernel is timed']);
    const compiler = new KernelCompiler(device);
    const random = await RandomWeights.create(compiler);

    const foldOf = () => FoldGroup.create(compiler, foldColumns, geometry, lora, layouts.projections, software);
    const columns = slots.slots > 0 ? await foldOf() : null;

    const what = `${geometry.name}'s weights and adapter pools`;
    const { weights, pools } = await allocateWithin(device, what, planned, () => {
      const weights = allocateWeights(device, geometry, layouts, norms);
      const parts = { random, columns, weights };
      return { weights, pools: new LoraPools(device, geometry, lora, parts) };
    });
    const rest = { ranks: lora.groups.qkv.ranks, norms, partialBytes };
    const { memory, buffers } = await allocateRest(open, geometry, config, planned, rest);
    if (memory !== planned) report(memory.lines);

    const tell = (line: string) => report([line]);
    await base.fill(device, random, weights, tell);
    await merged?.fold({ compiler, weights, software }, tell);
    device.queue.writeBuffer(buffers.angles, 0, angleTable(geometry, memory.maxModelLen));
    const parts = { weights, pools, buffers, lora };
    const transformer = await Transformer.create(compiler, geometry, parts, options);
    const stored = storedBytes(weights);
    const model = new Model({
      geometry,
      merged: merged?.info ?? null,
      memory,
      slots,
      pools,
      device,
      buffers,
      transformer,
      timer: config.profile && facts.timestamps ? new StepTimer(device, STEPS_UNDER_WAY) : null,
      costOf: (step) => stepCost(geometry, shapes, stored, step),
    });
    // A processor has nothing of its own to compile for more rows, and takes seconds over them.
    await model.warmUp(software || transformer.variants.length === 1 ? TILE_ROWS : [...TILE_ROWS, ...MORE_ROWS]);
    return model;
  }

  /**
   * Runs every kernel variant once: some drivers compile when a pipeline is first used, and the first request should not pay
   * for it. What it leaves in the KV cache is overwritten before it is read.
   */
  private async warmUp(rowCounts: readonly number[]): Promise<void> {
    const { maxNumBatchedTokens, maxModelLen, maxNumSeqs, kvBlocks } = this.memory;
    const part = (adapter: ResidentAdapter | null, i: number, first: number, count: number): Part => {
      const sequence = new Sequence(-1 - i, { ...WARM_UP, prompt: new Uint32Array(first + count) }, adapter, 0);
      const blocks = Math.ceil((first + count) / KV_BLOCK);
      sequence.blocks = Array.from({ length: blocks }, (_, block) => (i + block) % kvBlocks);
      sequence.planned = 1;
      return { sequence, first, count, samples: true, previous: null };
    };
    const run = (parts: Part[]) => {
      const rows = parts.reduce((sum, { count }) => sum + count, 0);
      return this.submit({ parts, rows, sampled: parts }).ids();
    };
    const most = Math.min(maxNumBatchedTokens, maxModelLen);
    for (const adapter of [null, ...(this.slots.slots > 0 ? [FIRST_PAGE] : [])]) {
      for (const asked of rowCounts) {
        const rows = Math.min(asked, most);
        const sequences = Math.min(rows, maxNumSeqs, kvBlocks);
        await run(Array.from({ length: sequences }, (_, i) => part(adapter, i, 0, i === 0 ? rows - sequences + 1 : 1)));
      }
    }
    if (this.transformer.variants.length === 1) return;
    // Attention has kernels of its own for prompts alone, and for decodes far into a sequence.
    await run([part(null, 0, 0, Math.min(KV_BLOCK, most))]);
    await run([part(null, 0, Math.min(FAR, maxModelLen - 1), 1)]);
  }

  /** Families of kernels in use. */
  get variants(): readonly string[] {
    return this.transformer.variants;
  }

  submit(step: Step): Submitted {
    const parity = (this.steps % 2) as 0 | 1;
    const readback = this.buffers.readback[this.steps % this.buffers.readback.length] as GPUBuffer;
    this.steps++;
    const { data, shape } = this.writer.write(step);
    this.device.queue.writeBuffer(this.buffers.step, 0, data);
    const encoder = this.device.createCommandEncoder();
    const timed = this.timer?.begin(encoder) ?? null;
    const pass = timed ?? encoder.beginComputePass();
    const encoded = this.transformer.encode(pass, shape, parity);
    pass.end();
    const bytes = 4 * Math.max(1, shape.samples);
    encoder.copyBufferToBuffer(this.buffers.ids[parity], 0, readback, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    const mapped = readback.mapAsync(GPUMapMode.READ, 0, bytes);
    mapped.catch(() => {}); // told to whoever awaits ids()
    const ids = async () => {
      await mapped;
      const got = new Uint32Array(readback.getMappedRange(0, bytes).slice(0)).subarray(0, shape.samples);
      readback.unmap();
      return got;
    };
    const { dispatches, paddedRows, weightBytes } = encoded;
    const reads = sharedReads(step, this.tokenBytes, this.adapterBytes);
    const profile = timed && { cost: this.costOf(step), times: () => timed.times() };
    return {
      shape,
      profile,
      work: { dispatches, paddedRows, weightBytes, ...reads, uploadBytes: data.byteLength },
      ids,
    };
  }

  /** Logits of the last submitted step's samples, f32 [samples, vocab]: for tests, and slow. */
  async logits(samples: number): Promise<Float32Array> {
    const bytes = 4 * samples * this.geometry.vocab;
    const copy = this.device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.buffers.logits, 0, copy, 0, bytes);
    this.device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const got = new Float32Array(copy.getMappedRange().slice(0));
    copy.destroy();
    return got;
  }
}
