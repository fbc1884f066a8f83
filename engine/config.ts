/** The engine's settings, after flags are parsed and defaults that need no device are applied. Plain data: it crosses threads. */
export interface EngineConfig {
  /** Preset or stand-in name, see models/geometry.ts. */
  model: string;
  weights: 'f16';
  /** Seed of the random weights. */
  seed: number;
  device: 'auto' | 'gpu' | 'lavapipe' | 'llvmpipe' | 'swiftshader';
  /** Tokens, prompt and output; null: the model's own, cut to what is sensible for the device. */
  maxModelLen: number | null;
  /** Sequences run at once; null: by device. */
  maxNumSeqs: number | null;
  /** Rows a step may have; null: by device. */
  maxNumBatchedTokens: number | null;
  maxGpuLoras: number;
  maxLoraRank: number;
  /** Bytes the engine may take on the device; null: unknown, try. */
  gpuMemory: number | null;
  batchInvariant: boolean;
  /** Validate every call and keep robust access (tests); off in production for speed. */
  validate: boolean;
}
