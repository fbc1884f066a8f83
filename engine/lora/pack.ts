/**
 * An adapter's file, or a seed -> its image in host memory, laid out as the pools want it, so that putting it on the device is
 * copying. Runs in the loader thread; reads one module at a time, so that its f32 values are never all in memory at once.
 *
 * Layers and modules that the adapter lacks are zero, and so are ranks past a module's own.
 */
import type { AdapterFile, AdapterModule, ModuleWeights } from '../adapter-files/adapter.ts';
import type { Geometry } from '../models/geometry.ts';
import { moduleWidths } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { halvesOf } from '../tensor-files/half.ts';
import { GROUPS, type Group, type GroupShape, groupShapes, type Slice } from '../transformer/dimensions.ts';
import type { PackedAdapter, PackedLayer } from './packed-adapter.ts';
import { amplitudeOf, f16Bits, TENSOR, tensorKey } from './random-f16.ts';
import { RANKS_PER_PAGE } from './slots.ts';
import { SYNTHETIC_SCALE, type SyntheticSpec } from './synthetic.ts';

/** Below this, f16 loses bits of the larger values of a matrix to its smallest exponent. */
const SMALL = 2 ** -8;

/** @throws FileError with each module and layer whose shape, or a value of which f16 cannot hold */
export async function packAdapter(file: AdapterFile, geometry: Geometry): Promise<PackedAdapter> {
  const { path, modules, rank, kind, format } = file;
  const problems = modules.flatMap((module) => misfit(module, rank, geometry));
  if (problems.length > 0) throw new FileError(path, problems);
  const packer = new Packer(geometry, rank);
  const scale = modules.reduce((most, one) => (Math.abs(one.scale) > Math.abs(most) ? one.scale : most), 0);
  for (const module of modules) problems.push(...packer.add(module, await module.read(), scale));
  if (problems.length > 0) throw new FileError(path, problems);
  return packed(packer.layers, { kind, format, rank, scale });
}

/** What LoraPools.makeSynthetic makes on the device, to the bit. */
export function packSynthetic({ rank, seed }: SyntheticSpec, geometry: Geometry): PackedAdapter {
  const packer = new Packer(geometry, rank);
  packer.layers.forEach((_, layer) => {
    for (const group of GROUPS) {
      const { k, slices } = packer.shapes[group];
      for (const { tensor, columns } of slices) {
        const place = packer.find(tensor);
        const a = new Uint16Array(rank * k);
        const b = new Uint16Array(columns * rank);
        const [aKey, bKey] = [TENSOR.loraA, TENSOR.loraB].map((of) => tensorKey(seed, layer, of + tensor));
        const [aSize, bSize] = [amplitudeOf(k, 1), amplitudeOf(rank, 1)];
        for (let i = 0; i < a.length; i++) a[i] = f16Bits(i, aKey as number, aSize);
        for (let i = 0; i < b.length; i++) b[i] = f16Bits(i, bKey as number, bSize);
        packer.putA(layer, place, rank, a);
        packer.putB(layer, place, rank, b);
      }
    }
  });
  return packed(packer.layers, { kind: 'lora', format: 'synthetic', rank, scale: SYNTHETIC_SCALE });
}

function packed(layers: PackedLayer[], rest: Pick<PackedAdapter, 'kind' | 'format' | 'rank' | 'scale'>): PackedAdapter {
  const bytes = layers.reduce(
    (sum, { a, b, columns, magnitude }) =>
      sum + a.byteLength + b.byteLength + (columns?.byteLength ?? 0) + (magnitude?.byteLength ?? 0),
    0,
  );
  return { ...rest, layers, bytes };
}

function misfit(module: AdapterModule, rank: number, geometry: Geometry): string[] {
  const { layer, module: name } = module;
  const width = moduleWidths(geometry)[name];
  const where = `layer ${layer}, ${name}`;
  const problems: string[] = [];
  if (layer >= geometry.layers)
    problems.push(`${where}: expected layers 0 to ${geometry.layers - 1} of ${geometry.name}`);
  if (module.in !== width.in || module.out !== width.out) {
    problems.push(
      `${where}: expected ${width.in} wide in and ${width.out} out, as ${geometry.name} has it, found ${module.in} and ${module.out}`,
    );
  }
  if (module.rank < 1 || module.rank > rank)
    problems.push(`${where}: expected a rank from 1 to ${rank}, found ${module.rank}`);
  return problems;
}

/** Where a module's weights go. */
interface Target {
  group: Group;
  shape: GroupShape;
  slice: Slice;
  index: number;
  /** First word of the group's pages in an image's a and b, and of its columns. */
  aAt: number;
  bAt: number;
  columnsAt: number;
}

class Packer {
  readonly layers: PackedLayer[];
  readonly shapes: Record<Group, GroupShape>;
  private readonly columns: number;
  private readonly targets: Target[] = [];

  constructor(geometry: Geometry, rank: number) {
    this.shapes = groupShapes(geometry);
    const ranks = Math.ceil(rank / RANKS_PER_PAGE) * RANKS_PER_PAGE;
    let aAt = 0;
    let bAt = 0;
    let columnsAt = 0;
    for (const group of GROUPS) {
      const shape = this.shapes[group];
      const first = { aAt, bAt, columnsAt };
      this.targets.push(...shape.slices.map((slice, index) => ({ group, shape, slice, index, ...first })));
      aAt += (ranks * shape.slices.length * shape.k) / 2;
      bAt += (ranks * shape.n) / 2;
      columnsAt += shape.n;
    }
    this.columns = columnsAt;
    this.layers = Array.from({ length: geometry.layers }, () => ({
      a: new Uint32Array(aAt),
      b: new Uint32Array(bAt),
      columns: null,
      magnitude: null,
    }));
  }

  find(tensor: number): Target {
    return this.targets.find(({ slice }) => slice.tensor === tensor) as Target;
  }

  /** @returns what f16 cannot hold of it */
  add(module: AdapterModule, weights: ModuleWeights, scale: number): string[] {
    const { layer, rank, module: name } = module;
    const target = this.find(TENSOR[name]);
    const where = `layer ${layer}, ${name}`;
    const ratio = module.scale === scale ? 1 : module.scale / scale;
    const b = ratio === 1 ? weights.b : weights.b.map((value) => value * ratio);
    const [aSize, bSize] = balanced(weights.a, b);
    const aBits = halves(weights.a, aSize);
    const bBits = halves(b, bSize);
    const bias = weights.bias?.map((value) => value * module.scale) ?? null;
    const biasBits = bias && halves(bias, 1);
    const problems = [
      ...unheld(aBits.wrong, weights.a, module.in, `${where}: A`, ''),
      ...unheld(
        bBits.wrong,
        b,
        rank,
        `${where}: B`,
        ratio === 1 ? '' : ` (B times ${ratio}, its scale beside the largest)`,
      ),
      ...unheld(biasBits?.wrong ?? -1, bias ?? [], 1, `${where}: bias times scale`, ''),
    ];
    if (problems.length > 0) return problems;
    this.putA(layer, target, rank, aBits.bits);
    this.putB(layer, target, rank, bBits.bits);
    const image = this.layers[layer] as PackedLayer;
    const first = target.columnsAt + target.slice.at;
    if (biasBits) {
      image.columns ??= new Uint32Array(this.columns);
      for (let i = 0; i < biasBits.bits.length; i++) image.columns[first + i] = (biasBits.bits[i] as number) << 16;
    }
    if (weights.magnitude) {
      image.magnitude ??= new Float32Array(this.columns).fill(Number.NaN);
      image.magnitude.set(weights.magnitude, first);
    }
    return [];
  }

  /** @param bits [rank, in] */
  putA(layer: number, { shape: { k, slices }, index, aAt }: Target, rank: number, bits: Uint16Array): void {
    const into = new Uint16Array((this.layers[layer] as PackedLayer).a.buffer);
    for (let r = 0; r < rank; r++) {
      const page = Math.floor(r / RANKS_PER_PAGE);
      const line = (page * slices.length + index) * RANKS_PER_PAGE + (r % RANKS_PER_PAGE);
      into.set(bits.subarray(r * k, (r + 1) * k), 2 * aAt + line * k);
    }
  }

  /** @param bits [out, rank] */
  putB(layer: number, { shape: { n }, slice, bAt }: Target, rank: number, bits: Uint16Array): void {
    const into = (this.layers[layer] as PackedLayer).b;
    for (let r = 0; r < rank; r += 2) {
      const line = bAt + (r / 2) * n + slice.at;
      const paired = r + 1 < rank;
      for (let row = 0, from = r; row < slice.columns; row++, from += rank) {
        into[line + row] = (bits[from] as number) | (paired ? (bits[from + 1] as number) << 16 : 0);
      }
    }
  }
}

/**
 * Powers of two to multiply A and B by, whose product is 1: both 1, but where one of them is so small that f16 would cut its
 * values short; then the two are made about equally large. Trained B, and VeRA's with its vectors folded in, often are.
 */
function balanced(a: Float32Array, b: Float32Array): [number, number] {
  const [aMost, bMost] = [largest(a), largest(b)];
  const smaller = Math.min(aMost, bMost);
  const larger = Math.max(aMost, bMost);
  if (smaller >= SMALL || smaller === 0 || !(larger < 65504)) return [1, 1];
  const shift = Math.round(Math.log2(bMost / aMost) / 2);
  return [2 ** shift, 2 ** -shift];
}

function largest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i] as number);
    if (size > most) most = size;
  }
  return most;
}

/** f16 bits of the values times a factor; `wrong` is the index of the first that does not fit, or -1. */
function halves(values: Float32Array, factor: number): { bits: Uint16Array; wrong: number } {
  const bits = new Uint16Array(values.length);
  const scaled = factor === 1 ? values : values.map((value) => value * factor);
  const wrong = halvesOf(new Uint8Array(scaled.buffer, scaled.byteOffset, scaled.byteLength), 'f32', bits, 0);
  return { bits, wrong };
}

function unheld(wrong: number, values: ArrayLike<number>, width: number, what: string, note: string): string[] {
  if (wrong < 0) return [];
  const place = width === 1 ? `${wrong}` : `${Math.floor(wrong / width)}, ${wrong % width}`;
  return [`${what}[${place}] is ${values[wrong]}${note}; expected what f16 can hold, at most 65504 either way`];
}
