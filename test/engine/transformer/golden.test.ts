/**
 * A whole forward against test/golden/llama-forward.py, an independent implementation in float64: base and adapters of
 * ranks 4, 7, 16 and 64 in one batch, for a model with scaled rotation and a tied head and for one without either; and the
 * same models with int8 and int4 weights, against the values that those stand for.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { decodeColumns, encodeColumns } from '../../../engine/kernels/weight-format.ts';
import { amplitudeOf, f16Bits, f16Value, OUTSIDE_LAYERS, TENSOR, tensorKey } from '../../../engine/lora/random-f16.ts';
import { SYNTHETIC_SCALE } from '../../../engine/lora/synthetic.ts';
import { geometryOf } from '../../../engine/models/geometry.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import { load, makeModel, type NamedAdapter } from './generate.ts';
import { expectGoldenDecode, expectGoldenPrefill, goldens, quantisedGoldens } from './golden-logits.ts';

const named = [...goldens, ...quantisedGoldens].map((golden) => ({
  name: golden.geometry.name,
  weights: golden.weights,
  golden,
}));
describe.each(named)('$name in $weights', ({ name, weights, golden }) => {
  const g = golden.geometry;
  let model: Model;

  beforeAll(async () => {
    // One model in each mode: the tiles, and so the kernels, differ.
    const batchInvariant = !g.tied;
    // And one in the layout that a GPU gets.
    const gpuLayout = weights === 'int4';
    const { seed } = golden;
    model = await makeModel({ model: name, weights, seed, maxNumBatchedTokens: 512, batchInvariant, gpuLayout });
    for (const adapter of golden.adapters) load(model, adapter);
  });

  test('the golden was made for this geometry and these bits', () => {
    expect(geometryOf(name)).toMatchObject(g);
    expect(golden.scale).toBe(SYNTHETIC_SCALE);
    const { rank, seed } = golden.adapters.find((adapter) => adapter.name === 'rank-7') as NamedAdapter;
    const bits = (key: number, fanIn: number, gain: number, size: number) =>
      [0, 1, size - 2, size - 1].map((i) => f16Bits(i, key, amplitudeOf(fanIn, gain)).toString(16).padStart(4, '0'));
    const base = (layer: number, tensor: number) => tensorKey(golden.seed, layer, tensor);
    expect({
      q: bits(base(0, TENSOR.q), g.hidden, 2, g.heads * g.headDim * g.hidden),
      down: bits(base(g.layers - 1, TENSOR.down), g.intermediate, 1, g.hidden * g.intermediate),
      embed: bits(base(OUTSIDE_LAYERS, TENSOR.embed), g.hidden, 1, g.vocab * g.hidden),
      rank7DownA: bits(tensorKey(seed, 1, TENSOR.loraA + TENSOR.down), g.intermediate, 1, rank * g.intermediate),
      rank7DownB: bits(tensorKey(seed, 1, TENSOR.loraB + TENSOR.down), rank, 1, g.hidden * rank),
    }).toEqual(golden.bits);
    const [key, amplitude] = [base(g.layers - 1, TENSOR.down), amplitudeOf(g.intermediate, 1)];
    const tile = Float32Array.from({ length: 32 * g.intermediate }, (_, i) => f16Value(f16Bits(i, key, amplitude)));
    const layout = { format: weights, pack: 1 };
    const held = decodeColumns(encodeColumns(tile, 32, g.intermediate, layout), 32, g.intermediate, layout);
    expect([...held.subarray(g.intermediate, g.intermediate + 64)]).toEqual(golden.down);
  });

  test('one mixed batch, forced tokens as part of the prompts', () => expectGoldenPrefill(model, golden));

  test('prompts in chunks that cut through sequences, forced tokens by decode steps', () =>
    expectGoldenDecode(model, golden));
});
