/** Paths of synthetic adapters: what they say, and what is wrong with those that say nothing. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseSynthetic } from '../../../engine/lora/synthetic.ts';

it('say rank and seed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9999 }), fc.nat(999_999_999), (rank, seed) => {
      expect(parseSynthetic(`synthetic:rank=${rank},seed=${seed}`)).toEqual({ rank, seed });
      expect(parseSynthetic(`synthetic: seed = ${seed} , rank = ${rank}`)).toEqual({ rank, seed });
    }),
  );
});

it('have seed 0 when they name none', () => expect(parseSynthetic('synthetic:rank=8')).toEqual({ rank: 8, seed: 0 }));

it.each([
  ['/srv/adapters/a1', /not a synthetic adapter.*files are not supported/],
  ['', /not a synthetic adapter/],
  ['synthetic:', /unknown field ""/],
  ['synthetic:seed=3', /needs a rank/],
  ['synthetic:rank=0,seed=3', /needs a rank from 1 to 9999/],
  ['synthetic:rank=-4', /needs a rank/],
  ['synthetic:rank=1.5', /needs a rank/],
  ['synthetic:rank=10000', /needs a rank/],
  ['synthetic:rank=8,seed=x', /needs a seed/],
  ['synthetic:rank=8,seed=1234567890', /needs a seed/],
  ['synthetic:rank=8,alpha=16', /unknown field "alpha"/],
])('"%s" is refused with what would be accepted', (path, why) => {
  const problem = parseSynthetic(path);
  expect(problem).toMatch(why);
  expect(problem).toContain('"synthetic:rank=16,seed=3"');
});
