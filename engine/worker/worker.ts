/**
 * The device thread: opens the device, builds the model and what serves on it, runs the step loop, and answers the main
 * thread's messages.
 *
 * Started by client.ts. Says `ready` or `failed` first. When the device is lost, or anything of ours breaks, it says `died`
 * and why; the main thread then ends the process.
 */
import { setTimeout } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { EngineStats, WorkReading } from '../core.ts';
import { countCreations } from '../device/creations.ts';
import { type OpenDevice, openDevice } from '../device/dawn.ts';
import { asEngineError } from '../errors.ts';
import { LoaderThread } from '../lora/loader.ts';
import { AdapterRegistry } from '../lora/registry.ts';
import { Residency } from '../lora/residency.ts';
import type { AdapterDevice } from '../lora/residency-device.ts';
import { BlockManager } from '../scheduler/block-manager.ts';
import { type Delivery, Scheduler } from '../scheduler/scheduler.ts';
import { KV_BLOCK } from '../transformer/memory-plan.ts';
import { Model } from '../transformer/model.ts';
import { AdapterService } from './adapter-service.ts';
import { Hold } from './hold.ts';
import { infoOf } from './info.ts';
import { LiveSequences } from './live-sequences.ts';
import { StepLoop } from './loop.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';

if (!parentPort) throw new Error('worker.ts runs as a worker thread');
const port = parentPort;
/** Time a lost device is given to say so after a step has failed. */
const LOST_GRACE_MS = 500;

const say = (message: FromWorker): void => port.postMessage(message);
const died = (why: string): void => say({ kind: 'died', why });

async function start({ config, device: chosen }: WorkerStart): Promise<void> {
  const open = await openDevice(chosen.candidate, { validate: config.validate });
  open.device.addEventListener('uncapturederror', (event) => died(`the device refused a call: ${event.error.message}`));
  open.lost.then(died, (error: unknown) => died(String(error)));
  const made = countCreations(open.device);
  const model = await Model.create(open, config, (lines) => say({ kind: 'plan', lines }));
  const { memory, geometry, slots, pools } = model;
  const { maxCpuLoras, maxGpuLoras, maxLoraRank, merge } = config;
  const blocks = new BlockManager(memory.kvBlocks, KV_BLOCK);
  const scheduler = new Scheduler({
    maxNumSeqs: memory.maxNumSeqs,
    maxNumBatchedTokens: memory.maxNumBatchedTokens,
    blocks,
    endIds: geometry.eosIds,
  });
  const registry = new AdapterRegistry();
  const loader = new LoaderThread(geometry);
  const residency = new Residency({
    slots,
    maxCpuLoras,
    registry,
    loader,
    device: adapterDevice(model, open),
    failed: (adapter, why) => sequences.fail(adapter, why),
    wake: () => wake(),
  });
  const sequences = new LiveSequences({
    scheduler,
    registry,
    residency,
    refuse: (id, refusal) => say({ kind: 'refused', id, ...refusal }),
  });
  const service = new AdapterService({
    registry,
    residency,
    loader,
    maxGpuLoras,
    maxLoraRank,
    merged: merge?.name ?? null,
    bytesOf: (rank, hasColumns) => pools.bytesOf(rank, hasColumns),
  });

  const stats = (): EngineStats => ({
    ...loop.counters,
    ...adapterStats(registry, residency),
    running: scheduler.running,
    waiting: scheduler.waiting,
    kvBlocksTotal: blocks.total,
    kvBlocksFree: blocks.free,
  });
  const hold = new Hold(scheduler, () => wake());
  const work = (): WorkReading => {
    const { steps, dispatches, rows, loraRows, promptTokens, generatedTokens } = loop.counters;
    const { loadsFromHost, loadsFromDisk } = residency.counted;
    const counters = {
      ...{ steps, dispatches, rows, loraRows, promptTokens, generatedTokens },
      ...loop.sums,
      adapterLoads: loadsFromHost + loadsFromDisk,
      pipelinesCompiled: made.pipelines,
      buffersCreated: made.buffers,
      bindGroupsCreated: made.bindGroups,
    };
    const { running, waiting } = scheduler;
    return { counters, running, waiting, held: hold.held, holdExpired: hold.expired };
  };
  /** Says what has changed about adapters, so that an answer said next finds it known. */
  const sayAdapters = (): void => {
    const changes = registry.takeChanges();
    if (changes) say({ kind: 'adapters', changes, stats: stats() });
  };
  const deliver = (deliveries: Delivery[]): void => {
    sayAdapters();
    say({ kind: 'step', news: sequences.news(deliveries), stats: stats() });
  };
  const loop = new StepLoop(model, scheduler, { submitBlocks: open.submitBlocks, deliver, residency });
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
        died(lost ?? `a step failed: ${described(error)}`);
      });
  };
  const answer = (call: Promise<FromWorker>): void => {
    sayAdapters();
    call.then(
      (message) => {
        sayAdapters();
        say(message);
      },
      (error: unknown) => died(`moving an adapter failed: ${described(error)}`),
    );
  };

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'submit':
        sequences.submit(message.id, message.request);
        wake();
        return;
      case 'cancel':
        sequences.cancel(message.id);
        wake(); // its adapter may be idle now
        return;
      case 'load': {
        const { call, name, path, options } = message;
        answer(service.load(name, path, options).then((error) => ({ kind: 'loaded', call, error })));
        return;
      }
      case 'unload': {
        const { call, name } = message;
        answer(service.unload(name).then((found) => ({ kind: 'unloaded', call, found })));
        return;
      }
      case 'move': {
        const { call, request } = message;
        answer(service.move(request).then((error) => ({ kind: 'moved', call, error })));
        return;
      }
      case 'idle_tier': {
        const { call, tier } = message;
        answer(residency.setIdleTier(tier).then(() => ({ kind: 'moved', call, error: null })));
        return;
      }
      case 'hold':
        say({ kind: 'holding', call: message.call, error: hold.begin(message.milliseconds) });
        return;
      case 'release':
        say({ kind: 'released', call: message.call, released: hold.release() });
        return;
      case 'profile':
        say({ kind: 'profiled', call: message.call, kinds: loop.profile.sums });
        if (message.reset) loop.profile.reset();
        return;
      case 'work':
        say({ kind: 'working', call: message.call, reading: work() });
        return;
      case 'close':
        closing = true;
        sequences.close();
        loader.close().then(closeWhenIdle, closeWhenIdle);
    }
  });
  say({ kind: 'ready', info: infoOf(open, config, model) });
}

const adapterDevice = ({ pools }: Model, { device }: OpenDevice): AdapterDevice => ({
  upload: (place, image) => pools.upload(place, image),
  makeSynthetic: (place, seed) => pools.makeSynthetic(place, seed),
  readColumns: (place) => pools.readColumns(place),
  settled: async () => void (await device.queue.onSubmittedWorkDone()),
});

function adapterStats(registry: AdapterRegistry, { counted }: Residency) {
  const { device, host, disk } = registry.tiers();
  return {
    adaptersOnDevice: device,
    adaptersInHost: host,
    adaptersOnDisk: disk,
    adapterLoadsFromHost: counted.loadsFromHost,
    adapterLoadsFromDisk: counted.loadsFromDisk,
    adapterEvictions: counted.evictions,
    adapterSwaps: counted.swaps,
  };
}

const described = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

start(workerData as WorkerStart).catch((thrown: unknown) => {
  const error = asEngineError(thrown);
  const code = error.code === 'usage' || error.code === 'too_big' || error.code === 'no_device' ? error.code : 'bug';
  const message = code === 'bug' && thrown instanceof Error ? (thrown.stack ?? thrown.message) : error.message;
  say({ kind: 'failed', code, message, hint: error.hint });
});
