import { describe, expect, it } from 'vitest';
import {
  type Geometry,
  geometryOf,
  isGeometry,
  PRESETS,
  parameterCount,
  servedRank,
  standInDivisors,
} from '../../../engine/models/geometry.ts';

const known = (name: string): Geometry => {
  const geometry = geometryOf(name);
  if (!isGeometry(geometry)) throw new Error(geometry.message);
  return geometry;
};

describe('presets', () => {
  // Numbers of parameters as published with the models' safetensors.
  it.each([
    ['llama-3-8b', 8_030_261_248],
    ['llama-3.1-8b', 8_030_261_248],
    ['llama-3-70b', 70_553_706_496],
    ['llama-3.2-1b', 1_235_814_400],
    ['llama-3.2-3b', 3_212_749_824],
    ['smollm2-135m', 134_515_008],
  ])('%s has the published number of parameters', (name, parameters) => {
    expect(parameterCount(known(name))).toBe(parameters);
  });

  it('have heads that the KV heads divide, and ends within the vocabulary', () => {
    for (const geometry of Object.values(PRESETS)) {
      expect(geometry.heads % geometry.kvHeads).toBe(0);
      expect(geometry.headDim % 2).toBe(0);
      for (const id of geometry.eosIds) expect(id).toBeLessThan(geometry.vocab);
    }
  });
});

describe('stand-ins', () => {
  it('divide widths, depth and vocabulary, and keep the head size', () => {
    const g = known('llama-3-8b@1/8');
    expect(g).toMatchObject({
      hidden: 512,
      intermediate: 1792,
      layers: 4,
      heads: 4,
      kvHeads: 1,
      headDim: 128,
      vocab: 16032,
    });
    expect(g.standIn).toEqual({ for: 'llama-3-8b', scale: '1/8', divisor: 8 });
    for (const id of g.eosIds) expect(id).toBeLessThan(g.vocab);
  });

  it('exist for every divisor that is offered, with whole groups of heads', () => {
    for (const preset of Object.values(PRESETS)) {
      for (const n of standInDivisors(preset)) {
        const g = known(`${preset.name}@1/${n}`);
        expect(g.heads % g.kvHeads).toBe(0);
        expect(g.layers).toBe(Math.ceil(preset.layers / n));
      }
    }
  });

  it('divide an adapter rank too, down to 1', () => {
    expect(servedRank(known('llama-3-8b@1/8'), 16)).toBe(2);
    expect(servedRank(known('llama-3-8b@1/8'), 4)).toBe(1);
    expect(servedRank(known('llama-3-8b'), 16)).toBe(16);
  });

  it.each(['llama-3-8b@1/3', 'llama-3-8b@1/0', 'llama-3-8b@1/1', 'smollm2-135m@1/2'])(
    'are refused as %s, with those there are',
    (name) => {
      const problem = geometryOf(name);
      expect(isGeometry(problem)).toBe(false);
      if (isGeometry(problem)) return;
      expect(problem.message).toContain(name);
      expect(problem.accepted.length).toBeGreaterThan(0);
      for (const accepted of problem.accepted) known(accepted);
    },
  );

  it.each(['gpt-2', 'constructor', '', 'llama-3-8b@'])(
    'of the unknown model "%s" are refused with the presets',
    (name) => {
      expect(geometryOf(name)).toEqual({ message: `unknown model "${name}"`, accepted: Object.keys(PRESETS) });
    },
  );
});
