/**
 * Adapters whose values a test chooses, as a reader would give them; and what a packed image stands for, read back by the
 * layout that packed-adapter.ts states. So packing, uploading and merging can be checked against plain numbers.
 */
import type { AdapterFile, AdapterKind, AdapterModule, ModuleWeights } from '../../../engine/adapter-files/adapter.ts';
import type { PackedAdapter } from '../../../engine/lora/packed-adapter.ts';
import { TENSOR } from '../../../engine/lora/random-f16.ts';
import { RANKS_PER_PAGE } from '../../../engine/lora/slots.ts';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { type ModuleName, moduleWidths } from '../../../engine/models/projections.ts';
import { fromHalf } from '../../../engine/tensor-files/half.ts';
import { GROUPS, groupShapes } from '../../../engine/transformer/dimensions.ts';
import { randomFrom } from '../kernels/random.ts';

/** Widths off the columns' padding, fewer KV heads than heads. */
export const SMALL: Geometry = {
  ...(geometryOf('llama-3-8b') as Geometry),
  name: 'small',
  layers: 2,
  hidden: 64,
  intermediate: 96,
  heads: 2,
  kvHeads: 1,
  headDim: 64,
  vocab: 128,
};

export interface Wanted {
  layer: number;
  module: ModuleName;
  rank: number;
  scale: number;
  /** DoRA's m; by default none. */
  magnitude?: (row: number) => number;
  bias?: boolean;
  /** What A and B are multiplied by; by default 1 over the square root of what they sum over. */
  size?: [number, number];
  /** Last change to the values. */
  spoil?: (weights: ModuleWeights) => void;
}

export interface InMemory extends AdapterFile {
  /** As read() gives them. */
  weightsOf(layer: number, module: ModuleName): { weights: ModuleWeights; scale: number; rank: number } | null;
}

export function adapterInMemory(
  g: Geometry,
  wanted: readonly Wanted[],
  seed = 1,
  kind: AdapterKind = 'lora',
): InMemory {
  const widths = moduleWidths(g);
  const made = wanted.map((one, i) => {
    const { layer, module, rank, scale, magnitude, bias = false, size } = one;
    const { in: k, out } = widths[module];
    const random = randomFrom(seed * 1000 + i);
    const [aSize, bSize] = size ?? [1 / Math.sqrt(k), 1 / Math.sqrt(rank)];
    const weights: ModuleWeights = {
      a: Float32Array.from({ length: rank * k }, () => aSize * random.signed()),
      b: Float32Array.from({ length: out * rank }, () => bSize * random.signed()),
      magnitude: magnitude ? Float32Array.from({ length: out }, (_, row) => magnitude(row)) : null,
      bias: bias ? Float32Array.from({ length: out }, () => random.signed()) : null,
    };
    one.spoil?.(weights);
    const entry: AdapterModule = {
      ...{ layer, module, rank, scale, alpha: null, in: k, out },
      hasMagnitude: weights.magnitude !== null,
      hasBias: bias,
      read: async () => weights,
    };
    return { entry, weights };
  });
  return {
    path: '/adapters/in-memory',
    format: 'peft',
    kind,
    base: null,
    rank: Math.max(...wanted.map(({ rank }) => rank)),
    modules: made.map(({ entry }) => entry),
    bytes: 0,
    notes: [],
    close: async () => {},
    weightsOf: (layer, module) => {
      const found = made.find(({ entry }) => entry.layer === layer && entry.module === module);
      return found ? { weights: found.weights, scale: found.entry.scale, rank: found.entry.rank } : null;
    },
  };
}

/** What an image says of one module: the slice of its group, and a reader for each kind of value. */
export interface Unpacked {
  k: number;
  out: number;
  a(r: number, column: number): number;
  b(row: number, r: number): number;
  /** f16(g - 1) and f16(bias); 0 where there are none. */
  g1(row: number): number;
  bias(row: number): number;
  /** NaN where there is none. */
  magnitude(row: number): number;
}

export function unpack(packed: PackedAdapter, g: Geometry, layer: number, module: ModuleName): Unpacked {
  const shapes = groupShapes(g);
  const ranks = Math.ceil(packed.rank / RANKS_PER_PAGE) * RANKS_PER_PAGE;
  const image = packed.layers[layer];
  if (!image) throw new Error(`the image has no layer ${layer}`);
  const a = new Uint16Array(image.a.buffer);
  const b = new Uint16Array(image.b.buffer);
  let [aAt, bAt, columnsAt] = [0, 0, 0];
  for (const group of GROUPS) {
    const { k, n, slices } = shapes[group];
    const index = slices.findIndex(({ tensor }) => tensor === TENSOR[module]);
    const slice = slices[index];
    if (slice) {
      const [aFrom, bFrom, first] = [aAt, bAt, columnsAt + slice.at];
      return {
        k,
        out: slice.columns,
        a: (r, column) => {
          const page = Math.floor(r / RANKS_PER_PAGE);
          return fromHalf(
            a[aFrom + ((page * slices.length + index) * RANKS_PER_PAGE + (r % RANKS_PER_PAGE)) * k + column]!,
          );
        },
        b: (row, r) => fromHalf(b[bFrom + 2 * (Math.floor(r / 2) * n + slice.at + row) + (r % 2)]!),
        g1: (row) => fromHalf((image.columns?.[first + row] ?? 0) & 0xffff),
        bias: (row) => fromHalf((image.columns?.[first + row] ?? 0) >>> 16),
        magnitude: (row) => image.magnitude?.[first + row] ?? Number.NaN,
      };
    }
    aAt += ranks * slices.length * k;
    bAt += ranks * n;
    columnsAt += n;
  }
  throw new Error(`no group has ${module}`);
}
