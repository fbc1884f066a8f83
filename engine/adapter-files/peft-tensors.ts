/**
 * The tensors of a PEFT adapter's file, sorted by the projection and the part each one is: a TensorFile in; out, one set of
 * parts a projection, and every name that has no place.
 */
import type { ModuleName } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted, told } from '../tensor-files/problems.ts';
import type { StoredTensor, TensorFile } from '../tensor-files/tensor.ts';
import { EXAMPLE_KEY, type Part, parsePeftKey } from './peft-keys.ts';

/** The tensors of one projection in one layer. */
export type Parts = Partial<Record<Part, StoredTensor>> & { layer: number; module: ModuleName };

export interface SortedTensors {
  /** By moduleKey(). */
  modules: Map<string, Parts>;
  /** VeRA's. */
  shared: { a?: StoredTensor; b?: StoredTensor };
  /** One more than the highest layer. */
  layers: number;
  problems: string[];
  notes: string[];
}

export const moduleKey = (layer: number, module: ModuleName): string => `${layer}.${module}`;

/** No Llama model has nearly so many; a file that claims more would cost time for nothing. */
const MOST_LAYERS = 4096;

/** @throws FileError when not one tensor has a place */
export function sortTensors(folder: string, file: TensorFile): SortedTensors {
  const sorted: SortedTensors = { modules: new Map(), shared: {}, layers: 0, problems: [], notes: [] };
  const adapters = new Set<string>();
  const ignored = new Map<string, number>();
  const strange: string[] = [];
  const place = (tensor: StoredTensor): void => {
    const key = parsePeftKey(tensor.name);
    if (key.kind === 'ignored') ignored.set(key.why, (ignored.get(key.why) ?? 0) + 1);
    else if (key.kind === 'problem') (key.named ? sorted.problems : strange).push(key.problem);
    else if (key.kind === 'module' && key.layer >= MOST_LAYERS) {
      sorted.problems.push(`tensor ${quoted(tensor.name)}: expected a layer below ${MOST_LAYERS}`);
    } else {
      if (key.adapter !== null) adapters.add(key.adapter);
      const parts = key.kind === 'shared' ? sorted.shared : partsOf(sorted, key.layer, key.module);
      const before = parts[key.part as 'a' | 'b'];
      if (before) sorted.problems.push(`tensors ${quoted(before.name)} and ${quoted(tensor.name)} are the same part`);
      parts[key.part as 'a' | 'b'] = tensor;
    }
  };
  for (const tensor of file.tensors.values()) place(tensor);
  for (const other of file.others.values()) {
    if (parsePeftKey(other.name).kind === 'ignored') continue;
    sorted.problems.push(`tensor ${quoted(other.name)}: expected float32, float16 or bfloat16, found ${other.dtype}`);
  }
  if (sorted.modules.size === 0) throw nothingMatched(folder, file, sorted, strange);
  if (adapters.size > 1) {
    const names = [...adapters].slice(0, 8).map(quoted).join(', ');
    sorted.problems.push(
      `the names of ${adapters.size} adapters are in the tensors' names: expected one, found ${names}`,
    );
  }
  sorted.problems.push(...strange);
  for (const [why, count] of ignored) sorted.notes.push(`${count} tensors ignored: ${why}`);
  return sorted;
}

function partsOf(sorted: SortedTensors, layer: number, module: ModuleName): Parts {
  const key = moduleKey(layer, module);
  const parts: Parts = sorted.modules.get(key) ?? { layer, module };
  sorted.modules.set(key, parts);
  sorted.layers = Math.max(sorted.layers, layer + 1);
  return parts;
}

/** A wrong prefix puts every name off; elsewhere that is known for silently serving the base model. */
function nothingMatched(folder: string, file: TensorFile, sorted: SortedTensors, strange: string[]): FileError {
  const names = [...file.tensors.keys()];
  if (strange.length === 0 && sorted.problems.length > 0) return new FileError(folder, told(sorted.problems));
  const found =
    names.length === 0 ? 'no tensors' : `${names.length}, such as ${names.slice(0, 3).map(quoted).join(', ')}`;
  const problem = `no tensor belongs to a projection of a Llama model: expected names such as ${EXAMPLE_KEY}, found ${found}`;
  return new FileError(folder, told([problem, ...sorted.problems]));
}
