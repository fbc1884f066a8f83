/** Rotation frequencies of published models against transformers' (test/golden/rope-scaling.py, in f32: 2^-23 a rounding). */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Geometry, geometryOf } from '../../../engine/models/geometry.ts';
import { frequencies } from '../../../engine/transformer/rope.ts';

interface Case {
  model: string;
  headDim: number;
  ropeTheta: number;
  scaling: Record<
    'factor' | 'low_freq_factor' | 'high_freq_factor' | 'original_max_position_embeddings',
    number
  > | null;
  frequencies: number[];
}
const { cases } = JSON.parse(readFileSync(new URL('../../golden/rope-scaling.json', import.meta.url), 'utf8')) as {
  cases: Case[];
};

describe.each(cases)('$model', ({ model, headDim, ropeTheta, scaling, frequencies: expected }) => {
  const g = geometryOf(model) as Geometry;

  test('the preset says what the golden was made with', () => {
    expect(g).toMatchObject({
      headDim,
      ropeTheta,
      ropeScaling: scaling && {
        factor: scaling.factor,
        lowFreqFactor: scaling.low_freq_factor,
        highFreqFactor: scaling.high_freq_factor,
        originalMaxPosition: scaling.original_max_position_embeddings,
      },
    });
  });

  test('every frequency', () => {
    const got = frequencies(g);
    expect(got).toHaveLength(expected.length);
    const worst = Math.max(...got.map((value, i) => Math.abs(value / (expected[i] as number) - 1)));
    // A handful of f32 roundings on their side; the blend's subtraction can double one.
    expect(worst).toBeLessThan(10 * 2 ** -23);
  });
});
