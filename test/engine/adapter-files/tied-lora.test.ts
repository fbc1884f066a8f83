import { describe, expect, it } from 'vitest';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { numbers, problemsOf, SMALL, tensor, writeAdapter } from './write-adapter.ts';

const TIED = { peft_type: 'TIED_LORA', r: 4, lora_alpha: 6, target_modules: ['q_proj', 'down_proj'], num_layers: 3 };
const A = tensor('tied.q_proj.A', [4, 8]);
const B = tensor('tied.q_proj.B', [12, 4]);
const U = tensor('layers.1.q_proj.u', [4]);
const V = tensor('layers.1.q_proj.v', [12]);
const all = [A, B, tensor('tied.down_proj.A', [4, 20]), tensor('tied.down_proj.B', [8, 4]), U, V];

describe('a Tied-LoRA adapter', () => {
  it.each<[string, Geometry | null]>([
    ['with its base known', SMALL],
    ['without', null],
  ])('gives every layer the tied pair, its vectors folded in, %s', async (_, geometry) => {
    const folder = await writeAdapter({ ...TIED, base_model_name_or_path: 'some/llama' }, all);
    const file = await readAdapter(folder, geometry);
    expect(file).toMatchObject({ format: 'tied-lora', kind: 'tied', base: 'some/llama', rank: 4, path: folder });
    expect(file.modules.map(({ layer, module }) => `${layer}.${module}`)).toEqual([
      '0.q',
      '0.down',
      '1.q',
      '1.down',
      '2.q',
      '2.down',
    ]);
    expect(file.modules[2]).toMatchObject({ rank: 4, alpha: 6, scale: 1.5, in: 8, out: 12, hasMagnitude: false });

    const plain = await file.modules[0]!.read();
    expect(plain).toEqual({ a: numbers(A), b: numbers(B), magnitude: null, bias: null });
    const folded = await file.modules[2]!.read();
    expect(folded.a).toEqual(numbers(A).map((value, i) => value * numbers(U)[Math.floor(i / 8)]!));
    expect(folded.b).toEqual(numbers(B).map((value, i) => value * numbers(V)[Math.floor(i / 4)]!));
    await file.close();
  });

  it('has scale 1 where no alpha is given, and only the layers that it names', async () => {
    const folder = await writeAdapter({ ...TIED, lora_alpha: null, layers_to_transform: [2, 1] }, all);
    const file = await readAdapter(folder, SMALL);
    expect(file.modules.map(({ layer, scale }) => [layer, scale])).toEqual([1, 1, 2, 2].map((layer) => [layer, 1]));
    await file.close();
  });

  it('goes by its vectors where the number of layers is not told', async () => {
    const folder = await writeAdapter({ ...TIED, num_layers: undefined }, all);
    const file = await readAdapter(folder, null);
    expect(file.modules.at(-1)!.layer).toBe(1);
    await file.close();
    const bare = await writeAdapter({ ...TIED, num_layers: undefined }, all.slice(0, 4));
    expect(await problemsOf(readAdapter(bare, null))).toEqual([expect.stringMatching(/give the base model/)]);
  });

  const without = (name: string) => all.filter((t) => t.name !== name);
  const instead = (t: TensorToWrite) => [...without(t.name), t];
  it.each<[string, object, TensorToWrite[], RegExp]>([
    ['no A', {}, without('tied.q_proj.A'), /^tensor "tied\.q_proj\.A" is missing$/],
    ['neither A nor B', {}, all.slice(2, 4), /"tied\.q_proj\.A" is missing\ntensor "tied\.q_proj\.B" is missing/],
    [
      'an A of another rank',
      {},
      instead(tensor('tied.q_proj.A', [5, 8])),
      /expected shape \[4, 8\] \(rank 4 .*found \[5, 8\]/,
    ],
    [
      'a B of another width',
      {},
      instead(tensor('tied.q_proj.B', [11, 4])),
      /expected shape \[12, 4\] .*small's widths.*found \[11, 4\]/,
    ],
    [
      'a u that is not r long',
      {},
      instead(tensor('layers.1.q_proj.u', [5])),
      /"layers\.1\.q_proj\.u": expected shape \[4\]/,
    ],
    [
      'a v that is not out long',
      {},
      instead(tensor('layers.1.q_proj.v', [4])),
      /"layers\.1\.q_proj\.v": expected shape \[12\]/,
    ],
    [
      'a tensor that is none of it',
      {},
      [...all, tensor('lora_A', [1])],
      /"lora_A": expected tied\.\{module\}\.A or B, or layers/,
    ],
    [
      'a module that is not targeted',
      { target_modules: ['q_proj'] },
      all,
      /tied\.down_proj\.A" is there, but target_modules/,
    ],
    [
      'vectors of a layer beyond the base',
      {},
      [...all, tensor('layers.3.q_proj.u', [4])],
      /vectors of layer 3 are there/,
    ],
    ['vectors of a layer that is left out', { layers_to_transform: [0] }, all, /vectors of layer 1 are there/],
    ['a layer beyond the base', { layers_to_transform: [0, 1, 7] }, all, /expected layers 0-2, found layer 7/],
    [
      'another number of layers than the base',
      { num_layers: 4 },
      all,
      /num_layers: expected 3, as the base small has, found 4/,
    ],
    [
      'an unknown module',
      { target_modules: ['qkv'] },
      all,
      /target_modules: expected a list of q_proj, .*found \["qkv"\]/,
    ],
    ['a pattern for modules', { target_modules: '.*q' }, all, /target_modules: expected a list of/],
    [
      'an unknown key',
      { layer_to_transform: [0] },
      all,
      /unknown key "layer_to_transform": expected peft_type, base_model/,
    ],
    ['no rank', { r: undefined }, all, /r: expected a whole number from 1 to 65536, found nothing/],
    ['an alpha of 0', { lora_alpha: 0 }, all, /lora_alpha: expected a number other than 0, found 0/],
  ])('is refused with %s', async (_, fields, tensors, message) => {
    const folder = await writeAdapter({ ...TIED, ...fields }, tensors);
    expect((await problemsOf(readAdapter(folder, SMALL))).join('\n')).toMatch(message);
  });
});
