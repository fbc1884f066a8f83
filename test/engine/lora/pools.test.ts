/** Synthetic adapters on the device: every page of every layer holds the bits random-f16.ts gives, where the kernels look. */
import { beforeAll, expect, it } from 'vitest';
import { KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { RandomWeights } from '../../../engine/kernels/random-weights.ts';
import { LoraPools } from '../../../engine/lora/pools.ts';
import { amplitudeOf, f16Bits, TENSOR, tensorKey } from '../../../engine/lora/random-f16.ts';
import { AdapterSlots, RANKS_PER_PAGE, type ResidentAdapter } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { GROUPS, groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import { testDevice } from '../../support/device.ts';

const MAX_RANK = 24;
// Widths off the columns' padding, fewer KV heads than heads.
const geometry: Geometry = {
  ...(geometryOf('llama-3-8b') as Geometry),
  layers: 2,
  hidden: 64,
  intermediate: 96,
  heads: 2,
  kvHeads: 1,
  headDim: 64,
};

let device: GPUDevice;
let random: RandomWeights;
beforeAll(async () => {
  ({ device } = await testDevice());
  random = await RandomWeights.create(new KernelCompiler(device));
});

async function read(buffer: GPUBuffer): Promise<Uint16Array> {
  const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await copy.mapAsync(GPUMapMode.READ);
  const halves = new Uint16Array(copy.getMappedRange().slice(0));
  copy.destroy();
  return halves;
}

/** Looks up A[r, column] and B[row, r] of every projection as shrink.wgsl and matmul.wgsl do, in the pools as they are. */
async function expectAdapter(
  pools: LoraPools,
  layout: ReturnType<typeof loraLayout>,
  adapter: ResidentAdapter,
  seed: number,
) {
  const shapes = groupShapes(geometry);
  for (let layer = 0; layer < geometry.layers; layer++) {
    const pool = pools.layers[layer]!;
    const [a, b] = [await read(pool.a), await read(pool.b)];
    for (const group of GROUPS) {
      const { k, n, slices } = shapes[group];
      const { aAt, bAt } = layout.groups[group];
      slices.forEach(({ tensor, at, columns }, slice) => {
        const aKey = tensorKey(seed, layer, TENSOR.loraA + tensor);
        const bKey = tensorKey(seed, layer, TENSOR.loraB + tensor);
        for (let r = 0; r < RANKS_PER_PAGE * adapter.pages.length; r++) {
          const page = adapter.pages[Math.floor(r / RANKS_PER_PAGE)] as number;
          const inPage = r % RANKS_PER_PAGE;
          const aLine = 2 * aAt + ((page * slices.length + slice) * RANKS_PER_PAGE + inPage) * k;
          const bLine = bAt + (page * (RANKS_PER_PAGE / 2) + Math.floor(inPage / 2)) * n + at;
          for (let c = 0; c < k; c++) {
            const want = r < adapter.rank ? f16Bits(r * k + c, aKey, amplitudeOf(k, 1)) : 0;
            if (a[aLine + c] !== want)
              throw new Error(`layer ${layer}, ${group} slice ${slice}, A[${r}, ${c}]: ${a[aLine + c]}, not ${want}`);
          }
          for (let row = 0; row < columns; row++) {
            const want = r < adapter.rank ? f16Bits(row * adapter.rank + r, bKey, amplitudeOf(adapter.rank, 1)) : 0;
            const got = b[2 * (bLine + row) + (r % 2)];
            if (got !== want)
              throw new Error(`layer ${layer}, ${group} slice ${slice}, B[${row}, ${r}]: ${got}, not ${want}`);
          }
        }
      });
    }
  }
}

it('hold each adapter in its own pages, and a later one in the pages of one that is gone', async () => {
  const slots = new AdapterSlots(3, MAX_RANK);
  const layout = loraLayout(geometry, slots.pages, MAX_RANK);
  const pools = new LoraPools(device, random, geometry, layout);
  const load = (name: string, rank: number, seed: number): ResidentAdapter => {
    const adapter = slots.add(name, 'test', rank, 0.5)!;
    pools.makeSynthetic(adapter, seed);
    return adapter;
  };
  device.pushErrorScope('validation');
  const gone = load('gone', 24, 1);
  const odd = load('odd', 7, 2);
  await expectAdapter(pools, layout, gone, 1);
  await slots.remove('gone');
  const small = load('small', 1, 3);
  const middle = load('middle', 12, 4);
  expect(gone.pages).toEqual(expect.arrayContaining([...small.pages, ...middle.pages]));
  await expectAdapter(pools, layout, odd, 2);
  await expectAdapter(pools, layout, small, 3);
  await expectAdapter(pools, layout, middle, 4);
  expect(await device.popErrorScope()).toBeNull();
});

it('count the bytes an adapter takes by its pages', () => {
  const layout = loraLayout(geometry, 9, MAX_RANK);
  const pools = new LoraPools(device, random, geometry, layout);
  const perRank = GROUPS.reduce((sum, group) => {
    const { k, n, slices } = groupShapes(geometry)[group];
    return sum + 2 * (slices.length * k + n);
  }, 0);
  expect([1, 8, 9, 24].map((rank) => pools.bytesOf(rank))).toEqual(
    [8, 8, 16, 24].map((ranks) => ranks * perRank * geometry.layers),
  );
});
