/**
 * The line between the engine's two threads: what the HTTP side (main thread) asks of the device side (worker thread).
 *
 * `startCore()` in worker/client.ts gives an EngineCore that talks to the worker by messages; nothing in http/ knows that.
 * Stamps are integer nanoseconds of process.hrtime, which worker threads share.
 */
import type { AdapterFormat, AdapterKind } from './adapter-files/adapter.ts';
import type { WeightFormat } from './kernels/weight-format.ts';
import type { Geometry } from './models/geometry.ts';
import type { KindProfile } from './worker/step-profile.ts';

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
  /** Its place among the requests that are let in when a hold ends, lowest first; those without one come after. */
  order?: number;
}

export interface SequenceTimings {
  /** When the worker received the request. */
  received: number;
  /** When it was admitted: its KV blocks and its seat held, its adapter there or not. */
  admitted: number;
  /**
   * From being admitted until its adapter was on the device for its first rows, in ns; 0 when it was there by then. Pauses
   * later on, while its adapter's slot serves others, are not in it: they show between its tokens.
   */
  adapterWait: number;
  /** Where the adapter was when the request came; null for the base model. */
  adapterTier: Tier | null;
  /**
   * Bytes put on the device between this request's arrival and its first rows, for its adapter; and the time of that work
   * alone, in ns: reading and packing the file if it came from there, and queueing its upload, without waiting for a turn.
   * Both 0 when the adapter was there.
   */
  adapterBytes: number;
  adapterLoad: number;
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

/** Where an adapter's weights are: in a device slot, in host memory, or in its file only. */
export const TIERS = ['device', 'host', 'disk'] as const;
export type Tier = (typeof TIERS)[number];

export interface AdapterInfo {
  name: string;
  /** As given to load: "synthetic:rank=16,seed=3", or a file or folder. */
  path: string;
  kind: AdapterKind;
  format: AdapterFormat | 'synthetic';
  rank: number;
  /** Bytes it takes on the device, there or not. */
  bytes: number;
  /** A synthetic adapter is made on the device from its seed, which counts as host memory. */
  tier: Tier;
  pinned: boolean;
  /** Sequences that use it now. */
  users: number;
  /** Times it was brought to the device. */
  loads: number;
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
  /** Adapters by tier, as AdapterInfo.tier says. */
  adaptersOnDevice: number;
  adaptersInHost: number;
  adaptersOnDisk: number;
  /** Times an adapter was brought to the device, by where its weights came from. */
  adapterLoadsFromHost: number;
  adapterLoadsFromDisk: number;
  /** Times an adapter left the device, whatever for; and of those, with sequences of its own still running (time slicing). */
  adapterEvictions: number;
  adapterSwaps: number;
}

/**
 * What steps have done since the engine started. They only grow; a set of requests that is held and then released makes the
 * same differences whenever it is run on the same device with the same kernels. EXTENSIONS.md says what each counts.
 */
export interface WorkCounters {
  steps: number;
  dispatches: number;
  rows: number;
  paddedRows: number;
  loraRows: number;
  /** Different adapters of each step, added up over steps. */
  stepAdapters: number;
  promptTokens: number;
  generatedTokens: number;
  weightBytes: number;
  kvBytes: number;
  adapterBytes: number;
  uploadBytes: number;
  adapterLoads: number;
  pipelinesCompiled: number;
  buffersCreated: number;
  bindGroupsCreated: number;
}

/** The counters as of now, and whether more is to come. */
export interface WorkReading {
  counters: WorkCounters;
  running: number;
  waiting: number;
  held: boolean;
  /** The last hold ended by itself. */
  holdExpired: boolean;
}

export type HoldError = { code: 'held' | 'not_held'; message: string };

export interface EngineInfo {
  geometry: Geometry;
  weights: WeightFormat;
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
  maxCpuLoras: number;
  maxLoraRank: number;
  /** The adapter folded into the weights, when one was; the base model is then served under its name. */
  merged: { name: string; path: string; kind: AdapterKind; rank: number } | null;
  kvBlockSize: number;
  kvBlocks: number;
  batchInvariant: boolean;
  /** Every dispatch is timed. */
  profile: boolean;
  /** Families of kernels that steps are run by. */
  variants: string[];
  /** Lines of the memory plan, for people. */
  memoryPlan: string[];
}

export type LoadError = { code: 'bad_path' | 'bad_file' | 'rank_too_big' | 'no_slot' | 'exists'; message: string };

/** What can be asked of an adapter's place. `to` is where evict leaves it (host or disk) and where prefetch brings it. */
export interface ResidencyRequest {
  action: 'pin' | 'unpin' | 'prefetch' | 'evict';
  name: string;
  to: Tier;
}
export type ResidencyError = { code: 'not_found' | 'in_use' | 'no_slot' | 'bad_file'; message: string };

export interface LoadOptions {
  /** How far up it is brought before the call resolves, where that evicts nobody. Default device. */
  to?: Tier;
  /**
   * Takes the name of the adapter that has it, if one has: new requests get the new one from when the call resolves, the old
   * one's sequences end on its weights, and then it is gone. Default false: `exists`.
   */
  replace?: boolean;
}

export interface EngineCore {
  readonly info: EngineInfo;
  submit(request: SequenceRequest, listener: SequenceListener): SequenceHandle;
  /**
   * Makes an adapter known by name: its file is checked whole, and brought up as far as that evicts nobody. More adapters
   * than slots is fine: requests bring theirs in. Resolves to an error, never throws for bad input.
   */
  loadAdapter(name: string, path: string, options?: LoadOptions): Promise<LoadError | null>;
  /** Waits for the sequences that use it; new requests for it are refused meanwhile. False when there is no such adapter. */
  unloadAdapter(name: string): Promise<boolean>;
  /** Moves or pins an adapter; resolves when that is done. `evict` of one in use is refused. */
  residency(request: ResidencyRequest): Promise<ResidencyError | null>;
  /** Where adapters go when their last sequence ends: device (stay until their slot is needed), or each time host or disk. */
  setIdleTier(tier: Tier): Promise<void>;
  adapters(): AdapterInfo[];
  stats(): EngineStats;
  /** Admits no more requests until release(), or until so many milliseconds have passed; those that run go on. */
  hold(milliseconds: number): Promise<HoldError | null>;
  /** Lets in what waits, by SequenceRequest.order. @returns how many wait */
  release(): Promise<number | HoldError>;
  /** Where steps' time went since the last reset, this one after reading. Empty unless the engine profiles. */
  profile(reset: boolean): Promise<KindProfile[]>;
  /** Asked of the device side: nothing that was answered before is missing from it. */
  work(): Promise<WorkReading>;
  /** Resolves with a sentence when the device is lost or the worker dies; the process should end then. */
  readonly died: Promise<string>;
  close(): Promise<void>;
}
