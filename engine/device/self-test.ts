/**
 * Run as a child process with a candidate's environment: opens the device, runs one real kernel and checks its numbers.
 * Prints one JSON line: {ok: true, name, ..} or {ok: false, message, hint}. A driver that aborts ends only this process.
 */
import { EngineError } from '../errors.ts';
import { CANDIDATES, type Candidate } from './candidates.ts';
import { openDevice } from './dawn.ts';

const SIZE = 256;

// Products of f16 pairs summed over workgroup memory and a barrier: what every kernel of the engine relies on.
const CODE = `
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
var<workgroup> t: array<f32, 64>;
@compute @workgroup_size(64) fn main(@builtin(workgroup_id) g: vec3u, @builtin(local_invocation_index) l: u32) {
  let v = unpack2x16float(a[g.x * 64u + l]);
  t[l] = v.x * v.y;
  workgroupBarrier();
  for (var w = 32u; w > 0u; w >>= 1u) { if (l < w) { t[l] += t[l + w]; } workgroupBarrier(); }
  b[g.x * 64u + l] = t[0] + f32(l);
}`;

async function run(candidate: Candidate): Promise<Record<string, unknown>> {
  const open = await openDevice(candidate, { validate: true });
  const { device } = open;
  device.pushErrorScope('validation');
  const input = new Uint32Array(SIZE).map((_, i) => (0x3c00 + i) | ((0x4000 + 2 * i) << 16));
  const a = device.createBuffer({ size: SIZE * 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const b = device.createBuffer({ size: SIZE * 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const read = device.createBuffer({ size: SIZE * 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(a, 0, input);
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: CODE }), entryPoint: 'main' },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [a, b].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(SIZE / 64);
  pass.end();
  encoder.copyBufferToBuffer(b, 0, read, 0, SIZE * 4);
  device.queue.submit([encoder.finish()]);
  const problem = await device.popErrorScope();
  if (problem) throw new EngineError('no_device', `its self-test was refused: ${problem.message.split('\n')[0]}`);
  await read.mapAsync(GPUMapMode.READ);
  const got = new Float32Array(read.getMappedRange().slice(0));
  for (let i = 0; i < SIZE; i++) {
    const first = Math.floor(i / 64) * 64;
    let sum = i % 64;
    for (let j = first; j < first + 64; j++) sum += (1 + j / 1024) * (2 + (2 * j * 2) / 1024);
    if (!(Math.abs((got[i] as number) - sum) <= 1e-4 * sum)) {
      throw new EngineError('no_device', `its self-test gave ${got[i]} where ${sum} is right`);
    }
  }
  const { name, vendor, driver, software, features } = open;
  return { ok: true, name, vendor, driver, software, features };
}

const candidate = CANDIDATES.find((c) => c === process.argv[2]);
if (!candidate) {
  console.error(`usage: self-test ${CANDIDATES.join('|')}`);
  process.exit(2);
}
try {
  console.log(JSON.stringify(await run(candidate)));
  process.exit(0);
} catch (error) {
  const hint = error instanceof EngineError ? error.hint : undefined;
  console.log(JSON.stringify({ ok: false, message: error instanceof Error ? error.message : String(error), hint }));
  process.exit(1);
}
