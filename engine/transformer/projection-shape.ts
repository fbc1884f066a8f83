/** A group of projections as a matrix product: what kernels compile it from. */
import type { MatmulShape } from '../kernels/matmul.ts';
import type { Group } from './dimensions.ts';
import type { StageContext } from './stage.ts';

const FINISHES = { qkv: 'none', o: 'residual', gateUp: 'swiglu', down: 'residual' } as const;

/** With adapters; without them it is the same but for `lora: null`. */
export function projectionShape(
  { geometry, layout, lora, shapes }: Pick<StageContext, 'geometry' | 'layout' | 'lora' | 'shapes'>,
  group: Group,
): MatmulShape {
  const { k, n, slices } = shapes[group];
  const last = slices.at(-1);
  const out = group === 'gateUp' ? geometry.intermediate : (last?.at ?? 0) + (last?.columns ?? 0);
  return { k, n, out, finish: FINISHES[group], rows: 'all', weights: layout, lora: lora.groups[group] };
}
