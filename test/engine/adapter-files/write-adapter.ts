/** Writes small adapters of known values for the tests of the readers. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type Geometry, PRESETS } from '../../../engine/models/geometry.ts';
import { HUGGING_FACE_NAMES, type ModuleName, moduleWidths } from '../../../engine/models/projections.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import type { DType } from '../../../engine/tensor-files/tensor.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { writeSafetensors } from '../../../engine/tensor-files/write-safetensors.ts';

/** No two widths are the same, so that no mix-up of them goes unnoticed. */
export const SMALL: Geometry = {
  ...PRESETS['llama-3-8b']!,
  name: 'small',
  hidden: 8,
  intermediate: 20,
  layers: 3,
  heads: 4,
  kvHeads: 2,
  headDim: 3,
};
export const WIDTHS = moduleWidths(SMALL);
export const PREFIX = 'base_model.model.';

const parent = await mkdtemp(join(tmpdir(), 'adapter-files-'));
afterAll(() => rm(parent, { recursive: true, force: true }));
let count = 0;

export async function newFolder(): Promise<string> {
  const folder = join(parent, `${count++}`);
  await mkdir(folder);
  return folder;
}

/** Values that every format holds exactly, different in each place and for each salt. */
export const values = (size: number, salt: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => (((i * 7 + salt * 13) % 31) - 15) / 8);

let salt = 0;
export function tensor(name: string, shape: number[], dtype: DType = 'f32', data?: Float32Array): TensorToWrite {
  const size = shape.reduce((product, side) => product * side, 1);
  return { name, dtype, shape, data: data ?? values(size, ++salt) };
}

export const moduleKey = (layer: number, module: ModuleName): string =>
  `model.layers.${layer}.${HUGGING_FACE_NAMES[module]}`;

/** lora_A and lora_B of a module. */
export function pair(
  layer: number,
  module: ModuleName,
  rank: number,
  dtype: DType = 'f32',
  prefix = PREFIX,
): TensorToWrite[] {
  const { in: width, out } = WIDTHS[module];
  const key = prefix + moduleKey(layer, module);
  return [tensor(`${key}.lora_A.weight`, [rank, width], dtype), tensor(`${key}.lora_B.weight`, [out, rank], dtype)];
}

/** Pairs of these modules in every layer. */
export const pairs = (modules: readonly ModuleName[], rank: number, layers = [0, 1, 2]): TensorToWrite[] =>
  layers.flatMap((layer) => modules.flatMap((module) => pair(layer, module, rank)));

export async function writeAdapter(config: object | string, tensors: readonly TensorToWrite[]): Promise<string> {
  const folder = await newFolder();
  await writeFile(join(folder, 'adapter_config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors);
  return folder;
}

export const numbers = (written: TensorToWrite): Float32Array => written.data as Float32Array;

/** The problems of the FileError that a promise ends in; a failure when it ends well or in another error. */
export async function problemsOf(promise: Promise<unknown>): Promise<readonly string[]> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof FileError) return error.problems;
    throw error;
  }
  throw new Error('expected a FileError, found none');
}
