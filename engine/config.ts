/** The engine's settings, after flags are parsed and defaults that need no device are applied. Plain data: it crosses threads. */
import type { WeightFormat } from './kernels/weight-format.ts';
import type { KernelChoice } from './transformer/variants.ts';

export interface EngineConfig {
  /** Preset or stand-in name (models/geometry.ts), or a Hugging Face folder. */
  model: string;
  /** The base model's name in requests; null: the preset's, or the folder's own. */
  servedModelName: string | null;
  /** Format of the projections, and of a head of its own; embeddings stay f16. */
  weights: WeightFormat;
  /** Seed of the random weights. */
  seed: number;
  device: 'auto' | 'gpu' | 'lavapipe' | 'llvmpipe' | 'swiftshader';
  /** Tokens, prompt and output; null: the model's own, cut to what is sensible for the device. */
  maxModelLen: number | null;
  /** Sequences run at once; null: by device. */
  maxNumSeqs: number | null;
  /** Rows a step may have; null: by device. */
  maxNumBatchedTokens: number | null;
  /** Slots: adapters on the device at once. */
  maxGpuLoras: number;
  /** Adapters from files kept in host memory, those on the device included; at least 1. */
  maxCpuLoras: number;
  maxLoraRank: number;
  /** Bytes the engine may take on the device; null: unknown, try. */
  gpuMemory: number | null;
  batchInvariant: boolean;
  /** Which kernels may be chosen from (transformer/variants.ts). */
  kernels: KernelChoice;
  /** An adapter to fold into the weights before anything is served, under its name. */
  merge: { name: string; path: string } | null;
  /** Time every dispatch, where the device has timestamps. Steps take longer for it. */
  profile: boolean;
  /** Validate every call and keep robust access (tests); off in production for speed. */
  validate: boolean;
}
