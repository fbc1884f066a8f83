/**
 * Which layout each of a model's matrices has: decided here alone, from the format asked for and the device. The projections
 * and a head of its own are in that format; the embedding table, of which a step gathers rows, is f16 always, and so is the
 * head when it is that table. A GPU loads 16 bytes a lane at once, so there a column's words lie together by as many.
 */
import { EngineError } from '../errors.ts';
import { BLOCK_DEPTH, depthUnit, type WeightFormat, type WeightLayout, widePack } from '../kernels/weight-format.ts';
import type { Geometry } from '../models/geometry.ts';

export interface WeightLayouts {
  projections: WeightLayout;
  embedding: WeightLayout;
  head: WeightLayout;
}

/** @throws EngineError usage when the model's widths do not go into the format's blocks */
export function weightLayouts(g: Geometry, format: WeightFormat, software: boolean): WeightLayouts {
  const widths = { hidden_size: g.hidden, intermediate_size: g.intermediate, 'heads x head_dim': g.heads * g.headDim };
  const odd = (unit: number) => Object.entries(widths).filter(([, width]) => width % unit !== 0);
  if (format !== 'f16' && odd(BLOCK_DEPTH).length > 0) {
    const which = odd(BLOCK_DEPTH).map(([name, width]) => `${name} ${width}`);
    throw new EngineError(
      'usage',
      `--weights ${format}: ${format} weights come in blocks of ${BLOCK_DEPTH} values, and of ${g.name} no multiple of that is ${which.join(', ')}`,
      { hint: 'accepted: --weights f16' },
    );
  }
  const layoutOf = (one: WeightFormat): WeightLayout => {
    const wide = { format: one, pack: widePack(one) };
    return software || odd(depthUnit(wide)).length > 0 ? { format: one, pack: 1 } : wide;
  };
  const embedding = layoutOf('f16');
  const projections = layoutOf(format);
  return { projections, embedding, head: g.tied ? embedding : projections };
}
