/** A column word's number within a layer -> the module and the output row it stands for, to name it in an error. */
import type { Geometry } from '../models/geometry.ts';
import type { ModuleName } from '../models/projections.ts';
import { MODULES } from '../models/projections.ts';
import { GROUPS, groupShapes } from '../transformer/dimensions.ts';
import { TENSOR } from './random-f16.ts';

/** @param column among those of all groups, as LoraLayout.groupColumns counts them */
export function columnPlace(geometry: Geometry, column: number): { module: ModuleName; row: number } {
  const shapes = groupShapes(geometry);
  let first = 0;
  for (const group of GROUPS) {
    const { n, slices } = shapes[group];
    const slice = slices.findLast(({ at }) => first + at <= column);
    const module = MODULES.find((name) => TENSOR[name] === slice?.tensor);
    if (slice && module && column < first + n) return { module, row: column - first - slice.at };
    first += n;
  }
  throw new Error(`no module has column ${column}`);
}
