/** What the two threads say to each other. Everything is structured-cloneable; sequences are named by number. */

import type { EngineConfig } from '../config.ts';
import type { AdapterInfo, EngineInfo, EngineStats, LoadError, SequenceRequest, SequenceTimings } from '../core.ts';
import type { ChosenDevice } from '../device/choose.ts';

export interface WorkerStart {
  config: EngineConfig;
  device: ChosenDevice;
}

export type ToWorker =
  | { kind: 'submit'; id: number; request: SequenceRequest; sent: number }
  | { kind: 'cancel'; id: number }
  | { kind: 'load'; call: number; name: string; path: string }
  | { kind: 'unload'; call: number; name: string }
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
  /** After every step: what it delivered, and how things stand. */
  | { kind: 'step'; news: TokenNews[]; stats: EngineStats }
  | { kind: 'refused'; id: number; code: 'adapter_gone' | 'device_lost' | 'closing'; message: string }
  | { kind: 'loaded'; call: number; error: LoadError | null; adapters: AdapterInfo[] }
  | { kind: 'unloaded'; call: number; found: boolean; adapters: AdapterInfo[] }
  /** An adapter is being unloaded and takes no more requests. */
  | { kind: 'adapters'; adapters: AdapterInfo[] }
  | { kind: 'died'; why: string }
  | { kind: 'closed' };
