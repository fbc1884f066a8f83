/**
 * The five stages of a layer, and how one is done by different kernels. A stage takes what the one before left in its buffers
 * and leaves what the next one needs; between these lines every variant is free to cut the work into dispatches as it likes:
 *
 *   qkv        normed -> q, and K and V in the cache, rotated
 *   attention  q, K, V -> attended
 *   o          attended, x0 -> x1 = x0 + o, and its norm in normed
 *   gateUp     normed -> activated = silu(gate) * up
 *   down       activated, x1 -> x0 = x1 + down, and the next layer's norm of it in normed (the last layer's: none)
 *
 * The adapters' part of a projection belongs to its stage. A variant says what it needs of the device and which steps it
 * takes; variants.ts picks one for each step, among those that chosen-stages.ts made.
 */
import type { DeviceFacts } from '../device/facts.ts';
import type { Call, Grid, KernelCompiler } from '../kernels/kernel.ts';
import type { WeightLayout } from '../kernels/weight-format.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Buffers } from './buffers.ts';
import type { GroupShape, LoraLayout } from './dimensions.ts';
import type { Product } from './step-work.ts';
import type { Variant } from './variants.ts';

export const STAGES = ['qkv', 'attention', 'o', 'gateUp', 'down'] as const;
export type StageName = (typeof STAGES)[number];

/** Records one dispatch; with one that reads a weight matrix, how it reads it, so that it can be counted. */
export type Run = (call: Call, grid: Grid, product?: Product) => void;

/** One stage of one layer, bound to its buffers. */
export interface Stage {
  encode(run: Run, step: StepShape): void;
}

/** What a stage of one layer is bound to, beside the buffers that all layers share. */
export interface LayerBuffers {
  /** The layer's matrix of the stage's projections; absent in attention. */
  w?: GPUBuffer | undefined;
  k: GPUBuffer;
  v: GPUBuffer;
  /** Pools of adapters; the unused buffer where there are no slots. */
  a: GPUBuffer;
  b: GPUBuffer;
  /** Weight of the norm that follows the stage; null where none does. */
  norm: GPUBuffer | null;
}

export interface TransformerOptions {
  facts: DeviceFacts;
  batchInvariant: boolean;
  /** Kernels to choose from beside the portable ones. */
  variants: ReadonlySet<Variant>;
  /** They were asked for by name: a model that one cannot take is refused, and not done by others. */
  named?: boolean;
}

/** What matmulTile() chooses by. */
export const tileOptions = ({ facts, batchInvariant }: TransformerOptions) => ({
  software: facts.software,
  batchInvariant,
});

/** All a variant is compiled from. */
export interface StageContext {
  compiler: KernelCompiler;
  geometry: Geometry;
  /** Of the projections' weights. */
  layout: WeightLayout;
  lora: LoraLayout;
  shapes: Record<'qkv' | 'o' | 'gateUp' | 'down', GroupShape>;
  buffers: Buffers;
  options: TransformerOptions;
}

/** A stage as compiled for a model: binds each layer's. */
export type StageBinder = (layer: LayerBuffers) => Stage;
