/**
 * The line between the engine's two threads: what the HTTP side (main thread) asks of the device side (worker thread).
 *
 * `startCore()` in worker/client.ts gives an EngineCore that talks to the worker by messages; nothing in http/ knows that.
 * Stamps are integer nanoseconds of process.hrtime, which worker threads share.
 */
import type { Geometry } from './models/geometry.ts';

export interface SequenceRequest {
  /** Prompt ids, already folded into the model's vocabulary; at least one. */
  prompt: Uint32Array;
  /** Name of a loaded adapter, or null for the base model. */
  adapter: string | null;
  /** prompt.length + maxTokens must not exceed EngineInfo.maxModelLen. */
  maxTokens: number;
  /** Until so many tokens are out, ids that would end the sequence cannot be sampled. */
  minTokens: number;
  ignoreEos: boolean;
  /** 0 is greedy. */
  temperature: number;
  /** 1 keeps all. */
  topP: number;
  /** 0 keeps all. */
  topK: number;
  seed: number;
}

export interface SequenceTimings {
  /** When the worker received the request. */
  received: number;
  /** When it was admitted: blocks and adapter slot held. */
  admitted: number;
  /** Time waited for the adapter to be resident, in ns; 0 when it was. */
  adapterWait: number;
  /** The device took up its first prefill chunk: submitted, and the step before it done. */
  prefillStart: number;
  /** Its first token's id was read back. */
  firstToken: number;
  /** Its last token's id was read back. */
  lastToken: number;
}

export interface SequenceListener {
  /** New token ids, in order; `finish` with the last of them ("stop": an end id was sampled; it is not in `ids`). */
  onTokens(ids: number[], finish: 'length' | 'stop' | null, timings: SequenceTimings): void;
  /** The sequence will give no more tokens: unknown adapter, device lost, shutting down. */
  onError(error: { code: 'adapter_gone' | 'device_lost' | 'closing'; message: string }): void;
}

export interface SequenceHandle {
  /** Ends the sequence; no listener is called after this returns. Calling it twice is fine. */
  cancel(): void;
}

export interface AdapterInfo {
  name: string;
  /** As given to load: "synthetic:rank=16,seed=3". */
  path: string;
  rank: number;
  bytes: number;
  /** Sequences that use it now. */
  users: number;
}

/** Monotonic counters and gauges, as of the last step. */
export interface EngineStats {
  steps: number;
  promptTokens: number;
  generatedTokens: number;
  dispatches: number;
  running: number;
  waiting: number;
  kvBlocksTotal: number;
  kvBlocksFree: number;
  /** Rows run in steps, and those of them that carried an adapter. */
  rows: number;
  loraRows: number;
  stepMsLast: number;
}

export interface EngineInfo {
  geometry: Geometry;
  weights: 'f16';
  device: {
    /** Candidate that was taken: gpu, lavapipe, llvmpipe, swiftshader. */
    candidate: string;
    name: string;
    vendor: string;
    driver: string;
    software: boolean;
    features: string[];
  };
  maxModelLen: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  maxGpuLoras: number;
  maxLoraRank: number;
  kvBlockSize: number;
  kvBlocks: number;
  batchInvariant: boolean;
  /** Lines of the memory plan, for people. */
  memoryPlan: string[];
}

export type LoadError = { code: 'bad_path' | 'rank_too_big' | 'no_slot' | 'exists'; message: string };

export interface EngineCore {
  readonly info: EngineInfo;
  submit(request: SequenceRequest, listener: SequenceListener): SequenceHandle;
  /** Loads an adapter into a slot. `path` is "synthetic:rank=R,seed=S" (files come later). Resolves to an error, never throws for bad input. */
  loadAdapter(name: string, path: string): Promise<LoadError | null>;
  /** Waits for the sequences that use it; new requests for it are refused meanwhile. False when there is no such adapter. */
  unloadAdapter(name: string): Promise<boolean>;
  adapters(): AdapterInfo[];
  stats(): EngineStats;
  /** Resolves with a sentence when the device is lost or the worker dies; the process should end then. */
  readonly died: Promise<string>;
  close(): Promise<void>;
}
