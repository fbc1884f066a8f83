// What the scripts that time kernels of products share: memory to rotate over, so that no cache holds what is read next, filled with
// bits that cost what real ones do, and the time of a dispatch in a batch, by the device's own clock where it has one.

export class Bench {
  constructor(device, facts, { arena, batch, repeats }) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    this.device = device;
    this.facts = facts;
    this.batch = batch;
    this.repeats = repeats;
    this.mostBinding = maxStorageBufferBindingSize;
    this.buffers = [];
    this.arena = this.buffer(Math.min(arena, Math.floor(maxBufferSize / 256) * 256));
    this.fill(this.arena);
    if (facts.timestamps) {
      this.queries = device.createQuerySet({ type: 'timestamp', count: 2 });
      this.resolved = this.buffer(16, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
      this.readback = this.buffer(16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    }
  }

  buffer(size, usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC) {
    const made = this.device.createBuffer({ size: Math.max(256, Math.ceil(size / 256) * 256), usage });
    this.buffers.push(made);
    return made;
  }

  destroy() {
    for (const buffer of this.buffers) buffer.destroy();
    this.queries?.destroy();
  }

  /** Bits that are normal numbers of moderate size as f16 and as f32: power, and so clocks, follow the bits. */
  fill(buffer) {
    const words = new Uint32Array(2 ** 20);
    let state = 1;
    for (let i = 0; i < words.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words[i] = (state & 0x83ff83ff) | 0x30003000;
    }
    for (let at = 0; at < buffer.size; at += words.byteLength) {
      this.device.queue.writeBuffer(buffer, at, words, 0, Math.min(words.length, (buffer.size - at) / 4));
    }
  }

  /** Places of so many bytes that do not overlap, as bindings; null when one alone is too much. */
  places(bytes) {
    const apart = Math.ceil(bytes / 256) * 256;
    if (apart > this.arena.size || bytes > this.mostBinding) return null;
    const count = Math.min(64, Math.floor(this.arena.size / apart));
    return Array.from({ length: count }, (_, i) => ({ buffer: this.arena, offset: i * apart, size: bytes }));
  }

  /** The row with the best and the median of several batches, seconds of one dispatch. */
  async timed(row, calls, grid) {
    // The first batch is warm-up: the driver compiles in it.
    const times = [];
    for (let i = 0; i <= this.repeats; i++) {
      const seconds = await this.batchSeconds(calls, grid, i);
      if (i > 0) times.push(seconds);
    }
    times.sort((a, b) => a - b);
    return { ...row, seconds: times[0], median: times[times.length >> 1] };
  }

  /** Seconds of one dispatch in a batch, each on the next place. */
  async batchSeconds(calls, grid, turn) {
    const { device, batch } = this;
    const encoder = device.createCommandEncoder();
    const writes = { querySet: this.queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = encoder.beginComputePass(this.queries ? { timestampWrites: writes } : {});
    for (let i = 0; i < batch; i++) {
      const { pipeline, group } = calls[(turn * batch + i) % calls.length];
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    if (this.queries) {
      encoder.resolveQuerySet(this.queries, 0, 2, this.resolved, 0);
      encoder.copyBufferToBuffer(this.resolved, 0, this.readback, 0, 16);
    }
    const began = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    if (!this.queries) return (performance.now() - began) / 1e3 / batch;
    await this.readback.mapAsync(GPUMapMode.READ);
    const [from, to] = new BigUint64Array(this.readback.getMappedRange(0, 16).slice(0));
    this.readback.unmap();
    return Number(to - from) / 1e9 / batch;
  }
}
