/**
 * Adapters folded into the weights: every element of every projection is g · (W + scale · B · A) of what went in, rounded to
 * f16 once; what no module changes keeps its bits; what cannot be folded is refused by name.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { RandomWeights } from '../../../engine/kernels/random-weights.ts';
import { foldAdapter } from '../../../engine/lora/merge.ts';
import { packAdapter, packSynthetic } from '../../../engine/lora/pack.ts';
import type { PackedAdapter } from '../../../engine/lora/packed-adapter.ts';
import { TENSOR } from '../../../engine/lora/random-f16.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { fromHalf } from '../../../engine/tensor-files/half.ts';
import { GROUPS, groupShapes } from '../../../engine/transformer/dimensions.ts';
import { weightLayouts } from '../../../engine/transformer/weight-layouts.ts';
import { allocateWeights, fillWeights, type Weights } from '../../../engine/transformer/weights.ts';
import { testDevice } from '../../support/device.ts';
import { adapterInMemory, SMALL, unpack, type Wanted } from './adapter-in-memory.ts';

const g = SMALL;
const LAYOUTS = weightLayouts(g, 'f16', true);
const PATH = '/adapters/in-memory';
let device: GPUDevice;
let compiler: KernelCompiler;
let random: RandomWeights;
beforeAll(async () => {
  ({ device } = await testDevice());
  compiler = new KernelCompiler(device);
  random = await RandomWeights.create(compiler);
});

function freshWeights(): Weights {
  const weights = allocateWeights(device, g, LAYOUTS);
  fillWeights(device, random, weights, g, 3);
  return weights;
}

/** f16 bits [n / 32][k / 2][32][2] of every group of every layer. */
async function bitsOf(weights: Weights): Promise<Uint16Array[]> {
  const copies = weights.layers
    .flatMap((layer) => GROUPS.map((group) => layer[group]))
    .map((buffer) => {
      const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
      device.queue.submit([encoder.finish()]);
      return copy;
    });
  return Promise.all(
    copies.map(async (copy) => {
      await copy.mapAsync(GPUMapMode.READ);
      const bits = new Uint16Array(copy.getMappedRange().slice(0));
      copy.destroy();
      return bits;
    }),
  );
}

const at = (column: number, i: number, k: number): number =>
  2 * ((Math.floor(column / 32) * (k / 2) + Math.floor(i / 2)) * 32 + (column % 32)) + (i % 2);

const fold = (weights: Weights, packed: PackedAdapter, software: boolean, report?: () => void) =>
  foldAdapter({ compiler, geometry: g, weights, software, path: PATH, ...(report ? { report } : {}) }, packed);

/** Every element against the image's own numbers. */
function expectMerged(packed: PackedAdapter, before: Uint16Array[], after: Uint16Array[]): void {
  const shapes = groupShapes(g);
  for (let layer = 0; layer < g.layers; layer++) {
    GROUPS.forEach((group, i) => {
      const { k, n, slices } = shapes[group];
      const [old, got] = [before[layer * GROUPS.length + i]!, after[layer * GROUPS.length + i]!];
      const seen = new Set<number>();
      for (const { tensor, at: first, columns } of slices) {
        const module = MODULES.find((name) => TENSOR[name] === tensor)!;
        const adapter = unpack(packed, g, layer, module);
        for (let row = 0; row < columns; row++) {
          seen.add(first + row);
          const sums = Array.from({ length: k }, (_, c) => {
            let change = 0;
            for (let r = 0; r < packed.rank; r++) change += packed.scale * adapter.b(row, r) * adapter.a(r, c);
            return fromHalf(old[at(first + row, c, k)]!) + change;
          });
          const m = adapter.magnitude(row);
          const scale = Number.isNaN(m) ? 1 : m / Math.sqrt(sums.reduce((sum, v) => sum + v * v, 0));
          sums.forEach((sum, c) => {
            const want = scale * sum;
            const value = fromHalf(got[at(first + row, c, k)]!);
            if (!(Math.abs(value - want) <= Math.max(2 ** -25, 2 ** -11 * Math.abs(want)) + 4e-6))
              throw new Error(`layer ${layer}, ${module}[${row}, ${c}]: ${value}, not ${want}`);
          });
        }
      }
      for (let column = 0; column < n; column++) {
        if (seen.has(column)) continue;
        for (let c = 0; c < k; c++) if (got[at(column, c, k)] !== 0) throw new Error(`padding ${column} is not 0`);
      }
    });
  }
}

const KINDS: [string, Wanted[]][] = [
  [
    'every module of every layer, ranks 1 to 7',
    [0, 1].flatMap((layer) => MODULES.map((module, i) => ({ layer, module, rank: 1 + i, scale: 0.5 }))),
  ],
  [
    'a few modules, ranks across pages, scales that differ',
    [
      { layer: 0, module: 'v', rank: 17, scale: 0.25 },
      { layer: 0, module: 'up', rank: 3, scale: -1 },
      { layer: 1, module: 'o', rank: 9, scale: 0.5 },
    ],
  ],
  [
    'DoRA in some modules beside LoRA in others',
    [
      { layer: 0, module: 'q', rank: 4, scale: 0.5, magnitude: (row) => 0.5 + (row % 9) / 8 },
      { layer: 0, module: 'k', rank: 4, scale: 0.5 },
      { layer: 1, module: 'down', rank: 11, scale: 1, magnitude: (row) => 3 - row / 50 },
    ],
  ],
];

describe.each([true, false])('software %s', (software) => {
  it.each(KINDS)('%s', async (_, wanted) => {
    const packed = await packAdapter(adapterInMemory(g, wanted), g);
    const weights = freshWeights();
    const before = await bitsOf(weights);
    let told = 0;
    await fold(weights, packed, software, () => told++);
    const after = await bitsOf(weights);
    expect(told).toBe(g.layers);
    expectMerged(packed, before, after);
    for (let layer = 0; layer < g.layers; layer++) {
      if (wanted.some((one) => one.layer === layer)) continue;
      const own = (all: Uint16Array[]) => all.slice(layer * GROUPS.length, (layer + 1) * GROUPS.length);
      expect(own(after)).toEqual(own(before));
    }
  });

  it('one from a seed', async () => {
    const packed = packSynthetic({ rank: 12, seed: 8 }, g);
    const weights = freshWeights();
    const before = await bitsOf(weights);
    await fold(weights, packed, software);
    expectMerged(packed, before, await bitsOf(weights));
  });
});

it('keeps every bit of what no module changes', async () => {
  const packed = await packAdapter(adapterInMemory(g, [{ layer: 1, module: 'k', rank: 2, scale: 1 }]), g);
  const weights = freshWeights();
  const before = await bitsOf(weights);
  await fold(weights, packed, true);
  const after = await bitsOf(weights);
  after.forEach((bits, i) => {
    if (i !== GROUPS.length + GROUPS.indexOf('qkv')) expect(bits).toEqual(before[i]);
  });
  const { k, slices } = groupShapes(g).qkv;
  const [, own] = slices;
  let changed = 0;
  for (let column = 0; column < own!.at + 2 * own!.columns; column++) {
    for (let c = 0; c < k; c++) {
      const same = after[GROUPS.length]![at(column, c, k)] === before[GROUPS.length]![at(column, c, k)];
      if (column < own!.at || column >= own!.at + own!.columns) expect(same).toBe(true);
      else if (!same) changed++;
    }
  }
  expect(changed).toBeGreaterThan((own!.columns * k) / 2);
});

describe('is refused', () => {
  const refusal = async (packed: PackedAdapter): Promise<string> => {
    const thrown = await fold(freshWeights(), packed, true).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(FileError);
    expect((thrown as FileError).path).toBe(PATH);
    return (thrown as FileError).problems.join('; ');
  };

  it('with a bias, before anything is changed', async () => {
    const packed = await packAdapter(
      adapterInMemory(g, [{ layer: 1, module: 'up', rank: 2, scale: 1, bias: true }]),
      g,
    );
    const weights = freshWeights();
    const before = await bitsOf(weights);
    await expect(fold(weights, packed, true)).rejects.toThrow(/layer 1, up: it has a bias .* dynamic mode/);
    expect(await bitsOf(weights)).toEqual(before);
  });

  it('when an element of the result is more than f16 holds', async () => {
    const packed = await packAdapter(
      adapterInMemory(g, [
        {
          layer: 1,
          module: 'v',
          rank: 1,
          scale: 1,
          spoil: ({ a, b }) => {
            a.fill(0.5).fill(300, 9, 10);
            b.fill(0.5).fill(300, 21, 22);
          },
        },
      ]),
      g,
    );
    expect(await refusal(packed)).toMatch(/^layer 1, v: merged into the base, element \[21, 9\] of its weights /);
  });

  it('when a row to be given a length has none', async () => {
    const spoil: Wanted['spoil'] = ({ b }) => b.fill(0);
    const one: Wanted = { layer: 0, module: 'gate', rank: 1, scale: 1, magnitude: () => 1, spoil };
    const packed = await packAdapter(adapterInMemory(g, [one]), g);
    const weights = allocateWeights(device, g, LAYOUTS); // all zeros
    await expect(fold(weights, packed, true)).rejects.toThrow(/layer 0, gate: merged into the base, element \[0, 0\]/);
  });

  it("when DoRA's m has already been replaced by column words", async () => {
    const packed = packSynthetic({ rank: 1, seed: 1 }, g);
    packed.layers[0]!.columns = new Uint32Array(GROUPS.reduce((sum, group) => sum + groupShapes(g)[group].n, 0)).fill(
      5,
    );
    await expect(fold(freshWeights(), packed, true)).rejects.toThrow(/as its file has it/);
  });
});
