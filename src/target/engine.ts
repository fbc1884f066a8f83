/**
 * The bundled engine as a target: a process for each group of cells with the same model and weights, and the synthetic
 * adapters of the cell at hand loaded into it.
 */
import { BenchError } from '../errors.ts';
import { enginePlan } from '../plan/engine-plan.ts';
import type { Cell, Plan, PlannedAdapter } from '../plan/plan.ts';
import type { TargetInfo } from '../result/schema.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { argvOf, engineFlags } from './engine-flags.ts';
import { type EngineProcess, probeEngine, startEngine } from './engine-process.ts';
import { call, NoAnswer, serverWords } from './http.ts';
import type { Target, TargetSource } from './target.ts';

/** Loading waits for the sequences that use a slot, and for the weights to be made on the device. */
const ADAPTER_TIMEOUT_MS = 120_000;
/** How long after a reset connection the process's end may still be on its way to us. */
const SUSPECT_MS = 1_000;

export interface EngineOptions {
  /** An engine is sized by the cells that it will serve. */
  plan: Plan;
  /** The scenario's `engine` block. */
  settings: EngineFlags;
  api?: 'chat' | 'completions';
  /** Another script in the engine's place, for tests. */
  entry?: string;
}

export function engineSource(options: EngineOptions): TargetSource {
  const needs = enginePlan(options.plan);
  const needsOf = (cell: Cell) => {
    const found = needs.find(({ cells }) => cells.includes(cell.id));
    if (found === undefined) throw new BenchError('BUG', `no engine was planned for cell ${cell.id}`);
    return found;
  };
  return {
    id: 'engine',
    kind: 'engine',
    keyOf: (cell) => `${needsOf(cell).model} ${needsOf(cell).weights}`,
    async bringUp(cell, report, signal) {
      const flags = engineFlags(needsOf(cell), options.settings);
      report(`starting the engine with ${cell.at.model}`);
      const entry = options.entry === undefined ? {} : { entry: options.entry };
      const engine = await startEngine({
        flags,
        report: (line) => report(line.startsWith('engine:') ? line : `engine: ${line}`),
        signal,
        ...entry,
      });
      return new EngineTarget(engine, cell.at.model, options.api ?? 'completions', flags);
    },
  };
}

/** The device an engine with these settings would take. */
export async function probeDevice(
  settings: EngineFlags,
  options: { report?: (line: string) => void; signal?: AbortSignal; entry?: string } = {},
): Promise<DeviceProbe> {
  const line = await probeEngine({ ...options, flags: argvOf({ device: settings.device }) });
  return deviceOf(line);
}

export interface DeviceProbe {
  /** As --device takes it. */
  candidate: NonNullable<EngineFlags['device']>;
  name: string;
  driver: string;
  software: boolean;
  features: string[];
}

function deviceOf(line: Record<string, unknown>): DeviceProbe {
  const device = (line['device'] ?? line) as Record<string, unknown>;
  if (typeof device['software'] !== 'boolean' || typeof device['name'] !== 'string' || !device['candidate']) {
    throw new BenchError('BUG', `the engine's probe names no device: ${JSON.stringify(line)}`);
  }
  return {
    candidate: device['candidate'] as DeviceProbe['candidate'],
    name: device['name'],
    driver: String(device['driver'] ?? ''),
    software: device['software'],
    features: Array.isArray(device['features']) ? device['features'].map(String) : [],
  };
}

class EngineTarget implements Target {
  readonly info: TargetInfo;
  readonly connection: Target['connection'];
  readonly model: string;
  readonly died: Promise<string>;
  readonly #engine: EngineProcess;
  /** Paths of the adapters that are loaded, by name. */
  readonly #loaded = new Map<string, string>();

  constructor(engine: EngineProcess, model: string, api: 'chat' | 'completions', flags: string[]) {
    const { ready: _ready, protocol: _protocol, url, ...server } = engine.ready;
    const baseUrl = `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`;
    this.#engine = engine;
    this.died = engine.died;
    this.model = model;
    this.connection = { baseUrl, api, apiKey: null, headers: {} };
    this.info = { id: 'engine', kind: 'engine', url: baseUrl, model, server: { ...server, flags } };
  }

  async ensureAdapters(cell: Cell, signal?: AbortSignal): Promise<void> {
    const wanted = new Map(cell.adapters.map((adapter) => [adapter.name, syntheticPath(adapter)]));
    for (const [name, path] of this.#loaded) {
      if (signal?.aborted === true) return;
      if (wanted.get(name) !== path) {
        await this.#post('unload_lora_adapter', { lora_name: name });
        this.#loaded.delete(name);
      }
    }
    for (const [name, path] of wanted) {
      if (signal?.aborted === true) return;
      if (this.#loaded.has(name)) continue;
      await this.#post('load_lora_adapter', { lora_name: name, lora_path: path });
      this.#loaded.set(name, path);
    }
  }

  async suspect(): Promise<boolean> {
    return Promise.race([this.died.then(() => true), later(SUSPECT_MS, false)]);
  }

  stop(): Promise<void> {
    return this.#engine.stop();
  }

  async #post(path: string, body: { lora_name: string; lora_path?: string }): Promise<void> {
    const url = `${this.connection.baseUrl}/${path}`;
    const answer = await call(url, { method: 'POST', body, timeoutMs: ADAPTER_TIMEOUT_MS }).catch(
      async (error: unknown) => {
        if (!(error instanceof NoAnswer)) throw error;
        const died = await Promise.race([this.died, later(SUSPECT_MS, null)]);
        const message = died ?? `the engine did not answer ${path} for "${body.lora_name}": ${error.message}`;
        throw new BenchError('TARGET_DIED', message, { cause: error });
      },
    );
    if (answer.status >= 300) {
      throw new BenchError('PLAN_INVALID', `the engine refused adapter "${body.lora_name}": ${serverWords(answer)}`, {
        hint: 'engine.max_gpu_loras and engine.max_lora_rank say how many and how large its adapters may be',
      });
    }
  }
}

function syntheticPath({ name, servedRank, seed }: PlannedAdapter): string {
  if (servedRank === null) {
    throw new BenchError('PLAN_INVALID', `adapter "${name}" has no rank, and the engine must make it with one`);
  }
  return `synthetic:rank=${servedRank},seed=${seed}`;
}

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
