/** A device without the memory: Dawn's null backend has 512 MiB in all, and refuses more as a real one does. */
import { beforeAll, expect, test } from 'vitest';
import type { EngineConfig } from '../../../engine/config.ts';
import type { OpenDevice } from '../../../engine/device/dawn.ts';
import { factsOf } from '../../../engine/device/facts.ts';
import { EngineError } from '../../../engine/errors.ts';
import { Model } from '../../../engine/transformer/model.ts';

const CONFIG: EngineConfig = {
  model: 'llama-3-70b@1/4',
  servedModelName: null,
  weights: 'f16',
  seed: 0,
  device: 'auto',
  maxModelLen: 512,
  maxNumSeqs: 4,
  maxNumBatchedTokens: 32,
  maxGpuLoras: 0,
  maxCpuLoras: 1,
  maxLoraRank: 8,
  gpuMemory: null,
  batchInvariant: false,
  merge: null,
  kernels: 'portable',
  profile: false,
  validate: true,
};

/** Kept for the life of the process, which crashes when the object from create() is collected before its device. */
const kept: unknown[] = [];
let open: OpenDevice;
const uncaptured: string[] = [];
beforeAll(async () => {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null']);
  const adapter = await gpu.requestAdapter();
  if (!adapter) throw new Error('the null backend gives no adapter');
  const device = await adapter.requestDevice();
  kept.push(gpu, device);
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    uncaptured.push(event.error.message);
  });
  open = {
    device,
    candidate: 'swiftshader',
    name: 'null',
    vendor: '',
    architecture: '',
    driver: '',
    software: true,
    features: [],
    facts: factsOf(adapter.info, device, true),
    submitBlocks: false,
    lost: new Promise(() => {}),
  };
});

test('is told as too big, with the arithmetic, before anything is dispatched into buffers that are not there', async () => {
  const plans: string[][] = [];
  const error = await Model.create(open, CONFIG, (lines) => plans.push(lines)).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EngineError);
  expect(error).toMatchObject({ code: 'too_big', exitCode: 2 });
  expect((error as EngineError).message).toMatch(/no memory for llama-3-70b@1\/4's weights and adapter pools/);
  expect((error as EngineError).message).toMatch(/weights +[\d.]+ MiB/);
  expect(plans).toHaveLength(1);
  await open.device.queue.onSubmittedWorkDone();
  expect(uncaptured).toEqual([]);
});
