/**
 * What the runner needs of a server under measurement, whatever it is: three implementations (engine.ts, endpoint.ts,
 * command.ts), held to one conformance test.
 *
 * A TargetSource knows how to get servers; a Target is one that is up. The runner asks for one per group of cells
 * (`keyOf`), and again after one died.
 */
import type { Cell } from '../plan/plan.ts';
import type { TargetInfo } from '../result/schema.ts';
import type { Profiler } from './engine-profile.ts';

/** How requests reach the server. Holds the key: never print or store it. */
export interface Connection {
  /** With the version part, without a slash at the end: "http://127.0.0.1:8000/v1". */
  baseUrl: string;
  api: 'chat' | 'completions';
  apiKey: string | null;
  /** Sent with every request, beside the key. */
  headers: Record<string, string>;
  /**
   * The field of a request that names its adapter: `model`, in the base model's place (absent means that), or `lora_path`
   * beside it (SGLang).
   */
  adapterField?: 'model' | 'lora_path';
  /** Its page of metrics, if it is not where servers have it. */
  metricsUrl?: string | null;
}

export interface Target {
  /** As it stands in result.json. */
  readonly info: TargetInfo;
  readonly connection: Connection;
  /** The base model's name in a request. An adapter is named by its own name, in the connection's field for it. */
  readonly model: string;
  /** Resolves with a sentence when the server is gone; stays pending otherwise, and after stop(). */
  readonly died: Promise<string>;
  /**
   * Called before each run: makes every adapter of the cell answerable, and puts it where the cell wants it to be when its
   * first request comes. Ends early, without all of them, when the signal aborts.
   * @throws BenchError when the server refuses one or is gone
   */
  ensureAdapters(cell: Cell, signal?: AbortSignal): Promise<void>;
  /** Of an engine that was told to profile; absent otherwise. */
  readonly profiler?: Profiler;
  /** Called when a request failed on its connection: is the server gone? If so, `died` has been resolved too. */
  suspect(): Promise<boolean>;
  /** Ends a server that we started; takes off others what we loaded. Never rejects; may be called twice. */
  stop(): Promise<void>;
}

export interface TargetSource {
  readonly id: string;
  /** An endpoint is somebody else's to bring back; the others are started again. */
  readonly kind: 'engine' | 'endpoint' | 'command';
  /** Of the engine: another may be up beside it, since its device's memory is the machine's own. */
  readonly sharesDevice?: boolean;
  /** Cells with equal keys are served by one server; a different key means stopping one and bringing up another. */
  keyOf(cell: Cell): string;
  /** @throws BenchError: unreachable, too big for the device, no such model, .. */
  bringUp(cell: Cell, report: (message: string) => void, signal: AbortSignal): Promise<Target>;
  /** Removes what was made for its servers, once they are stopped. */
  close?(): Promise<void>;
}
