/** Which layout a model's matrices get, and the widths for which a format has none. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../engine/errors.ts';
import { geometryOf, isGeometry, PRESETS, standInDivisors } from '../../../engine/models/geometry.ts';
import { WEIGHT_FORMATS } from '../../../engine/models/weight-formats.ts';
import { weightLayouts } from '../../../engine/transformer/weight-layouts.ts';
import { SMALL } from './small-llama.ts';

const UNTIED = { ...SMALL, intermediate: 128 };
const TIED = { ...UNTIED, tied: true };

describe('on a GPU, 16 bytes of a column lie together; on a processor single words', () => {
  it.each([
    ['f16', 8],
    ['int8', 4],
    ['int4', 4],
  ] as const)('%s', (format, pack) => {
    expect(weightLayouts(UNTIED, format, false)).toEqual({
      projections: { format, pack },
      embedding: { format: 'f16', pack: 8 },
      head: { format, pack },
    });
    expect(weightLayouts(UNTIED, format, true)).toEqual({
      projections: { format, pack: 1 },
      embedding: { format: 'f16', pack: 1 },
      head: { format, pack: 1 },
    });
  });

  it('a tied head is the embedding, and so f16', () => {
    expect(weightLayouts(TIED, 'int4', false).head).toEqual({ format: 'f16', pack: 8 });
  });

  it.each([{ hidden: 72 }, { intermediate: 100 }, { headDim: 18 }])(
    'f16 of a width that is no multiple of 16 lies in single words: %o',
    (change) => {
      const plain = { format: 'f16', pack: 1 };
      expect(weightLayouts({ ...UNTIED, ...change }, 'f16', false)).toEqual({
        projections: plain,
        embedding: plain,
        head: plain,
      });
    },
  );
});

describe('a width that is no multiple of 64', () => {
  it.each([
    [{ hidden: 96 }, 'hidden_size 96'],
    [{ intermediate: 96 }, 'intermediate_size 96'],
    [{ heads: 3, kvHeads: 1, headDim: 32 }, 'heads x head_dim 96'],
    [{ hidden: 80, intermediate: 200 }, 'hidden_size 80, intermediate_size 200'],
  ])('%o is refused in int8 and int4, naming it and f16', (change, named) => {
    for (const format of ['int8', 'int4'] as const) {
      let refused: unknown;
      try {
        weightLayouts({ ...UNTIED, ...change }, format, true);
      } catch (error) {
        refused = error;
      }
      expect(refused).toBeInstanceOf(EngineError);
      expect(refused).toMatchObject({ code: 'usage', exitCode: 2, hint: 'accepted: --weights f16' });
      expect((refused as EngineError).message).toMatch(new RegExp(`^--weights ${format}: .*blocks of 64.*${named}$`));
    }
  });
});

it('every preset and stand-in has a layout in every format', () => {
  const names = Object.values(PRESETS).flatMap((g) => [g.name, ...standInDivisors(g).map((n) => `${g.name}@1/${n}`)]);
  for (const name of names) {
    const g = geometryOf(name);
    if (!isGeometry(g)) throw new Error(g.message);
    for (const format of WEIGHT_FORMATS) expect(weightLayouts(g, format, false).projections.pack).toBeGreaterThan(1);
  }
});
