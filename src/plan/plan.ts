/**
 * The plan: what will be run, decided before anything starts. Pure data, made by `planOf()` from a Scenario and a few
 * facts about the target; the runner executes it and changes nothing in it.
 */
import type { WeightFormat } from '../../engine/models/weight-formats.ts';
import type { Arm } from '../result/arms.ts';
import type { PromptFile } from '../scenario/prompt-files/entries.ts';
import type {
  Arrivals,
  Kind,
  Modules,
  Popularity,
  Residency,
  Lengths as ScenarioLengths,
  SharedPrefix,
  Slo,
} from '../scenario/scenario.ts';

export type { Kind, Modules, Popularity, PromptFile, Residency, SharedPrefix, Slo };

/** Token counts: as the scenario says, or those of a file's entries, which come with each entry. */
export type Lengths = ScenarioLengths | { kind: 'file'; mean: number; min: number; max: number };

/** A cell's coordinates as the scenario declares them: scalars only, as they stand in result.json and in charts. */
export interface At {
  model: string;
  weights: WeightFormat | null;
  /** Declared rank; a label such as "mix(8:1,64:1)" where several are mixed; null for the base alone or when unknown. */
  rank: number | string | null;
  adapters: number;
  /** null when there are no adapters. */
  popularity: string | null;
  /** 1 for the base model alone. */
  base_share: number;
  /** A kind, or a label such as "mix(lora:1,dora:1)"; for an endpoint what the scenario calls them. */
  kind: string | null;
  mode: 'dynamic' | 'merged' | null;
  /** null where it is not ours to say: the base alone, an adapter in the weights, an endpoint. */
  residency: Residency | null;
  /** Projections that the adapters change: "all", or such as "q,v". */
  modules: string | null;
  control: 'exact' | 'cap';
  /** Number, or a label: "normal(200,20)" for a distribution, "200 (100 shared)", "dataset(a.jsonl)". */
  promptTokens: number | string;
  outputTokens: number | string;
  /** Exactly one of concurrency and rate is not null. */
  concurrency: number | null;
  /** Requests a second. */
  rate: number | null;
  arrivals: OpenLoad['arrivals'] | null;
}

/** One adapter of a cell. `servedRank` is `rank` scaled by a stand-in (floor, at least 1); both null when unknown. */
export interface PlannedAdapter {
  name: string;
  rank: number | null;
  servedRank: number | null;
  /** null for an endpoint's, which are what they are. */
  kind: Kind | null;
  /** Seed of its weights, when they are made for the engine. */
  seed: number;
}

/** `rate` in requests a second; of a trace the mean at that speed. */
export type OpenLoad = { kind: 'open'; rate: number } & (
  | { arrivals: Arrivals }
  /** When the requests of the prompts' file came, that many times as fast. */
  | { arrivals: 'trace'; speed: number }
);
export type Load = { kind: 'closed'; concurrency: number } | OpenLoad;

export interface Cell {
  /** "c1", "c2", ...: position in the sweep, stable for one plan. */
  id: string;
  at: At;
  adapters: PlannedAdapter[];
  modules: Modules;
  popularity: Popularity;
  /** Share of requests that name no adapter, 0..1. */
  baseShare: number;
  /**
   * `seed` is there where prompts are reused: it alone decides them and their lengths, whatever the run's seed is. `file`
   * holds what they are made of where they come from one: of a trace only the entries that are sent. It may be large, is
   * shared by all cells that send it, and stays out of results.
   */
  prompt: { lengths: Lengths; reuse: boolean; seed?: number; sharedPrefix?: SharedPrefix; file?: PromptFile };
  /** Lengths of kind "file" are those of prompt.file's entries. */
  output: { lengths: Lengths; control: 'exact' | 'cap' };
  load: Load;
  /** When a run stops issuing: after so many requests (of a trace that is replayed never more than it has), or so many milliseconds. */
  measure: { requests: number } | { durationMs: number };
  /** Warm-up requests per adapter and for the base; 0 means no warm-up at all. */
  warmupPerAdapter: number;
  /** Milliseconds an open loop waits for what is in flight. */
  drainMs: number;
  request: { temperature: number; extraBody: Record<string, unknown>; timeoutMs: number };
}

export interface PlannedRun {
  cell: string;
  /** 0-based replicate within the cell. */
  replicate: number;
  /** Position in the execution order, 0-based. */
  order: number;
  seed: number;
  /** Which of two targets it is run on (pairs.ts); absent where there is one. Its pair is the replicate. */
  arm?: Arm;
}

export interface StandIn {
  /** The model that was asked for, such as "llama-3-8b". */
  for: string;
  /** Such as "1/8". */
  scale: string;
  why: string;
}

export interface Plan {
  /** sha256 over everything that shapes the load, not over names of files, machines or adapters. */
  hash: string;
  cells: Cell[];
  runs: PlannedRun[];
  slo: Slo | null;
  standIn: StandIn | null;
  /**
   * `requests` are those measured, without warm-up: a lower bound where runs end by time in a closed loop. `seconds` is
   * null where nothing is known of the target's speed. `adapterFiles` lie on disk for as long as it runs; null where
   * none is made.
   */
  estimate: {
    cells: number;
    runs: number;
    requests: number;
    seconds: number | null;
    adapterFiles: { count: number; bytes: number } | null;
  };
  warnings: string[];
}
