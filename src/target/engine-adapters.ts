/**
 * The adapters of one running engine, as the cell at hand wants them: which are loaded, and where they lie when the first
 * request for each comes. In: cells, one after the other, and the path of every adapter. Out: requests to the engine's
 * routes for adapters (engine/EXTENSIONS.md).
 *
 * Warm cells find theirs on the device. Cold ones find theirs in host memory or in their files, and the engine is told to
 * put each back there when its last request ends, so that neither the warm-up nor a popular adapter's pause makes it warm.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import { type Answer, call, NoAnswer, serverWords } from './http.ts';

/** Loading reads and checks a whole file, and waits for the sequences that use a slot. */
const ADAPTER_TIMEOUT_MS = 120_000;
/** How long after a reset connection the process's end may still be on its way to us. */
const DEATH_MS = 1_000;
/** A request that was cancelled may hold its adapter for the steps that are on their way. */
const IN_USE_TRIES = 50;
const IN_USE_GAP_MS = 100;

const TIER_OF = { warm: 'device', cold_host: 'host', cold_disk: 'disk' } as const;
type Tier = (typeof TIER_OF)[keyof typeof TIER_OF];

export interface EngineAdaptersOptions {
  /** With /v1. */
  baseUrl: string;
  died: Promise<string>;
  paths: ReadonlyMap<string, string>;
  /** Adapters that the device holds at once. */
  slots: number;
}

export class EngineAdapters {
  readonly #options: EngineAdaptersOptions;
  readonly #loaded = new Set<string>();
  /** Where the engine leaves an adapter whose last request has ended: on the device, unless it is told otherwise. */
  #idleTier: Tier = 'device';

  constructor(options: EngineAdaptersOptions) {
    this.#options = options;
  }

  /** @throws BenchError when the engine refuses one, or is gone */
  async arrange({ at, adapters }: Cell, signal?: AbortSignal): Promise<void> {
    const wanted = adapters.map(({ name }) => name);
    const tier = TIER_OF[at.residency ?? 'warm'];
    for (const step of this.#steps(wanted, tier)) {
      if (signal?.aborted === true) return;
      await step();
    }
  }

  *#steps(wanted: readonly string[], tier: Tier): Generator<() => Promise<void>> {
    for (const name of [...this.#loaded].filter((loaded) => !wanted.includes(loaded))) {
      yield async () => {
        await this.#ask('unload_lora_adapter', { lora_name: name }, name);
        this.#loaded.delete(name);
      };
    }
    if (tier !== this.#idleTier) {
      yield async () => {
        await this.#ask('adapters/idle_tier', { tier }, null);
        this.#idleTier = tier;
      };
    }
    for (const name of wanted.filter((one) => !this.#loaded.has(one))) {
      yield async () => {
        await this.#ask('load_lora_adapter', { lora_name: name, lora_path: this.#options.paths.get(name) }, name);
        this.#loaded.add(name);
      };
    }
    yield* this.#moves(wanted, tier);
  }

  /** Where more adapters than slots are to be warm, the first of them are, and every run begins so. */
  *#moves(wanted: readonly string[], tier: Tier): Generator<() => Promise<void>> {
    const warm = tier === 'device' ? wanted.slice(0, this.#options.slots) : [];
    const others = wanted.slice(warm.length);
    for (const name of others) {
      const to = tier === 'device' ? 'host' : tier;
      yield () => this.#ask('adapters/evict', { lora_name: name, to }, name);
    }
    for (const name of warm) yield () => this.#ask('adapters/prefetch', { lora_name: name, to: 'device' }, name);
  }

  async #ask(path: string, body: Record<string, unknown>, name: string | null): Promise<void> {
    const what = name === null ? path : `${path} for "${name}"`;
    let answer = await this.#call(path, body, what);
    for (let i = 1; answer.status === 409 && i < IN_USE_TRIES; i++) {
      await sleep(IN_USE_GAP_MS);
      answer = await this.#call(path, body, what);
    }
    if (answer.status < 300) return;
    const subject = name === null ? path : `adapter "${name}"`;
    throw new BenchError('PLAN_INVALID', `the engine refused ${subject}: ${serverWords(answer)}`, {
      hint: 'engine.max_gpu_loras and engine.max_lora_rank say how many and how large its adapters may be',
    });
  }

  async #call(path: string, body: unknown, what: string): Promise<Answer> {
    const { baseUrl, died } = this.#options;
    try {
      return await call(`${baseUrl}/${path}`, { method: 'POST', body, timeoutMs: ADAPTER_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      const why = await Promise.race([died, sleep(DEATH_MS, null, { ref: false })]);
      throw new BenchError('TARGET_DIED', why ?? `the engine did not answer ${what}: ${error.message}`, {
        cause: error,
      });
    }
  }
}
