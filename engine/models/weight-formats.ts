/** The formats that a model's weights can have on the device, and how many bytes all of them take. How they lie: kernels/. */
import { type Geometry, parameterCount } from './geometry.ts';

export const WEIGHT_FORMATS = ['f16', 'int8', 'int4'] as const;
export type WeightFormat = (typeof WEIGHT_FORMATS)[number];

/** Of one weight: quantised ones share a scale of two bytes among 32. */
const BYTES: Readonly<Record<WeightFormat, number>> = { f16: 2, int8: 1 + 2 / 32, int4: 1 / 2 + 2 / 32 };

/** Of the whole model, padding left out: projections and a head of its own in the format, embeddings and norms in 2 bytes. */
export function weightBytes(g: Geometry, format: WeightFormat): number {
  const table = g.vocab * g.hidden;
  const norms = (2 * g.layers + 1) * g.hidden;
  return 2 * (table + norms) + BYTES[format] * (parameterCount(g) - table - norms);
}
