/**
 * Adapters on the device: every page of every layer holds the bits it should, where the kernels look, and nothing else is
 * touched; DoRA's g is that of the base weights, computed once and kept.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { foldColumns } from '../../../engine/kernels/fold.ts';
import { KernelCompiler } from '../../../engine/kernels/kernel.ts';
import { RandomWeights } from '../../../engine/kernels/random-weights.ts';
import { FoldGroup } from '../../../engine/lora/fold-group.ts';
import { packAdapter, packSynthetic } from '../../../engine/lora/pack.ts';
import type { PackedAdapter } from '../../../engine/lora/packed-adapter.ts';
import type { Place } from '../../../engine/lora/place.ts';
import { LoraPools } from '../../../engine/lora/pools.ts';
import { amplitudeOf, f16Bits, f16Value, TENSOR, tensorKey } from '../../../engine/lora/random-f16.ts';
import { AdapterSlots, pagesFor, RANKS_PER_PAGE, type ResidentAdapter } from '../../../engine/lora/slots.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import { MODULES, type ModuleName } from '../../../engine/models/projections.ts';
import { GROUPS, groupShapes, loraLayout } from '../../../engine/transformer/dimensions.ts';
import { weightLayouts } from '../../../engine/transformer/weight-layouts.ts';
import { allocateWeights, fillWeights, type Weights } from '../../../engine/transformer/weights.ts';
import { testDevice } from '../../support/device.ts';
import { adapterInMemory, SMALL, unpack, type Wanted } from './adapter-in-memory.ts';

const MAX_RANK = 24;
const SLOTS = 3;
const SEED = 5;
const geometry = SMALL;
const layout = loraLayout(geometry, pagesFor(SLOTS, MAX_RANK), MAX_RANK, SLOTS);
const layouts = weightLayouts(geometry, 'f16', true);
const FILLER = 0x5eedc0de;

let device: GPUDevice;
let random: RandomWeights;
let columns: FoldGroup;
let weights: Weights;
beforeAll(async () => {
  const open = await testDevice();
  device = open.device;
  const compiler = new KernelCompiler(device);
  random = await RandomWeights.create(compiler);
  columns = await FoldGroup.create(compiler, foldColumns, geometry, layout, layouts.projections, open.software);
  weights = allocateWeights(device, geometry, layouts);
  fillWeights(device, random, weights, geometry, SEED);
});

/** Pools full of what nobody wrote. */
function makePools(): LoraPools {
  const pools = new LoraPools(device, geometry, layout, { random, columns, weights });
  for (const { a, b } of pools.layers) {
    for (const buffer of [a, b]) device.queue.writeBuffer(buffer, 0, new Uint32Array(buffer.size / 4).fill(FILLER));
  }
  return pools;
}

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
async function expectAdapter(pools: LoraPools, adapter: Place, seed: number) {
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

const add = (slots: AdapterSlots, rank: number, hasColumns = false): ResidentAdapter =>
  slots.add(`adapter ${slots.list().length}`, 'test', rank, 0.5, hasColumns)!;

/** Everything in the pools, by layer. */
const everything = async (pools: LoraPools): Promise<Uint32Array[]> =>
  Promise.all(
    pools.layers.flatMap(({ a, b }) => [a, b]).map(async (buffer) => new Uint32Array((await read(buffer)).buffer)),
  );

it('hold each adapter in its own pages, and a later one in the pages of one that is gone', async () => {
  const slots = new AdapterSlots(SLOTS, MAX_RANK);
  const pools = makePools();
  const load = (rank: number, seed: number): ResidentAdapter => {
    const adapter = slots.add(`rank ${rank}`, 'test', rank, 0.5)!;
    pools.makeSynthetic(adapter, seed);
    return adapter;
  };
  device.pushErrorScope('validation');
  const gone = load(24, 1);
  const odd = load(7, 2);
  await expectAdapter(pools, gone, 1);
  await slots.remove('rank 24');
  const small = load(1, 3);
  const middle = load(12, 4);
  expect(gone.pages).toEqual(expect.arrayContaining([...small.pages, ...middle.pages]));
  await expectAdapter(pools, odd, 2);
  await expectAdapter(pools, small, 3);
  await expectAdapter(pools, middle, 4);
  expect(await device.popErrorScope()).toBeNull();
});

it('count the bytes an adapter takes by its pages, and a word a column where it has those', () => {
  const pools = makePools();
  const perRank = GROUPS.reduce((sum, group) => {
    const { k, n, slices } = groupShapes(geometry)[group];
    return sum + 2 * (slices.length * k + n);
  }, 0);
  expect([1, 8, 9, 24].map((rank) => pools.bytesOf(rank))).toEqual(
    [8, 8, 16, 24].map((ranks) => ranks * perRank * geometry.layers),
  );
  const wide = GROUPS.reduce((sum, group) => sum + groupShapes(geometry)[group].n, 0);
  expect(pools.bytesOf(9, true) - pools.bytesOf(9)).toBe(4 * wide * geometry.layers);
});

it('are not there without slots', () => {
  const none = loraLayout(geometry, 0, MAX_RANK, 0);
  expect(none).toMatchObject({ aWords: 0, bWords: 0 });
  expect(new LoraPools(device, geometry, none, { random, columns: null, weights }).layers).toEqual([]);
});

describe('an image', () => {
  const scattered = async (): Promise<ResidentAdapter> => {
    const slots = new AdapterSlots(SLOTS, MAX_RANK);
    const [first] = [add(slots, 8), add(slots, 17)];
    await slots.remove(first.name);
    return slots.add('wanted', 'test', 21, 0.5)!;
  };

  it('of a seed ends in the bits that are made on the device, whatever pages it gets', async () => {
    const place = await scattered();
    expect(place.pages.slice(1).map((page, i) => page - place.pages[i]!)).not.toEqual([1, 1]);
    const [made, sent] = [makePools(), makePools()];
    made.makeSynthetic(place, 9);
    const packed = packSynthetic({ rank: 21, seed: 9 }, geometry);
    const costs = [...sent.upload(place, packed)];
    await expectAdapter(sent, place, 9);
    // The device leaves padded columns of B alone, which no kernel reads; an image zeroes them.
    const shapes = groupShapes(geometry);
    const [a, b] = [await everything(made), await everything(sent)];
    b.forEach((words, i) => {
      const differ = words.filter((word, at) => word !== a[i]![at]);
      expect(differ.every((word) => word === 0)).toBe(true);
      const padded = GROUPS.reduce((sum, group) => {
        const { n, slices } = shapes[group];
        return sum + n - slices.reduce((used, slice) => used + slice.columns, 0);
      }, 0);
      expect(differ.length).toBe(i % 2 === 0 ? 0 : padded * 4 * place.pages.length);
    });
    expect(costs.reduce((sum, cost) => sum + cost, 0)).toBe(packed.bytes);
    expect(sent.bytesOf(21)).toBe(packed.bytes);
  });

  it('goes in slices of at most 2 MiB, each queued when it is asked for', async () => {
    const wide: Geometry = { ...geometry, hidden: 4096, heads: 32, kvHeads: 8, intermediate: 8192 };
    const big = loraLayout(wide, 3, MAX_RANK, 1);
    const pools = new LoraPools(device, wide, big, { random, columns: null, weights });
    const slots = new AdapterSlots(1, MAX_RANK);
    const costs: number[] = [];
    const slices = pools.upload(add(slots, 24), packSynthetic({ rank: 24, seed: 1 }, wide));
    const head = async () => (await read(pools.layers[0]!.a))[0];
    expect(await head()).toBe(0);
    for (const cost of slices) {
      if (costs.length === 0) expect(await head()).not.toBe(0);
      costs.push(cost);
    }
    expect(costs.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...costs)).toBeLessThanOrEqual(2 * 2 ** 20);
    expect(costs.reduce((sum, cost) => sum + cost, 0)).toBe(pools.bytesOf(24));
    for (const { a, b } of pools.layers) for (const buffer of [a, b]) buffer.destroy();
  });

  it('touches no word that is not of its pages, its slot or padding', async () => {
    const place = await scattered();
    const pools = makePools();
    const file = adapterInMemory(geometry, [{ layer: 0, module: 'k', rank: 21, scale: 1, bias: true }]);
    for (const _ of pools.upload({ ...place, hasColumns: true }, await packAdapter(file, geometry)));
    const shapes = groupShapes(geometry);
    const own = { a: new Set<number>(), b: new Set<number>() };
    const mark = (into: Set<number>, from: number, count: number) => {
      for (let i = from; i < from + count; i++) into.add(i);
    };
    for (const group of GROUPS) {
      const { k, n, slices } = shapes[group];
      const { aAt, bAt } = layout.groups[group];
      for (const page of place.pages) {
        mark(own.a, aAt + page * slices.length * 4 * k, slices.length * 4 * k);
        mark(own.b, bAt + page * 4 * n, 4 * n);
      }
    }
    mark(own.b, layout.columnsAt + place.slot * layout.columnWords, layout.columnWords);
    (await everything(pools)).forEach((words, i) => {
      const mine = i % 2 === 0 ? own.a : own.b;
      words.forEach((word, at) => {
        if (!mine.has(at) && word !== FILLER) throw new Error(`buffer ${i}, word ${at} is somebody else's`);
      });
      expect(words.filter((word, at) => mine.has(at) && word === FILLER)).toHaveLength(0);
    });
  });

  it('does not go into a place of another rank, or one without the column words it needs', async () => {
    const slots = new AdapterSlots(SLOTS, MAX_RANK);
    const pools = makePools();
    const start = (place: ResidentAdapter, packed: PackedAdapter) => () => pools.upload(place, packed).next();
    expect(start(add(slots, 8), packSynthetic({ rank: 9, seed: 1 }, geometry))).toThrow(/rank 9.*place of rank 8/);
    const biased = adapterInMemory(geometry, [{ layer: 0, module: 'k', rank: 8, scale: 1, bias: true }]);
    expect(start(add(slots, 8), await packAdapter(biased, geometry))).toThrow(/does not go into a place/);
  });
});

describe("DoRA's g", () => {
  const DORA: Wanted[] = [
    { layer: 0, module: 'q', rank: 5, scale: 0.5, magnitude: (row) => 0.9 + row / 500 },
    { layer: 0, module: 'v', rank: 9, scale: 0.5, magnitude: (row) => 1 + (row % 7) / 50 },
    { layer: 0, module: 'up', rank: 2, scale: 2 },
    { layer: 0, module: 'down', rank: 9, scale: 0.5, magnitude: () => 1.5, bias: true },
  ];

  /** W[row][column] as fillWeights() makes it. */
  const base = (module: ModuleName, layer: number, k: number) => {
    const { gain } = GROUPS.flatMap((group) => groupShapes(geometry)[group].slices).find(
      ({ tensor }) => tensor === TENSOR[module],
    )!;
    const [key, amplitude] = [tensorKey(SEED, layer, TENSOR[module]), amplitudeOf(k, gain)];
    return (row: number, column: number) => f16Value(f16Bits(row * k + column, key, amplitude));
  };

  const prepared = async (wanted = DORA, seed = 1) => {
    const packed = await packAdapter(adapterInMemory(geometry, wanted, seed, 'dora'), geometry);
    const slots = new AdapterSlots(SLOTS, MAX_RANK);
    add(slots, 3);
    return { packed, slots, place: slots.add('dora', 'test', packed.rank, packed.scale, true)! };
  };

  const expectRight = (packed: PackedAdapter, words: Uint32Array<ArrayBuffer>[]): void => {
    const image = { ...packed, layers: packed.layers.map((layer, i) => ({ ...layer, columns: words[i]! })) };
    for (let layer = 0; layer < geometry.layers; layer++) {
      for (const module of MODULES) {
        const got = unpack(image, geometry, layer, module);
        const given = unpack(packed, geometry, layer, module);
        const w = base(module, layer, got.k);
        for (let row = 0; row < got.out; row++) {
          const m = given.magnitude(row);
          expect(got.bias(row)).toBe(given.bias(row));
          if (Number.isNaN(m)) {
            expect(got.g1(row)).toBe(0);
            continue;
          }
          let squares = 0;
          for (let c = 0; c < got.k; c++) {
            let v = w(row, c);
            for (let r = 0; r < packed.rank; r++) v += packed.scale * given.b(row, r) * given.a(r, c);
            squares += v * v;
          }
          const g1 = m / Math.sqrt(squares) - 1;
          // Rounding to f16's eleven bits, and f32's sums (fold.test.ts has their exact bounds).
          expect(Math.abs(got.g1(row) - g1)).toBeLessThan(2 ** -11 * Math.abs(g1) + 1e-5);
        }
      }
    }
  };

  it('is m over the length of each row of W + scale · B · A, and 1 where a module has no m', async () => {
    const { packed, place } = await prepared();
    const pools = makePools();
    const costs = [...pools.upload(place, packed)];
    expectRight(packed, await pools.readColumns(place));
    // Layer 0 in whole slices, then four dispatches; layer 1, which has no m, with its words.
    expect(costs.length).toBe(1 + GROUPS.length + 1);
    expect(Math.min(...costs)).toBeGreaterThan(0);
  });

  it('leaves the base weights as they are', async () => {
    const { packed, place } = await prepared();
    const weightBits = () => Promise.all(GROUPS.map((group) => read(weights.layers[0]![group])));
    const before = await weightBits();
    for (const _ of makePools().upload(place, packed));
    expect(await weightBits()).toEqual(before);
  });

  it('comes back in an image that needs no computation, and ends in the same words', async () => {
    const { packed, place } = await prepared();
    const [first, second] = [makePools(), makePools()];
    for (const _ of first.upload(place, packed));
    const words = await first.readColumns(place);
    const layers = packed.layers.map((layer, i) => ({ ...layer, columns: words[i]!, magnitude: null }));
    const costs = [...second.upload(place, { ...packed, layers })];
    expect(costs.reduce((sum, cost) => sum + cost, 0)).toBe(second.bytesOf(packed.rank, true));
    expect(await everything(second)).toEqual(await everything(first));
  });

  it('of two adapters whose uploads take turns is that of each', async () => {
    const one = await prepared(DORA, 1);
    const two = await prepared(
      DORA.map((wanted) => ({ ...wanted, rank: 3 })),
      2,
    );
    const place = one.slots.add('two', 'test', two.packed.rank, two.packed.scale, true)!;
    const pools = makePools();
    const uploads = [pools.upload(one.place, one.packed), pools.upload(place, two.packed)];
    while (uploads.map((upload) => upload.next().done).includes(false));
    expectRight(one.packed, await pools.readColumns(one.place));
    expectRight(two.packed, await pools.readColumns(place));
  });

  it('does not outlive its adapter: one that has it in fewer places gets 1 in the others', async () => {
    const { packed, place } = await prepared();
    const pools = makePools();
    for (const _ of pools.upload(place, packed));
    const later = await prepared([{ layer: 1, module: 'k', rank: 9, scale: 1, magnitude: () => 2 }]);
    expect(later.place.slot).toBe(place.slot);
    for (const _ of pools.upload(later.place, later.packed));
    expectRight(later.packed, await pools.readColumns(later.place));
  });

  it('that is no number is told, with layer, module and row', async () => {
    // -W on one row of k, so that nothing is left of it.
    const w = base('k', 1, geometry.hidden);
    const row = 17;
    const spoil: Wanted['spoil'] = ({ a, b }) => {
      a.forEach((_, c) => {
        a[c] = w(row, c);
      });
      b.fill(0);
      b[row] = -1;
    };
    const { packed, place } = await prepared([{ layer: 1, module: 'k', rank: 1, scale: 1, magnitude: () => 2, spoil }]);
    const pools = makePools();
    for (const _ of pools.upload(place, packed));
    await expect(pools.readColumns(place)).rejects.toThrow(/layer 1, k: row 17 of W \+ scale · B · A/);
  });
});
