/**
 * An adapter as the engine and the commands see it, whatever its format: one entry for each layer and module it changes.
 * The readers (read-adapter.ts) check everything that can be checked without reading the weights, then give one of these.
 */
import type { ModuleName } from '../models/projections.ts';

export const ADAPTER_KINDS = ['lora', 'dora', 'vera', 'tied'] as const;
export type AdapterKind = (typeof ADAPTER_KINDS)[number];

/** `peft` is Hugging Face's; `nemo` is a NeMo 1.x archive; `tied-lora` is our own form (adapter-files/README.md). */
export const ADAPTER_FORMATS = ['peft', 'nemo', 'tied-lora'] as const;
export type AdapterFormat = (typeof ADAPTER_FORMATS)[number];

/** Values of one module, all in f32, row-major. VeRA's and Tied-LoRA's vectors are folded into A and B already. */
export interface ModuleWeights {
  /** [rank, in] */
  a: Float32Array;
  /** [out, rank] */
  b: Float32Array;
  /** DoRA's m: [out]; null for the other kinds. */
  magnitude: Float32Array | null;
  /** [out], to be added after scaling by `scale` (PEFT's lora_bias); null where there is none. */
  bias: Float32Array | null;
}

/**
 * One changed projection. Without magnitude:  y = W x + scale · (B (A x) + bias);
 * with it:  y = magnitude ⊙ (W x + scale · B (A x)) / ‖W + scale · B A‖ (norm of each output row).
 */
export interface AdapterModule {
  layer: number;
  module: ModuleName;
  rank: number;
  /** As declared; null for kinds that have none. */
  alpha: number | null;
  scale: number;
  /** Width of x and of y. */
  in: number;
  out: number;
  hasMagnitude: boolean;
  hasBias: boolean;
  /** Reads the weights. @throws FileError when the file is cut short or a value is not finite */
  read(): Promise<ModuleWeights>;
}

export interface AdapterFile {
  path: string;
  format: AdapterFormat;
  kind: AdapterKind;
  /** What it says it was trained on; null when it does not say. */
  base: string | null;
  /** The largest rank of its modules. */
  rank: number;
  /** By layer, then in the order of MODULES. At least one. */
  modules: AdapterModule[];
  /** Bytes on disk. */
  bytes: number;
  /** What a person should know and nothing refuses: values of alpha applied, dropout ignored. */
  notes: string[];
  close(): Promise<void>;
}
