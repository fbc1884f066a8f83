/**
 * The four stages of projections in kernels that are a product with everything in its epilogue: adapters, residual or SwiGLU. What
 * is left of a stage, rotation with the KV write and the norm that follows, are dispatches of their own. In: how each group's product
 * is recorded, and those two kernels. Out: the stages.
 */
import { type AttentionShape, ropeKvGrid } from '../kernels/attention.ts';
import { type CompiledKernel, call } from '../kernels/kernel.ts';
import { rmsnormGrid } from '../kernels/rmsnorm.ts';
import type { Geometry } from '../models/geometry.ts';
import type { StepShape } from '../scheduler/step-data.ts';
import type { Group } from './dimensions.ts';
import { KV_BLOCK } from './memory-plan.ts';
import type { LayerBuffers, Run, StageBinder, StageContext } from './stage.ts';

export interface Operands {
  x: GPUBuffer;
  y: GPUBuffer;
  residual: GPUBuffer;
}

/** One product of a layer, bound to its buffers: what records it, with the adapters' shrink before it. */
export type Projection = (layer: LayerBuffers, operands: Operands) => (run: Run, step: StepShape) => void;

export const attentionShapeOf = (g: Geometry): AttentionShape => ({
  heads: g.heads,
  kvHeads: g.kvHeads,
  headDim: g.headDim,
  blockSize: KV_BLOCK,
});

/** `rope` is rope-kv, `norm` a norm of all rows: whichever kernel suits the products. */
export function productStages(
  { geometry, buffers: b }: Pick<StageContext, 'geometry' | 'buffers'>,
  { qkv, o, gateUp, down }: Record<Group, Projection>,
  { rope, norm }: { rope: CompiledKernel; norm: CompiledKernel },
): Record<Group, StageBinder> {
  const shape = attentionShapeOf(geometry);
  const residual =
    (project: Projection, x: GPUBuffer, from: GPUBuffer, to: GPUBuffer): StageBinder =>
    (layer) => {
      const product = project(layer, { x, y: to, residual: from });
      const normed = layer.norm && call(norm, b.step, to, layer.norm, b.normed);
      return {
        encode(run, step) {
          product(run, step);
          if (normed) run(normed, rmsnormGrid(step.rows));
        },
      };
    };
  return {
    qkv: (layer) => {
      const product = qkv(layer, { x: b.normed, y: b.qkv, residual: b.unused });
      const rotate = call(rope, b.step, b.qkv, b.angles, b.q, layer.k, layer.v);
      return {
        encode(run, step) {
          product(run, step);
          run(rotate, ropeKvGrid(shape, step.rows));
        },
      };
    },
    o: residual(o, b.attended, b.x0, b.x1),
    gateUp: (layer) => ({ encode: gateUp(layer, { x: b.normed, y: b.activated, residual: b.unused }) }),
    down: residual(down, b.activated, b.x1, b.x0),
  };
}
