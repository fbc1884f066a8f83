/**
 * The normalized scenario: what load.ts hands to everything after it. Units are parsed, defaults filled in, every axis
 * is an array (also where the file has one value), and nothing refers to YAML any more but thresholds, which know their place.
 */
import type { WeightFormat } from '../../engine/models/weight-formats.ts';
import type { Place } from './located.ts';
import type { ThresholdInput } from './schema.ts';

/** Token counts: fixed, or drawn for each request. Draws are rounded and clamped to min..max, both at least 1. */
export type Lengths =
  | { kind: 'fixed'; tokens: number }
  | { kind: 'normal'; mean: number; stddev: number; min: number; max: number }
  | { kind: 'uniform'; min: number; max: number };

/** How requests spread over the adapters of a cell; see workload/popularity.ts for what each does. */
export type Popularity =
  | { kind: 'uniform' | 'round_robin' | 'distinct' | 'identical' }
  | { kind: 'zipf'; s: number }
  | { kind: 'weights'; weights: Record<string, number> };

/** Limits a request must keep to count as good, in milliseconds; `itlMs` is judged on TPOT. */
export interface Slo {
  ttftMs?: number;
  itlMs?: number;
  e2eMs?: number;
}

/** One rank, or several in one cell with their shares. */
export type Rank = { kind: 'one'; rank: number } | { kind: 'mix'; shares: { rank: number; weight: number }[] };

export type Kind = 'lora' | 'dora' | 'vera' | 'tied';

/** One kind of adapter, or several in one cell with their shares. */
export type Kinds = { kind: 'one'; name: Kind } | { kind: 'mix'; shares: { name: Kind; weight: number }[] };

/** Where an adapter lies when a request asks for it: on the device, in host memory, or in its file. */
export type Residency = 'warm' | 'cold_host' | 'cold_disk';

/** Projections that adapters change. */
export type Modules = 'all' | ('q' | 'k' | 'v' | 'o' | 'gate' | 'up' | 'down')[];

export type Control = 'exact' | 'cap';
/** How an open loop spaces its starts; gamma(k) has the shape k. */
export type Arrivals = 'poisson' | 'constant' | `gamma(${number})`;

/** How a server is started that does not run yet. */
export interface ServerCommand {
  /** Program and arguments; no shell reads them. */
  command: string[];
  /** Answers 200 once it is ready. */
  ready: string;
  readyTimeoutMs: number;
  /** As written; null: the folder in which bench was started. */
  cwd: string | null;
  /** Beside the environment of bench. */
  env: Record<string, string>;
}

export interface EndpointTarget {
  kind: 'endpoint';
  /** Base URL ending in /v1 or the like; null when `--endpoint` gives it. */
  url: string | null;
  /** null for a server that runs already. */
  start: ServerCommand | null;
  api: 'chat' | 'completions';
  /** Name of the environment variable that holds the key; the key itself never enters a scenario. */
  apiKeyEnv: string | null;
  headers: Record<string, string>;
  /** A model preset, or a folder, whose tokenizer counts prompt tokens; null: chosen by the model's name. */
  tokenizer: string | null;
  /** Where adapters that the server lacks lie on its own file system: a folder of folders, and single ones by name. */
  adapterPath: string | null;
  adapterPaths: Record<string, string>;
  /** Its page of metrics; null: where servers have it. */
  metricsUrl: string | null;
}

/** Flags of the engine that the scenario sets; what is absent is the engine's (or the runner's) choice. */
export interface EngineFlags {
  device?: 'auto' | 'gpu' | 'lavapipe' | 'llvmpipe' | 'swiftshader';
  seed?: number;
  maxModelLen?: number;
  maxNumSeqs?: number;
  maxNumBatchedTokens?: number;
  maxGpuLoras?: number;
  maxCpuLoras?: number;
  maxLoraRank?: number;
  /** Bytes. */
  gpuMemory?: number;
  batchInvariant?: boolean;
  kernels?: string;
  profile?: boolean;
}

export interface ScenarioAdapters {
  /** Empty when the scenario declares none (endpoints only). */
  ranks: Rank[];
  counts: number[];
  popularities: Popularity[];
  baseShares: number[];
  kinds: Kinds[];
  modes: ('dynamic' | 'merged')[];
  /** Empty for an endpoint that nothing is said of. */
  residencies: Residency[];
  modules: Modules;
  /** An endpoint's adapters, by declared rank or in one list; empty list: those the server shows. */
  names: string[] | Record<number, string[]>;
}

/** Prompt and output lengths that go together: the product of both axes, or the pairs of `workload`. */
export interface ScenarioWorkload {
  /** null: as the prompts' file has them. */
  prompt: Lengths | null;
  /** null: as the prompts' file has them; where it has none, there is nothing to ask for. */
  output: Lengths | null;
}

/** Prompts that begin alike, as those with a system prompt do. */
export interface SharedPrefix {
  /** Of each prompt's tokens, so many from the first on. */
  tokens: number;
  /** How many different ones there are. */
  groups: number;
  /** Each adapter, and the base, has its own. */
  perAdapter: boolean;
}

/** Where prompts come from if they are not made: a file, as the scenario names it. */
export interface PromptFileName {
  kind: 'dataset' | 'trace';
  path: string;
}

export type ScenarioLoad =
  | { kind: 'closed'; concurrencies: number[] }
  /** Rates in requests a second. */
  | { kind: 'open'; rates: number[]; arrivals: Arrivals }
  /** The times of the trace that the prompts are from; speed 2 takes half as long. */
  | { kind: 'trace'; speed: number };

export type MeasureLength =
  /** Every request of the trace that is replayed. */
  | { kind: 'all' }
  | { kind: 'requests'; requests: number }
  | { kind: 'per_concurrency'; perConcurrency: number; atLeast: number }
  | { kind: 'duration'; durationMs: number };

export interface ScenarioThreshold {
  /** Text, or the keys of the file. */
  value: ThresholdInput;
  /** Where it is written, and of a mapping where each value is: "metric", "at.adapters". */
  place: Place;
  parts: Record<string, Place>;
}

/** When a build fails. */
export interface ScenarioGate {
  thresholds: ScenarioThreshold[];
  onInconclusive: 'fail' | 'warn';
  alpha: number;
  /** Pairs of runs, ascending. */
  looks: number[];
}

export interface Scenario {
  name: string;
  description: string | null;
  /** Label of the file it came from; null for text from elsewhere. */
  file: string | null;
  /** The file as it was read, for the report. */
  text: string;
  /** sha256 of `resolved`. */
  hash: string;
  /** The scenario in its own format after without_gpu, --set and defaults: plain data, itself a valid scenario. */
  resolved: Record<string, unknown>;
  /** without_gpu was merged in. */
  withoutGpu: boolean;
  target: { kind: 'engine' } | EndpointTarget;
  engine: EngineFlags;
  /** As written: presets, folders, or names; empty for an endpoint whose model is to be found out. */
  models: string[];
  /** Empty for an endpoint. */
  weights: WeightFormat[];
  /** null: the base model alone. */
  adapters: ScenarioAdapters | null;
  workloads: ScenarioWorkload[];
  promptReuse: boolean;
  sharedPrefix: SharedPrefix | null;
  promptFile: PromptFileName | null;
  controls: Control[];
  load: ScenarioLoad;
  request: { temperature: number; extraBody: Record<string, unknown>; timeoutMs: number };
  measure: { length: MeasureLength; warmupPerAdapter: number; drainMs: number; repeats: number; seed: number };
  slo: Slo | null;
  /** null: the scenario has none, and cannot be gated. */
  gate: ScenarioGate | null;
}
