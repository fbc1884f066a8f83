/**
 * How large a base model's projections are, row by row: what made adapters are measured by, so that what they add is a
 * known share of it. In: a geometry, and the folder of its weights when there is one. Out: norms of the rows of each weight.
 *
 * A folder's are read from its files, in pieces and each tensor once. Random weights are not made for this: every row's
 * norm is then the gain that they are made with, up to the noise of so many values.
 */
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, type ModuleName, moduleWidths } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { openShardedSafetensors } from '../tensor-files/sharded.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';

/** Of random base weights (transformer/dimensions.ts): 1 but for these. */
const RANDOM_GAINS: Partial<Record<ModuleName, number>> = { q: 2, k: 2 };
/** Rows looked at for a typical norm: their mean square is known to some percent then, and little is read. */
const SAMPLED_ROWS = 64;
const PIECE_ELEMENTS = 2 ** 22;

export interface BaseNorms {
  /** Norm of every row of a projection's weight: [out]. @throws FileError */
  rows(layer: number, module: ModuleName): Promise<Float32Array>;
  /** Root mean square of them, from some. @throws FileError */
  typical(layer: number, module: ModuleName): Promise<number>;
  close(): Promise<void>;
}

/** @param folder of the base's weights; null: they are random. @throws FileError when the folder has no readable weights */
export async function openBaseNorms(geometry: Geometry, folder: string | null): Promise<BaseNorms> {
  return folder === null ? randomNorms(geometry) : fileNorms(geometry, folder);
}

function randomNorms(geometry: Geometry): BaseNorms {
  const widths = moduleWidths(geometry);
  const gain = (module: ModuleName) => RANDOM_GAINS[module] ?? 1;
  return {
    rows: async (_, module) => new Float32Array(widths[module].out).fill(gain(module)),
    typical: async (_, module) => gain(module),
    close: async () => {},
  };
}

async function fileNorms(geometry: Geometry, folder: string): Promise<BaseNorms> {
  const file = await openShardedSafetensors(folder);
  const widths = moduleWidths(geometry);
  const known = { rows: new Map<string, Promise<Float32Array>>(), typical: new Map<string, Promise<number>>() };

  const tensorOf = (layer: number, module: ModuleName): StoredTensor => {
    const name = `model.layers.${layer}.${HUGGING_FACE_NAMES[module]}.weight`;
    const tensor = file.tensors.get(name);
    if (tensor === undefined) throw new FileError(folder, `has no tensor "${name}"`);
    const { in: inputs, out } = widths[module];
    if (tensor.shape.length !== 2 || tensor.shape[0] !== out || tensor.shape[1] !== inputs) {
      const problem = `tensor "${name}": expected [${out}, ${inputs}], found [${tensor.shape.join(', ')}]`;
      throw new FileError(folder, problem);
    }
    return tensor;
  };
  const remembered = <T>(map: Map<string, Promise<T>>, layer: number, module: ModuleName, make: () => Promise<T>) => {
    const key = `${layer} ${module}`;
    const value = map.get(key) ?? make();
    map.set(key, value);
    return value;
  };

  return {
    rows: (layer, module) => remembered(known.rows, layer, module, () => rowNorms(tensorOf(layer, module))),
    typical: (layer, module) =>
      remembered(known.typical, layer, module, async () => {
        const norms = await sampledNorms(tensorOf(layer, module));
        return Math.sqrt(norms.reduce((sum, norm) => sum + norm ** 2, 0) / norms.length);
      }),
    close: () => file.close(),
  };
}

async function rowNorms(tensor: StoredTensor): Promise<Float32Array> {
  const [rows = 0, width = 0] = tensor.shape;
  const norms = new Float32Array(rows);
  const rowsAtOnce = Math.max(1, Math.floor(PIECE_ELEMENTS / width));
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - row);
    const values = await tensor.read(row * width, count * width);
    for (let i = 0; i < count; i++) norms[row + i] = norm(values.subarray(i * width, (i + 1) * width));
  }
  return norms;
}

async function sampledNorms(tensor: StoredTensor): Promise<number[]> {
  const [rows = 0, width = 0] = tensor.shape;
  const count = Math.min(rows, SAMPLED_ROWS);
  const norms: number[] = [];
  for (let i = 0; i < count; i++) {
    norms.push(norm(await tensor.read(Math.floor((i * rows) / count) * width, width)));
  }
  return norms;
}

function norm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}
