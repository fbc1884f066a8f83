/**
 * The main thread's side of the device thread: an EngineCore that speaks messages.
 *
 * startCore() resolves when the model is ready, or rejects with the worker's EngineError. This process must have been
 * started with the device's environment (device/choose.ts).
 */
import { Worker } from 'node:worker_threads';
import { now } from '../clock.ts';
import type { EngineConfig } from '../config.ts';
import type {
  AdapterInfo,
  EngineCore,
  EngineInfo,
  EngineStats,
  HoldError,
  LoadError,
  LoadOptions,
  ResidencyError,
  ResidencyRequest,
  SequenceHandle,
  SequenceListener,
  SequenceRequest,
  Tier,
  WorkReading,
} from '../core.ts';
import type { ChosenDevice } from '../device/choose.ts';
import { EngineError } from '../errors.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import type { KindProfile } from './step-profile.ts';

/** @param report told the memory plan, line by line, before anything is allocated */
export function startCore(
  config: EngineConfig,
  device: ChosenDevice,
  report: (line: string) => void = () => {},
): Promise<EngineCore> {
  // From sources (tests) the built worker is used: Node 20 runs no TypeScript.
  const here = import.meta.url.replace(/\/engine\/worker\/client\.ts$/, '/dist/engine/worker/client.js');
  const start: WorkerStart = { config, device };
  const worker = new Worker(new URL('./worker.js', here), { workerData: start, stderr: false, stdout: false });
  return new Promise((resolve, reject) => {
    const onMessage = (message: FromWorker) => {
      if (message.kind === 'plan') message.lines.forEach(report);
      if (message.kind === 'ready') {
        detach();
        resolve(new WorkerCore(worker, message.info));
      } else if (message.kind === 'failed') {
        detach();
        reject(
          new EngineError(message.code, message.message, message.hint === undefined ? {} : { hint: message.hint }),
        );
      } else if (message.kind === 'died') {
        detach();
        reject(new EngineError('device_lost', message.why));
      }
    };
    const onError = (cause: Error) => {
      detach();
      reject(new EngineError('bug', `the device thread failed to start: ${cause.message}`, { cause }));
    };
    const onExit = (code: number) => onError(new Error(`it exited with ${code}`));
    const detach = () => worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

const NO_STATS: EngineStats = {
  steps: 0,
  promptTokens: 0,
  generatedTokens: 0,
  dispatches: 0,
  running: 0,
  waiting: 0,
  kvBlocksTotal: 0,
  kvBlocksFree: 0,
  rows: 0,
  loraRows: 0,
  stepMsLast: 0,
  adaptersOnDevice: 0,
  adaptersInHost: 0,
  adaptersOnDisk: 0,
  adapterLoadsFromHost: 0,
  adapterLoadsFromDisk: 0,
  adapterEvictions: 0,
  adapterSwaps: 0,
};

class WorkerCore implements EngineCore {
  readonly info: EngineInfo;
  readonly died: Promise<string>;
  private readonly worker: Worker;
  private readonly sequences = new Map<number, { listener: SequenceListener; adapter: string | null }>();
  private readonly calls = new Map<number, { resolve: (answer: FromWorker) => void; reject: (error: Error) => void }>();
  private nextId = 1;
  private latest: EngineStats;
  private readonly known = new Map<string, AdapterInfo>();
  private closing: (() => void) | null = null;
  private closed: Promise<void> | null = null;
  private dead = false;

  constructor(worker: Worker, info: EngineInfo) {
    this.worker = worker;
    this.info = info;
    this.latest = { ...NO_STATS, kvBlocksTotal: info.kvBlocks, kvBlocksFree: info.kvBlocks };
    this.died = new Promise((resolve) => {
      const die = (why: string) => {
        if (this.closing) return this.closing(); // leaving anyway
        this.dead = true;
        this.endAll({ code: 'device_lost', message: why });
        this.rejectCalls(why);
        resolve(why);
      };
      worker.on('message', (message: FromWorker) => this.receive(message, die));
      worker.on('error', (error) => die(`the device thread failed: ${error.stack ?? error.message}`));
      worker.on('exit', (code) => die(`the device thread ended with ${code}`));
    });
  }

  submit(request: SequenceRequest, listener: SequenceListener): SequenceHandle {
    if (this.dead) {
      queueMicrotask(() => listener.onError({ code: 'device_lost', message: 'the device is lost' }));
      return { cancel: () => {} };
    }
    const id = this.nextId++;
    this.sequences.set(id, { listener, adapter: request.adapter });
    this.send({ kind: 'submit', id, request, sent: now() });
    return {
      cancel: () => {
        if (this.sequences.delete(id)) this.send({ kind: 'cancel', id });
      },
    };
  }

  async loadAdapter(name: string, path: string, options: LoadOptions = {}): Promise<LoadError | null> {
    const answer = await this.call((call) => ({ kind: 'load', call, name, path, options }));
    return answer.kind === 'loaded' ? answer.error : null;
  }

  async unloadAdapter(name: string): Promise<boolean> {
    const answer = await this.call((call) => ({ kind: 'unload', call, name }));
    return answer.kind === 'unloaded' && answer.found;
  }

  async residency(request: ResidencyRequest): Promise<ResidencyError | null> {
    const answer = await this.call((call) => ({ kind: 'move', call, request }));
    return answer.kind === 'moved' ? answer.error : null;
  }

  async setIdleTier(tier: Tier): Promise<void> {
    await this.call((call) => ({ kind: 'idle_tier', call, tier }));
  }

  async hold(milliseconds: number): Promise<HoldError | null> {
    const answer = await this.call((call) => ({ kind: 'hold', call, milliseconds }));
    return answer.kind === 'holding' ? answer.error : null;
  }

  async release(): Promise<number | HoldError> {
    const answer = await this.call((call) => ({ kind: 'release', call }));
    return answer.kind === 'released' ? answer.released : 0;
  }

  async work(): Promise<WorkReading> {
    const answer = await this.call((call) => ({ kind: 'work', call }));
    if (answer.kind !== 'working')
      throw new EngineError('bug', `the device thread answered ${answer.kind}, not its counters`);
    return answer.reading;
  }

  async profile(reset: boolean): Promise<KindProfile[]> {
    const answer = await this.call((call) => ({ kind: 'profile', call, reset }));
    return answer.kind === 'profiled' ? answer.kinds : [];
  }

  adapters(): AdapterInfo[] {
    const users = new Map<string | null, number>();
    for (const { adapter } of this.sequences.values()) users.set(adapter, (users.get(adapter) ?? 0) + 1);
    return [...this.known.values()].map((adapter) => ({ ...adapter, users: users.get(adapter.name) ?? 0 }));
  }

  stats(): EngineStats {
    return this.latest;
  }

  async close(): Promise<void> {
    if (this.dead) return;
    this.closed ??= this.end();
    await this.closed;
  }

  private async end(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.closing = resolve;
      this.send({ kind: 'close' });
    });
    this.endAll({ code: 'closing', message: 'the engine is shutting down' });
    this.rejectCalls('the engine is shutting down');
  }

  private endAll(error: Parameters<SequenceListener['onError']>[0]): void {
    const ended = [...this.sequences.values()];
    this.sequences.clear();
    for (const { listener } of ended) listener.onError(error);
  }

  private rejectCalls(why: string): void {
    for (const { reject } of this.calls.values()) reject(new EngineError('device_lost', why));
    this.calls.clear();
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private call(make: (call: number) => ToWorker): Promise<FromWorker> {
    if (this.dead) return Promise.reject(new EngineError('device_lost', 'the device is lost'));
    const call = this.nextId++;
    return new Promise((resolve, reject) => {
      this.calls.set(call, { resolve, reject });
      this.send(make(call));
    });
  }

  private receive(message: FromWorker, die: (why: string) => void): void {
    switch (message.kind) {
      case 'step':
        this.latest = message.stats;
        for (const { id, ids, finish, timings } of message.news) {
          const sequence = this.sequences.get(id);
          if (finish) this.sequences.delete(id);
          sequence?.listener.onTokens(ids, finish, timings);
        }
        return;
      case 'refused': {
        const sequence = this.sequences.get(message.id);
        this.sequences.delete(message.id);
        sequence?.listener.onError({ code: message.code, message: message.message });
        return;
      }
      case 'loaded':
      case 'unloaded':
      case 'moved':
      case 'holding':
      case 'released':
      case 'working':
      case 'profiled': {
        this.calls.get(message.call)?.resolve(message);
        this.calls.delete(message.call);
        return;
      }
      case 'adapters':
        this.latest = message.stats;
        for (const adapter of message.changes.changed) this.known.set(adapter.name, adapter);
        for (const name of message.changes.removed) this.known.delete(name);
        return;
      case 'died':
        die(message.why);
        return;
      case 'closed':
        this.closing?.();
    }
  }
}
