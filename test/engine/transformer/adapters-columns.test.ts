/**
 * Adapters with column words (DoRA's g, biases) at the level of a whole model: beside plain ones and the base in one batch,
 * loaded again from computed words, and in slots that others leave. The model is batch-invariant, so "the same" means the
 * same bits of every logit. Their numbers against peft are in golden-adapters.test.ts.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { packAdapter } from '../../../engine/lora/pack.ts';
import { hasColumns, type PackedAdapter } from '../../../engine/lora/packed-adapter.ts';
import { amplitudeOf, f16Bits, f16Value, TENSOR, tensorKey } from '../../../engine/lora/random-f16.ts';
import { MODULES } from '../../../engine/models/projections.ts';
import type { Model } from '../../../engine/transformer/model.ts';
import { adapterInMemory, type Wanted } from '../lora/adapter-in-memory.ts';
import { distance, type Generated, generate, load, makeModel, someIds } from './generate.ts';

const OPTIONS = { batchInvariant: true, maxGpuLoras: 6, seed: 20 };
let model: Model;

const everywhere = (rank: number, rest: Partial<Wanted>): Wanted[] =>
  Array.from({ length: model.geometry.layers }, (_, layer) =>
    MODULES.map((module) => ({ layer, module, rank, scale: 0.5, ...rest })),
  ).flat();
const pack = (wanted: Wanted[], seed: number): Promise<PackedAdapter> =>
  packAdapter(adapterInMemory(model.geometry, wanted, seed), model.geometry);

function put(into: Model, name: string, packed: PackedAdapter): void {
  const place = into.slots.add(name, 'test', packed.rank, packed.scale, hasColumns(packed));
  if (!place) throw new Error(`no slot for ${name}`);
  for (const _ of into.pools.upload(place, packed));
}

const asked = (adapter: string | null, key: number) => ({
  adapter,
  prompt: someIds(model, key, 5 + 4 * key),
  maxTokens: 3,
});
async function alone(of: Model, adapter: string | null, key = 1): Promise<Generated> {
  return (await generate(of, [asked(adapter, key)]))[0] as Generated;
}
function expectSame(got: Generated, expected: Generated): void {
  expect(got.ids).toEqual(expected.ids);
  expect(got.logits.map((logits, i) => distance(logits, expected.logits[i]!))).toEqual(expected.ids.map(() => 0));
}

let dora: PackedAdapter;
let biased: PackedAdapter;
beforeAll(async () => {
  model = await makeModel(OPTIONS);
  dora = await pack(everywhere(5, { magnitude: (row) => 0.8 + (row % 11) / 25 }), 1);
  biased = await pack(everywhere(9, { bias: true }), 2);
});

describe('in one batch', () => {
  const kinds = ['dora', 'biased', 'plain', 'few', null];
  beforeAll(async () => {
    put(model, 'dora', dora);
    put(model, 'biased', biased);
    load(model, { name: 'plain', rank: 12, seed: 4 });
    put(model, 'few', await pack([{ layer: 1, module: 'k', rank: 1, scale: 1, magnitude: (row) => 1 + row }], 3));
  });

  test('each row is what it is alone', async () => {
    const together = await generate(
      model,
      [...kinds, ...kinds].map((kind, i) => asked(kind, 1 + i)),
    );
    for (const [i, kind] of [...kinds, ...kinds].entries()) {
      expectSame(together[i] as Generated, await alone(model, kind, 1 + i));
    }
  });

  test('each moves logits its own way', async () => {
    const outputs: Float32Array[] = [];
    for (const kind of kinds) outputs.push((await alone(model, kind)).logits[0]!);
    outputs.forEach((one, i) => {
      for (const other of outputs.slice(i + 1)) expect(distance(one, other)).toBeGreaterThan(0.05);
    });
  });

  test('words computed once serve again, from another slot', async () => {
    const first = await alone(model, 'dora');
    const words = await model.pools.readColumns(model.slots.get('dora')!);
    const layers = dora.layers.map((layer, i) => ({ ...layer, columns: words[i]!, magnitude: null }));
    put(model, 'dora again', { ...dora, layers });
    expect(model.slots.get('dora again')?.slot).not.toBe(model.slots.get('dora')?.slot);
    expectSame(await alone(model, 'dora again'), first);
  });
});

test('in a slot that DoRA leaves, a plain adapter and the base are as if it had never been there', async () => {
  const [used, fresh] = [await makeModel(OPTIONS), await makeModel(OPTIONS)];
  put(used, 'gone', dora);
  await alone(used, 'gone');
  const { slot } = used.slots.get('gone')!;
  await used.slots.remove('gone');
  for (const one of [used, fresh]) load(one, { name: 'plain', rank: 5, seed: 6 });
  expect(used.slots.get('plain')?.slot).toBe(slot);
  expectSame(await alone(used, 'plain'), await alone(fresh, 'plain'));
  expectSame(await alone(used, null), await alone(fresh, null));
});

test('with m as long as the rows of W + scale · B · A are, DoRA is LoRA', async () => {
  const one = await makeModel(OPTIONS);
  const g = one.geometry;
  const [rank, scale] = [4, 0.5];
  const plain: Wanted[] = Array.from({ length: g.layers }, (_, layer) => ({ layer, module: 'q', rank, scale }));
  const file = adapterInMemory(g, plain, 5);
  const lengths = plain.map(({ layer }) => {
    const { weights } = file.weightsOf(layer, 'q')!;
    const k = g.hidden;
    const [key, amplitude] = [tensorKey(OPTIONS.seed, layer, TENSOR.q), amplitudeOf(k, 2)];
    return Float64Array.from({ length: g.heads * g.headDim }, (_, row) => {
      let squares = 0;
      for (let c = 0; c < k; c++) {
        let v = f16Value(f16Bits(row * k + c, key, amplitude));
        for (let r = 0; r < rank; r++) v += scale * weights.b[row * rank + r]! * weights.a[r * k + c]!;
        squares += v * v;
      }
      return Math.sqrt(squares);
    });
  });
  const withM = (factor: number) =>
    pack(
      plain.map((wanted) => ({ ...wanted, magnitude: (row) => factor * lengths[wanted.layer]![row]! })),
      5,
    );
  put(one, 'lora', await pack(plain, 5));
  put(one, 'dora', await withM(1));
  put(one, 'doubled', await withM(2));
  const outputs: Float32Array[] = [];
  for (const name of ['lora', 'dora', 'doubled', null]) outputs.push((await alone(one, name)).logits[0]!);
  const [lora, same, doubled, base] = outputs;
  // A and B are rounded to f16 in both, the lengths above are of what they were before: g is off by 2^-12 or so.
  expect(distance(same!, lora!)).toBeLessThan(0.01);
  expect(distance(lora!, base!)).toBeGreaterThan(0.1);
  expect(distance(doubled!, lora!)).toBeGreaterThan(0.1);
});
