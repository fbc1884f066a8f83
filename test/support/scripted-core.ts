/**
 * An EngineCore whose output is known beforehand, for tests of the HTTP side: status codes, streaming, stop strings,
 * cancellation. It keeps the contract of engine/core.ts (asynchronous, in order, silent after cancel) and runs no model.
 */
import { now } from '../../engine/clock.ts';
import type {
  AdapterInfo,
  EngineCore,
  EngineInfo,
  HoldError,
  LoadError,
  LoadOptions,
  ResidencyError,
  ResidencyRequest,
  SequenceHandle,
  SequenceListener,
  SequenceRequest,
  SequenceTimings,
  Tier,
  WorkReading,
} from '../../engine/core.ts';
import { type Geometry, geometryOf } from '../../engine/models/geometry.ts';
import type { KindProfile } from '../../engine/worker/step-profile.ts';

export interface ScriptedCoreOptions {
  /** Ids a sequence gives, before the end its request asks for. Defaults to the prompt, over and over. */
  script?: (request: SequenceRequest) => { ids: number[]; eos?: boolean };
  /** Before the first token, and between tokens. */
  prefillMs?: number;
  stepMs?: number;
  model?: string;
  maxModelLen?: number;
  /** Ids handed over in one call. */
  idsPerCall?: number;
}

export class ScriptedCore implements EngineCore {
  readonly info: EngineInfo;
  readonly died: Promise<string>;
  readonly submitted: SequenceRequest[] = [];
  cancelled = 0;
  idleTier: Tier = 'device';
  /** Ends the core as a lost device would. */
  die!: (why: string) => void;
  readonly #options: Required<Omit<ScriptedCoreOptions, 'model' | 'maxModelLen'>>;
  readonly #adapters = new Map<string, AdapterInfo>();
  readonly #live = new Map<SequenceListener, () => void>();
  #promptTokens = 0;
  #generated = 0;
  #held: number | null = null;

  constructor(options: ScriptedCoreOptions = {}) {
    this.#options = {
      script: options.script ?? (({ prompt, maxTokens }) => ({ ids: cycled(prompt, maxTokens) })),
      prefillMs: options.prefillMs ?? 0,
      stepMs: options.stepMs ?? 0,
      idsPerCall: options.idsPerCall ?? 1,
    };
    this.died = new Promise((resolve) => {
      this.die = resolve;
    });
    this.info = {
      geometry: geometryOf(options.model ?? 'llama-3-8b') as Geometry,
      weights: 'f16',
      device: { candidate: 'scripted', name: 'scripted', vendor: '', driver: '', software: true, features: [] },
      maxModelLen: options.maxModelLen ?? 2048,
      maxNumSeqs: 64,
      maxNumBatchedTokens: 512,
      maxGpuLoras: 4,
      maxCpuLoras: 8,
      maxLoraRank: 64,
      merged: null,
      kvBlockSize: 16,
      kvBlocks: 1024,
      batchInvariant: false,
      profile: false,
      variants: ['scripted'],
      memoryPlan: [],
    };
  }

  get live(): number {
    return this.#live.size;
  }

  submit(request: SequenceRequest, listener: SequenceListener): SequenceHandle {
    this.submitted.push(request);
    this.#promptTokens += request.prompt.length;
    const received = now();
    const { ids, eos } = this.#options.script(request);
    const out = ids.slice(0, request.maxTokens);
    const finish = eos === true && ids.length <= request.maxTokens ? 'stop' : 'length';
    let timer: NodeJS.Timeout;
    let at = 0;
    let firstToken = 0;
    const deliver = () => {
      const part = out.slice(at, at + this.#options.idsPerCall);
      at += part.length;
      this.#generated += part.length;
      firstToken ||= now();
      const last = at >= out.length;
      const timings: SequenceTimings = {
        received,
        admitted: received,
        adapterWait: 0,
        adapterTier: this.#adapters.get(request.adapter ?? '')?.tier ?? null,
        adapterBytes: 0,
        adapterLoad: 0,
        prefillStart: received,
        firstToken,
        lastToken: now(),
      };
      if (last) this.#live.delete(listener);
      else timer = setTimeout(deliver, this.#options.stepMs);
      listener.onTokens(part, last ? finish : null, timings);
    };
    timer = setTimeout(deliver, this.#options.prefillMs);
    const stop = () => {
      clearTimeout(timer);
      this.#live.delete(listener);
    };
    this.#live.set(listener, stop);
    return {
      cancel: () => {
        if (!this.#live.has(listener)) return;
        this.cancelled += 1;
        stop();
      },
    };
  }

  async loadAdapter(name: string, path: string, options: LoadOptions = {}): Promise<LoadError | null> {
    const rank = Number(/^synthetic:rank=(\d+),seed=\d+$/.exec(path)?.[1]);
    if (this.#adapters.has(name) && options.replace !== true) return { code: 'exists', message: `${name} exists` };
    if (!(rank > 0)) return { code: 'bad_path', message: `"${path}" is not a path that can be loaded` };
    if (rank > this.info.maxLoraRank)
      return { code: 'rank_too_big', message: `rank ${rank} is above ${this.info.maxLoraRank}` };
    if (this.info.maxGpuLoras === 0) return { code: 'no_slot', message: 'there is no slot' };
    const onDevice = [...this.#adapters.values()].filter(({ tier }) => tier === 'device').length;
    const wanted = options.to ?? 'device';
    const tier = wanted === 'device' && onDevice >= this.info.maxGpuLoras ? 'host' : wanted;
    const info = { name, path, kind: 'lora', format: 'synthetic', rank, bytes: rank * 1000 } as const;
    this.#adapters.set(name, { ...info, tier, pinned: false, users: 0, loads: tier === 'device' ? 1 : 0 });
    return null;
  }

  /** Moves the adapter where it is asked to go; the refusals that need no memory to run out are the real ones. */
  async residency({ action, name, to }: ResidencyRequest): Promise<ResidencyError | null> {
    const adapter = this.#adapters.get(name);
    if (!adapter) return { code: 'not_found', message: `there is no adapter "${name}"` };
    if (action === 'evict' && adapter.pinned) return { code: 'in_use', message: `adapter "${name}" is pinned` };
    if (action === 'pin' || action === 'unpin') adapter.pinned = action === 'pin';
    adapter.tier = action === 'pin' ? 'device' : action === 'unpin' ? adapter.tier : to;
    return null;
  }

  async setIdleTier(tier: Tier): Promise<void> {
    this.idleTier = tier;
  }

  async unloadAdapter(name: string): Promise<boolean> {
    return this.#adapters.delete(name);
  }

  adapters(): AdapterInfo[] {
    return [...this.#adapters.values()];
  }

  stats() {
    return {
      steps: this.#generated,
      promptTokens: this.#promptTokens,
      generatedTokens: this.#generated,
      dispatches: 0,
      running: this.#live.size,
      waiting: 0,
      kvBlocksTotal: 1024,
      kvBlocksFree: 1024 - this.#live.size,
      rows: this.#generated,
      loraRows: 0,
      stepMsLast: this.#options.stepMs,
      adaptersOnDevice: this.adapters().filter(({ tier }) => tier === 'device').length,
      adaptersInHost: this.adapters().filter(({ tier }) => tier === 'host').length,
      adaptersOnDisk: this.adapters().filter(({ tier }) => tier === 'disk').length,
      adapterLoadsFromHost: 0,
      adapterLoadsFromDisk: 0,
      adapterEvictions: 0,
      adapterSwaps: 0,
    };
  }

  /** Says what it was asked to, as the real one does; nothing waits here, so nothing is kept waiting. */
  async hold(milliseconds: number): Promise<HoldError | null> {
    if (this.#held !== null) return { code: 'held', message: 'requests are held already' };
    this.#held = milliseconds;
    return null;
  }

  async release(): Promise<number | HoldError> {
    if (this.#held === null) return { code: 'not_held', message: 'requests are not held' };
    this.#held = null;
    return 0;
  }

  async work(): Promise<WorkReading> {
    const { steps, dispatches, rows, loraRows, promptTokens, generatedTokens, running, waiting } = this.stats();
    const counted = { steps, dispatches, rows, loraRows, promptTokens, generatedTokens };
    const bytes = { weightBytes: 0, kvBytes: 0, adapterBytes: 0, uploadBytes: 0 };
    const made = { adapterLoads: 0, pipelinesCompiled: 0, buffersCreated: 0, bindGroupsCreated: 0 };
    const counters = { ...counted, ...bytes, ...made, paddedRows: 0, stepAdapters: 0 };
    return { counters, running, waiting, held: this.#held !== null, holdExpired: false };
  }

  async profile(): Promise<KindProfile[]> {
    return [];
  }

  async close(): Promise<void> {
    for (const [listener, stop] of [...this.#live]) {
      stop();
      listener.onError({ code: 'closing', message: 'closing' });
    }
  }

  /** Fails everything in progress, as an adapter that was unloaded or a lost device does. */
  failAll(code: 'adapter_gone' | 'device_lost'): void {
    for (const [listener, stop] of [...this.#live]) {
      stop();
      listener.onError({ code, message: `failed: ${code}` });
    }
  }
}

const cycled = (ids: Uint32Array, length: number): number[] => Array.from({ length }, (_, i) => ids[i % ids.length]!);
