/** How the readers of adapters word what they find wrong with layers and shapes. */
import { quoted } from '../tensor-files/problems.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';

/** "0-3, 7" of [7, 0, 1, 2, 3]. */
export function ranges(layers: Iterable<number>): string {
  const sorted = [...new Set(layers)].sort((x, y) => x - y);
  const runs: [number, number][] = [];
  for (const layer of sorted) {
    const last = runs.at(-1);
    if (last && layer === last[1] + 1) last[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

/** "layer 3" or "layers 0-3, 7". */
export function inLayers(layers: Iterable<number>): string {
  const list = [...layers];
  return `layer${new Set(list).size === 1 ? '' : 's'} ${ranges(list)}`;
}

/** What is wrong with a tensor's shape; a size that is not known is a word, such as "in", and takes any number. */
export function shapeProblem(tensor: StoredTensor, expected: readonly (number | string)[], why: string): string | null {
  const { shape } = tensor;
  const same =
    shape.length === expected.length && expected.every((size, i) => typeof size === 'string' || size === shape[i]);
  if (same) return null;
  return `tensor ${quoted(tensor.name)}: expected shape [${expected.join(', ')}] (${why}), found [${shape.join(', ')}]`;
}
