/**
 * The engine's routes for fixed drives (engine/EXTENSIONS.md, "Exact counters"): hold, submit, release, count. In: a target
 * that may be the engine, started by us or not. Out: what it counted, or an error that says why that is not known.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../errors.ts';
import { type Answer, call, NoAnswer, serverWords } from './http.ts';
import type { Target } from './target.ts';

/** One request of a drive: it says nothing, and is as long as it is to be. */
export interface DriveRequest {
  adapter: string | null;
  promptTokens: number;
  outputTokens: number;
}

export interface WorkReading {
  /** By their names in the engine's answer. */
  counters: Record<string, number>;
  /** Sequences that run or wait. */
  running: number;
  waiting: number;
  /** Adapters that the device holds at once. */
  slots: number;
  /** Device and kernels. */
  validFor: string;
}

const POLL_MS = 10;
const ASK_MS = 30_000;
/** A bring-up of an adapter's file from disk, or a long prompt on a software device. */
const LONG_MS = 300_000;

export class EngineWork {
  readonly #baseUrl: string;
  readonly #headers: Record<string, string>;
  readonly #model: string;
  readonly #signal: AbortSignal;

  constructor({ connection, model }: Target, signal: AbortSignal) {
    const { baseUrl, apiKey, headers } = connection;
    this.#baseUrl = baseUrl;
    this.#headers = { ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }), ...headers };
    this.#model = model;
    this.#signal = signal;
  }

  /** null where the server has no counters: it is not the engine, or an older one. */
  async read(): Promise<WorkReading | null> {
    const answer = await this.#call('engine/counters', undefined);
    const { counters, running, waiting, device, variants, max_gpu_loras } = (answer.json ?? {}) as Fields;
    if (answer.status !== 200 || typeof counters !== 'object' || counters === null) return null;
    const { candidate, name } = (device ?? {}) as Fields;
    const kernels = Array.isArray(variants) ? variants.join(', ') : '';
    return {
      counters: counters as Record<string, number>,
      running: Number(running),
      waiting: Number(waiting),
      slots: Number(max_gpu_loras),
      validFor: `${candidate}: ${name}; kernels ${kernels}`,
    };
  }

  /** Polls until the counters say so. @throws BenchError NO_DATA when they don't in time */
  async until(is: (reading: WorkReading) => boolean, what: string, milliseconds: number): Promise<WorkReading> {
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const reading = await this.read();
      if (reading === null) throw noData('the engine stopped telling its counters');
      if (is(reading)) return reading;
      if (performance.now() > deadline) {
        throw noData(`${what} (${reading.running} requests run and ${reading.waiting} wait)`);
      }
      if (this.#signal.aborted) throw new BenchError('INTERRUPTED', 'interrupted while its work was counted');
      await sleep(POLL_MS);
    }
  }

  async hold(seconds: number): Promise<void> {
    await this.#ask('engine/hold', { max_seconds: seconds });
  }

  /** @returns how many requests it let in */
  async release(): Promise<number> {
    return Number(((await this.#ask('engine/release', {})) as Fields)['released']);
  }

  /** Where adapters go when their last request ends, and which are on the device. */
  async residency(): Promise<{ idleTier: string; onDevice: string[] }> {
    const { idle_tier, data } = (await this.#ask('adapters', undefined)) as Fields;
    const listed = Array.isArray(data) ? (data as { name: string; tier: string }[]) : [];
    return {
      idleTier: String(idle_tier),
      onDevice: listed.filter(({ tier }) => tier === 'device').map(({ name }) => name),
    };
  }

  async setIdleTier(tier: string): Promise<void> {
    await this.#ask('adapters/idle_tier', { tier });
  }

  /** Brings an adapter to the device, into a slot that is free or becomes so. */
  async bringToDevice(adapter: string): Promise<void> {
    await this.#ask('adapters/prefetch', { lora_name: adapter, to: 'device' });
  }

  async takeOffDevice(adapter: string): Promise<void> {
    await this.#ask('adapters/evict', { lora_name: adapter, to: 'host' });
  }

  /** One request, from its sending to its whole answer. `order` is its place when the hold ends. */
  async complete({ adapter, promptTokens, outputTokens }: DriveRequest, order: number): Promise<void> {
    await this.#ask('completions', {
      model: adapter ?? this.#model,
      prompt: Array.from({ length: promptTokens }, (_, i) => 1 + ((order + i) % 64)),
      max_tokens: outputTokens,
      min_tokens: outputTokens,
      ignore_eos: true,
      temperature: 0,
      hold_order: order,
    });
  }

  async #ask(path: string, body: Record<string, unknown> | undefined): Promise<unknown> {
    const answer = await this.#call(path, body);
    if (answer.status === 200) return answer.json;
    throw noData(`the engine refused ${path}: ${serverWords(answer)}`);
  }

  async #call(path: string, body: Record<string, unknown> | undefined): Promise<Answer> {
    const method = body === undefined ? 'GET' : 'POST';
    const timeoutMs = path === 'completions' || path === 'adapters/prefetch' ? LONG_MS : ASK_MS;
    const options = { method, body, headers: this.#headers, timeoutMs, signal: this.#signal } as const;
    try {
      return await call(`${this.#baseUrl}/${path}`, options);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw new BenchError('NO_DATA', `no answer to ${path}: ${error.message}`, { cause: error });
    }
  }
}

type Fields = Record<string, unknown>;

export const noData = (why: string): BenchError => new BenchError('NO_DATA', why);
