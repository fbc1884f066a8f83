/**
 * The bundled engine as a target: a process for each group of cells with the same model and weights, and the adapters of
 * the cell at hand in it, made from a seed or from files, and put where the cell wants them.
 */
import { BenchError } from '../errors.ts';
import { type EngineNeeds, enginePlan, type NeededAdapter } from '../plan/engine-plan.ts';
import type { FolderModels } from '../plan/facts.ts';
import type { Cell, Plan } from '../plan/plan.ts';
import { serverOf } from '../plan/server-of.ts';
import type { MeasuredDevice } from '../result/device-file.ts';
import type { TargetInfo } from '../result/schema.ts';
import type { EngineFlags } from '../scenario/scenario.ts';
import { AdapterFolder } from './adapter-folder.ts';
import { EngineAdapters } from './engine-adapters.ts';
import { argvOf, engineFlags, slotsOf } from './engine-flags.ts';
import { type EngineProcess, probeEngine, startEngine } from './engine-process.ts';
import { engineProfiler, type Profiler } from './engine-profile.ts';
import type { Target, TargetSource } from './target.ts';

/** How long after a reset connection the process's end may still be on its way to us. */
const SUSPECT_MS = 1_000;

export interface EngineOptions {
  /** An engine is sized by the cells that it will serve. */
  plan: Plan;
  /** The scenario's `engine` block. */
  settings: EngineFlags;
  /** Those of its models that are folders. */
  folders?: FolderModels;
  api?: 'chat' | 'completions';
  /** It runs on a software device. */
  software?: boolean;
  /** Another script in the engine's place, for tests. */
  entry?: string;
}

export function engineSource(options: EngineOptions): TargetSource {
  const { settings, folders = {}, api = 'completions', software = false } = options;
  const needs = enginePlan(options.plan, folders);
  const files = new AdapterFolder(folders);
  const needsOf = (cell: Cell) => {
    const found = needs.find(({ cells }) => cells.includes(cell.id));
    if (found === undefined) throw new BenchError('BUG', `no engine was planned for cell ${cell.id}`);
    return found;
  };
  return {
    id: 'engine',
    kind: 'engine',
    sharesDevice: software,
    keyOf: serverOf,
    async bringUp(cell, report, signal) {
      const own = needsOf(cell);
      const made = await files.fill(own, report, signal);
      const paths = new Map(own.adapters.map((adapter) => [adapter.name, made.get(adapter.name) ?? seedOf(adapter)]));
      const folder = Object.values(folders).find(({ geometry }) => geometry.name === own.model)?.folder ?? null;
      const mergedPath = own.merged === null ? null : (paths.get(own.merged) ?? null);
      const flags = engineFlags(own, settings, { folder, mergedPath });
      report(`starting the engine with ${own.model}${own.merged === null ? '' : ` and ${own.merged} in its weights`}`);
      const entry = options.entry === undefined ? {} : { entry: options.entry };
      const engine = await startEngine({
        flags,
        report: (line) => report(line.startsWith('engine:') ? line : `engine: ${line}`),
        signal,
        ...entry,
      });
      return new EngineTarget({ engine, needs: own, paths, slots: slotsOf(own, settings), api, flags });
    },
    close: () => files.remove(),
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

/** The same device with what it can do at most, measured: some seconds. */
export async function measureDevice(
  settings: EngineFlags,
  options: { report?: (line: string) => void; signal?: AbortSignal; entry?: string } = {},
): Promise<MeasuredDevice> {
  const line = await probeEngine({ ...options, flags: argvOf({ device: settings.device }), ceilings: true });
  deviceOf(line);
  return line['device'] as MeasuredDevice;
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

interface TargetOptions {
  engine: EngineProcess;
  needs: EngineNeeds;
  /** Of every adapter, by name: a file, or the seed it is made from. */
  paths: ReadonlyMap<string, string>;
  slots: number;
  api: 'chat' | 'completions';
  flags: string[];
}

class EngineTarget implements Target {
  readonly info: TargetInfo;
  readonly connection: Target['connection'];
  readonly model: string;
  readonly profiler?: Profiler;
  readonly died: Promise<string>;
  readonly #engine: EngineProcess;
  /** null where the only adapter is in the weights. */
  readonly #adapters: EngineAdapters | null;

  constructor({ engine, needs, paths, slots, api, flags }: TargetOptions) {
    const { ready: _ready, protocol: _protocol, url, ...server } = engine.ready;
    const baseUrl = `${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`;
    this.#engine = engine;
    this.died = engine.died;
    // With an adapter in the weights, what is served is that adapter, and the base is not there any more.
    this.model = needs.merged ?? needs.model;
    this.#adapters = needs.merged === null ? new EngineAdapters({ baseUrl, died: engine.died, paths, slots }) : null;
    this.connection = { baseUrl, api, apiKey: null, headers: {} };
    if (engine.ready['profile'] === true) this.profiler = engineProfiler(baseUrl);
    this.info = { id: 'engine', kind: 'engine', url: baseUrl, model: needs.model, server: { ...server, flags } };
  }

  async ensureAdapters(cell: Cell, signal?: AbortSignal): Promise<void> {
    await this.#adapters?.arrange(cell, signal);
  }

  async suspect(): Promise<boolean> {
    return Promise.race([this.died.then(() => true), later(SUSPECT_MS, false)]);
  }

  stop(): Promise<void> {
    return this.#engine.stop();
  }
}

function seedOf({ name, servedRank, seed }: NeededAdapter): string {
  if (servedRank === null) {
    throw new BenchError('PLAN_INVALID', `adapter "${name}" has no rank, and the engine must make it with one`);
  }
  return `synthetic:rank=${servedRank},seed=${seed}`;
}

function later<T>(ms: number, value: T): Promise<T> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
