/**
 * Merged mode: an adapter folded into the base model's weights on the device, W' = g ⊙ (W + scale · B · A), each element rounded
 * to f16 once. Afterwards the model costs what the base costs, and the base is gone. In: weights and an adapter's image. Out:
 * the weights, changed in place.
 *
 * A layer at a time, through buffers for one layer that are given back at the end, so that the device needs little beside
 * the weights and no dispatch is long.
 */
import { foldMerge } from '../kernels/fold.ts';
import type { KernelCompiler } from '../kernels/kernel.ts';
import type { Geometry } from '../models/geometry.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { GROUPS, groupShapes, loraLayout } from '../transformer/dimensions.ts';
import type { Weights } from '../transformer/weights.ts';
import { columnPlace } from './column-place.ts';
import { FoldGroup } from './fold-group.ts';
import type { PackedAdapter } from './packed-adapter.ts';
import { RANKS_PER_PAGE } from './slots.ts';

export interface FoldParts {
  compiler: KernelCompiler;
  geometry: Geometry;
  /** In f16: what a merged weight is rounded to. */
  weights: Pick<Weights, 'layers' | 'layouts'>;
  software: boolean;
  /** Named in errors: the adapter's file or folder. */
  path: string;
  /** Told after each layer. */
  report?: (layers: { done: number; of: number }) => void;
}

/**
 * @param packed as packAdapter() gives it: DoRA's m is needed, the column words computed from it would round twice
 * @throws FileError when it has a bias, or a row of W' holds what f16 cannot; the weights are then of no use
 */
export async function foldAdapter(parts: FoldParts, packed: PackedAdapter): Promise<void> {
  const { compiler, geometry, weights, software, path, report = () => {} } = parts;
  const { device } = compiler;
  refuseColumns(packed, geometry, path);
  const pages = Math.ceil(packed.rank / RANKS_PER_PAGE);
  const layout = loraLayout(geometry, pages, packed.rank, 0);
  const { projections } = weights.layouts;
  if (projections.format !== 'f16') throw new Error(`an adapter is not merged into ${projections.format} weights`);
  const fold = await FoldGroup.create(compiler, foldMerge, geometry, layout, projections, software);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const a = device.createBuffer({ label: 'merging: A', size: 4 * layout.aWords, usage });
  const b = device.createBuffer({ label: 'merging: B', size: 4 * layout.bWords, usage });
  const bytes = 4 * layout.columnWords;
  const readback = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const marks = device.createBuffer({ label: 'merging: marks, read back', size: bytes, usage: readback });
  const pool = { a, b };
  const place = { rank: packed.rank, scale: packed.scale, pages: Array.from({ length: pages }, (_, page) => page) };
  try {
    for (const [layer, image] of packed.layers.entries()) {
      device.queue.writeBuffer(a, 0, image.a);
      device.queue.writeBuffer(b, 0, image.b);
      for (const group of GROUPS) {
        const target = { group, place, pool, magnitude: image.magnitude, marks: null };
        const matrix = weights.layers[layer]?.[group];
        if (!matrix) throw new Error(`layer ${layer} has no ${group}`);
        const [at, size] = [4 * layout.groupColumns[group], 4 * groupShapes(geometry)[group].n];
        fold.run({ ...target, weights: matrix }, (encoder) => {
          encoder.copyBufferToBuffer(fold.marks, at, marks, at, size);
        });
      }
      await marks.mapAsync(GPUMapMode.READ);
      const wrong = firstMark(new Uint32Array(marks.getMappedRange()));
      marks.unmap();
      if (wrong) {
        const { module, row } = columnPlace(geometry, wrong.column);
        throw new FileError(
          path,
          `layer ${layer}, ${module}: merged into the base, element [${row}, ${wrong.k}] of its weights is one that f16 cannot hold; expected at most 65504 either way`,
        );
      }
      report({ done: layer + 1, of: geometry.layers });
    }
  } finally {
    fold.destroy();
    for (const buffer of [a, b, marks]) buffer.destroy();
  }
}

function firstMark(marks: Uint32Array): { column: number; k: number } | null {
  const column = marks.findIndex((mark) => mark !== 0);
  return column < 0 ? null : { column, k: (marks[column] as number) - 1 };
}

function refuseColumns({ layers }: PackedAdapter, geometry: Geometry, path: string): void {
  for (const [layer, { columns }] of layers.entries()) {
    if (columns === null) continue;
    const biased = columns.findIndex((word) => word >>> 16 !== 0 && word >>> 16 !== 0x8000);
    if (biased < 0)
      throw new Error("an adapter is merged as its file has it, and not with columns computed from DoRA's m");
    const { module } = columnPlace(geometry, biased);
    throw new FileError(
      path,
      `layer ${layer}, ${module}: it has a bias (lora_B.bias), and the base model has none to fold it into; expected an adapter without biases, or dynamic mode`,
    );
  }
}
