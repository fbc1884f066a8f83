/**
 * Records dispatches like a compute pass, each in a pass of its own between two timestamps: WebGPU tells the time at the edges of
 * passes only. That keeps kernels from overlapping and costs a little for each, so a profiled step is longer than a plain one; its
 * kernels' times are what is wanted.
 *
 * A ring of query sets and buffers, made once, so that the step loop creates nothing.
 */
import type { Pass } from '../kernels/kernel.ts';

/** One dispatch: where it belongs, which kernel it was, and how long the device took for it. */
export interface TimedDispatch {
  stage: string;
  kernel: string;
  ns: number;
}

/** The largest query set there is (WebGPU, "maximum query count"). */
const MOST_QUERIES = 4096;
const BYTES = 8 * MOST_QUERIES;

export class StepTimer {
  private readonly rings: Ring[];
  private next = 0;

  /** @param steps that may be under way together; the device must have the feature timestamp-query */
  constructor(device: GPUDevice, steps: number) {
    this.rings = Array.from({ length: steps }, () => ({
      queries: device.createQuerySet({ label: 'profile', type: 'timestamp', count: MOST_QUERIES }),
      resolved: device.createBuffer({
        label: 'profile',
        size: BYTES,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      }),
      readback: device.createBuffer({
        label: 'profile readback',
        size: BYTES,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }),
    }));
  }

  /** For one step's dispatches, in the encoder that is submitted with them. */
  begin(encoder: GPUCommandEncoder): TimedPass {
    const ring = this.rings[this.next % this.rings.length] as Ring;
    this.next++;
    return new TimedPass(encoder, ring);
  }
}

interface Ring {
  queries: GPUQuerySet;
  resolved: GPUBuffer;
  readback: GPUBuffer;
}

export class TimedPass implements Pass {
  private readonly encoder: GPUCommandEncoder;
  private readonly ring: Ring;
  private readonly recorded: { stage: string; kernel: string }[] = [];
  private current = '';
  private pipeline: GPUComputePipeline | null = null;
  private group: GPUBindGroup | null = null;

  constructor(encoder: GPUCommandEncoder, ring: Ring) {
    this.encoder = encoder;
    this.ring = ring;
  }

  /** What follows belongs to this stage. */
  stage(name: string): void {
    this.current = name;
  }

  setPipeline(pipeline: GPUComputePipeline): void {
    this.pipeline = pipeline;
  }

  setBindGroup(_index: number, group: GPUBindGroup): void {
    this.group = group;
  }

  dispatchWorkgroups(x: number, y = 1, z = 1): void {
    const { pipeline, group } = this;
    if (!pipeline || !group) throw new Error('a dispatch without a pipeline or its buffers');
    const at = 2 * this.recorded.length;
    const timed = at + 2 <= MOST_QUERIES; // beyond that a step is still right, and its last kernels go untimed
    const pass = this.encoder.beginComputePass(
      timed
        ? {
            timestampWrites: {
              querySet: this.ring.queries,
              beginningOfPassWriteIndex: at,
              endOfPassWriteIndex: at + 1,
            },
          }
        : {},
    );
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    pass.end();
    if (timed) this.recorded.push({ stage: this.current, kernel: pipeline.label });
  }

  /** After the last dispatch, before the encoder is finished. */
  end(): void {
    const { queries, resolved, readback } = this.ring;
    const count = 2 * this.recorded.length;
    if (count === 0) return;
    this.encoder.resolveQuerySet(queries, 0, count, resolved, 0);
    this.encoder.copyBufferToBuffer(resolved, 0, readback, 0, 8 * count);
  }

  /** After the step was submitted; resolves when the device has done it. */
  async times(): Promise<TimedDispatch[]> {
    const { readback } = this.ring;
    const bytes = 16 * this.recorded.length;
    if (bytes === 0) return [];
    await readback.mapAsync(GPUMapMode.READ, 0, bytes);
    const stamps = new BigUint64Array(readback.getMappedRange(0, bytes).slice(0));
    readback.unmap();
    return this.recorded.map(({ stage, kernel }, i) => {
      const [from, to] = [stamps[2 * i] as bigint, stamps[2 * i + 1] as bigint];
      return { stage, kernel, ns: to > from ? Number(to - from) : 0 };
    });
  }
}
