/**
 * What the main thread and a thread that measures say to each other. Plain data: it is copied, or lies in shared memory.
 *
 * The main thread asks, one command after the other, and gets a `reply` for each; answers to requests come in between, as
 * they end.
 */
import type { ContentChunk } from '../client/chunk-tokens.ts';
import type { ClientOptions, SendContext } from '../client/client.ts';
import type { ClockOrigin } from '../client/clock.ts';
import type { Capabilities } from '../client/request-body.ts';
import type { ErrorCode } from '../errors.ts';
import type { Batch } from './stock.ts';
import type { ThreadHealth } from './thread-monitor.ts';

export interface LoadWorkerStart {
  clockOrigin: ClockOrigin;
  /** Where the main thread's StampProbe listens. */
  probePort: number;
}

/** Whole numbers that all threads of a load share, by place in an Int32Array. */
export const SHARED = { taken: 0, inFlight: 1, length: 2 } as const;

export type SharedCounts = Int32Array<SharedArrayBuffer>;

/** A thread's part of a load. */
export interface LoadPart {
  counts: SharedCounts;
  /** Requests of the whole run; Infinity when it ends by time. */
  limit: number;
  start: number;
  until: number;
  loop:
    | { kind: 'closed'; lanes: number[]; concurrency: number; spreadNs: number }
    /** Sends requests `offset`, `offset + stride`, .. of the run. */
    | { kind: 'open'; offset: number; stride: number; drainMs: number };
}

export type Command =
  | { kind: 'begin'; client: ClientOptions; context: Omit<SendContext, 'intended'> }
  | { kind: 'connect'; count: number }
  /** Resolves with a LoadReport. Stock may come before and during. */
  | { kind: 'load'; part: LoadPart }
  /** Resolves with what the thread's client knows the server refuses, having learnt `refused`. */
  | { kind: 'learn'; refused: Capabilities | null }
  | { kind: 'end' };

export type ToLoadWorker =
  | { kind: 'command'; id: number; command: Command }
  | { kind: 'stock'; batch: Batch }
  /** All requests of the load have been given. */
  | { kind: 'stocked' }
  /** The lane that waits with this answer may go on. */
  | { kind: 'go-on'; answer: number }
  /** Requests in flight end as cancelled, and no more are sent. */
  | { kind: 'cut' };

export interface LoadReport {
  /** When this thread issued its last request; null if it issued none. */
  lastIssue: number | null;
  health: ThreadHealth;
}

export type Reply = LoadReport | Capabilities | null;

export type FromLoadWorker =
  | { kind: 'ready' }
  | { kind: 'reply'; id: number; value: Reply }
  | { kind: 'failure'; id: number; error: { code: ErrorCode; message: string; hint?: string | undefined } }
  /** `record` is a RequestRecord as JSON. `holds`: a lane waits for `go-on` with this number. */
  | { kind: 'answer'; record: string; uncounted: ContentChunk[] | null; holds: number | null };
