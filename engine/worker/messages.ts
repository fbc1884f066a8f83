/** What the two threads say to each other. Everything is structured-cloneable; sequences are named by number. */

import type { EngineConfig } from '../config.ts';
import type {
  EngineInfo,
  EngineStats,
  HoldError,
  LoadError,
  LoadOptions,
  ResidencyError,
  ResidencyRequest,
  SequenceRequest,
  SequenceTimings,
  Tier,
  WorkReading,
} from '../core.ts';
import type { ChosenDevice } from '../device/choose.ts';
import type { AdapterChanges } from '../lora/registry.ts';
import type { KindProfile } from './step-profile.ts';

export interface WorkerStart {
  config: EngineConfig;
  device: ChosenDevice;
}

export type ToWorker =
  | { kind: 'submit'; id: number; request: SequenceRequest; sent: number }
  | { kind: 'cancel'; id: number }
  | { kind: 'load'; call: number; name: string; path: string; options: LoadOptions }
  | { kind: 'unload'; call: number; name: string }
  | { kind: 'move'; call: number; request: ResidencyRequest }
  | { kind: 'idle_tier'; call: number; tier: Tier }
  | { kind: 'hold'; call: number; milliseconds: number }
  | { kind: 'release'; call: number }
  | { kind: 'work'; call: number }
  | { kind: 'profile'; call: number; reset: boolean }
  | { kind: 'close' };

/** One sequence's news. */
export interface TokenNews {
  id: number;
  ids: number[];
  finish: 'length' | 'stop' | null;
  timings: SequenceTimings;
}

export type FromWorker =
  /** What is about to be allocated, for people; again if the device had less. */
  | { kind: 'plan'; lines: string[] }
  | { kind: 'ready'; info: EngineInfo }
  | { kind: 'failed'; code: 'usage' | 'too_big' | 'no_device' | 'bug'; message: string; hint?: string | undefined }
  /** After every step, and when adapters have moved without one: what was delivered, and how things stand. */
  | { kind: 'step'; news: TokenNews[]; stats: EngineStats }
  | { kind: 'refused'; id: number; code: 'adapter_gone' | 'device_lost' | 'closing'; message: string }
  /** What changed about adapters; said before an answer or a step's news that it is part of. */
  | { kind: 'adapters'; changes: AdapterChanges; stats: EngineStats }
  | { kind: 'loaded'; call: number; error: LoadError | null }
  | { kind: 'unloaded'; call: number; found: boolean }
  | { kind: 'moved'; call: number; error: ResidencyError | null }
  | { kind: 'holding'; call: number; error: HoldError | null }
  | { kind: 'released'; call: number; released: number | HoldError }
  | { kind: 'working'; call: number; reading: WorkReading }
  | { kind: 'profiled'; call: number; kinds: KindProfile[] }
  | { kind: 'died'; why: string }
  | { kind: 'closed' };
