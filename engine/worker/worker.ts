/**
 * The device thread: opens the device, builds the model, runs the step loop, and answers the main thread's messages.
 *
 * Started by client.ts. Says `ready` or `failed` first. When the device is lost, or anything of ours breaks, it says `died`
 * and why; the main thread then ends the process.
 */
import { setTimeout } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { now } from '../clock.ts';
import type { AdapterInfo, EngineStats } from '../core.ts';
import { openDevice } from '../device/dawn.ts';
import { asEngineError } from '../errors.ts';
import { parseSynthetic, SYNTHETIC_SCALE } from '../lora/synthetic.ts';
import { BlockManager } from '../scheduler/block-manager.ts';
import { type Delivery, Scheduler } from '../scheduler/scheduler.ts';
import { Sequence } from '../scheduler/sequence.ts';
import { KV_BLOCK } from '../transformer/memory-plan.ts';
import { Model } from '../transformer/model.ts';
import { StepLoop } from './loop.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

if (!parentPort) throw new Error('worker.ts runs as a worker thread');
const port = parentPort;
/** Time a lost device is given to say so after a step has failed. */
const LOST_GRACE_MS = 500;

const say = (message: FromWorker): void => port.postMessage(message);

async function start({ config, device: chosen }: WorkerStart): Promise<void> {
  const open = await openDevice(chosen.candidate, { validate: config.validate });
  const died = (why: string) => say({ kind: 'died', why });
  open.device.addEventListener('uncapturederror', (event) => died(`the device refused a call: ${event.error.message}`));
  open.lost.then(died, (error: unknown) => died(String(error)));
  const model = await Model.create(open, config, (lines) => say({ kind: 'plan', lines }));
  const { memory, geometry, slots } = model;
  const blocks = new BlockManager(memory.kvBlocks, KV_BLOCK);
  const scheduler = new Scheduler({
    maxNumSeqs: memory.maxNumSeqs,
    maxNumBatchedTokens: memory.maxNumBatchedTokens,
    blocks,
    endIds: geometry.eosIds,
  });
  const sequences = new Map<number, Sequence>();

  const stats = (): EngineStats => ({
    ...loop.counters,
    running: scheduler.running,
    waiting: scheduler.waiting,
    kvBlocksTotal: blocks.total,
    kvBlocksFree: blocks.free,
  });
  const deliver = (deliveries: Delivery[]): void => {
    const news = deliveries.map(({ sequence, ids, finish }) => {
      if (finish) sequences.delete(sequence.id);
      const { received, admitted, prefillStart, firstToken, lastToken } = sequence;
      return {
        id: sequence.id,
        ids,
        finish,
        timings: { received, admitted, adapterWait: 0, prefillStart, firstToken, lastToken },
      };
    });
    say({ kind: 'step', news, stats: stats() });
  };
  const loop = new StepLoop(model, scheduler, { submitBlocks: open.submitBlocks, deliver });
  let closing = false;
  // A step must not be in flight when the process leaves: the driver would abort in the middle of it.
  const closeWhenIdle = (): void => {
    if (closing && loop.idle) say({ kind: 'closed' });
  };
  const wake = (): void => {
    loop
      .wake()
      .then(closeWhenIdle)
      .catch(async (error: unknown) => {
        // A lost device fails the step too, a moment before or after it says so itself; its own words are the better ones.
        const lost = await Promise.race([open.lost, setTimeout(LOST_GRACE_MS, null)]);
        died(lost ?? `a step failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      });
  };
  const adapters = (): AdapterInfo[] =>
    slots.list().map(({ name, path, rank, users }) => ({ name, path, rank, users, bytes: model.pools.bytesOf(rank) }));

  const load = (name: string, path: string): Extract<FromWorker, { kind: 'loaded' }>['error'] => {
    const spec = parseSynthetic(path);
    if (typeof spec === 'string') return { code: 'bad_path', message: spec };
    if (spec.rank > config.maxLoraRank) {
      return { code: 'rank_too_big', message: `rank ${spec.rank} is above --max-lora-rank ${config.maxLoraRank}` };
    }
    if (slots.get(name)) return { code: 'exists', message: `adapter "${name}" is loaded already` };
    const adapter = slots.add(name, path, spec.rank, SYNTHETIC_SCALE);
    if (!adapter) {
      return {
        code: 'no_slot',
        message: `all ${slots.slots} slots (--max-gpu-loras) are taken; unload an adapter first`,
      };
    }
    model.pools.makeSynthetic(adapter, spec.seed);
    return null;
  };

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'submit': {
        const { id, request } = message;
        if (closing) {
          say({ kind: 'refused', id, code: 'closing', message: 'the engine is shutting down' });
          return;
        }
        const adapter = request.adapter === null ? null : slots.get(request.adapter);
        if (adapter === undefined) {
          say({ kind: 'refused', id, code: 'adapter_gone', message: `adapter "${request.adapter}" is not loaded` });
          return;
        }
        const sequence = new Sequence(id, request, adapter, now());
        sequences.set(id, sequence);
        scheduler.add(sequence);
        wake();
        return;
      }
      case 'cancel': {
        const sequence = sequences.get(message.id);
        if (sequence) scheduler.cancel(sequence);
        sequences.delete(message.id);
        return;
      }
      case 'load': {
        const error = load(message.name, message.path);
        say({ kind: 'loaded', call: message.call, error, adapters: adapters() });
        return;
      }
      case 'unload': {
        const { call, name } = message;
        const removed = slots.remove(name); // from here on it takes no new users
        say({ kind: 'adapters', adapters: adapters() });
        removed.then(
          (found) => say({ kind: 'unloaded', call, found, adapters: adapters() }),
          (error: unknown) => died(String(error)),
        );
        return;
      }
      case 'close':
        closing = true;
        for (const sequence of sequences.values()) scheduler.cancel(sequence);
        sequences.clear();
        closeWhenIdle();
    }
  });

  const { name, vendor, driver, software, features, candidate } = open;
  say({
    kind: 'ready',
    info: {
      geometry,
      weights: config.weights,
      device: { candidate, name, vendor, driver, software, features },
      maxModelLen: memory.maxModelLen,
      maxNumSeqs: memory.maxNumSeqs,
      maxNumBatchedTokens: memory.maxNumBatchedTokens,
      maxGpuLoras: config.maxGpuLoras,
      maxLoraRank: config.maxLoraRank,
      kvBlockSize: KV_BLOCK,
      kvBlocks: memory.kvBlocks,
      batchInvariant: config.batchInvariant,
      memoryPlan: memory.lines,
    },
  });
}

start(workerData as WorkerStart).catch((thrown: unknown) => {
  const error = asEngineError(thrown);
  const code = error.code === 'usage' || error.code === 'too_big' || error.code === 'no_device' ? error.code : 'bug';
  const message = code === 'bug' && thrown instanceof Error ? (thrown.stack ?? thrown.message) : error.message;
  say({ kind: 'failed', code, message, hint: error.hint });
});
