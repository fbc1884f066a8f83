import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AdapterFile } from '../../../engine/adapter-files/adapter.ts';
import { readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import type { Geometry } from '../../../engine/models/geometry.ts';
import type { MODULES } from '../../../engine/models/projections.ts';
import type { DType } from '../../../engine/tensor-files/tensor.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { writeSafetensors } from '../../../engine/tensor-files/write-safetensors.ts';
import { writeTorchFile } from '../../../engine/tensor-files/write-torch-file.ts';
import {
  moduleKey,
  newFolder,
  numbers,
  PREFIX,
  pair,
  pairs,
  problemsOf,
  SMALL,
  tensor,
  WIDTHS,
  writeAdapter,
} from './write-adapter.ts';

const LORA = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'down_proj'] };
const Q = ['q', 'down'] as const;
const key = (ending: string, layer = 0, module: (typeof MODULES)[number] = 'q') =>
  `${PREFIX}${moduleKey(layer, module)}.${ending}`;

async function reading<T>(
  path: string,
  geometry: Geometry | null,
  use: (file: AdapterFile) => Promise<T> | T,
): Promise<T> {
  const file = await readAdapter(path, geometry);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

describe('a LoRA adapter', () => {
  it.each<[string, Geometry | null]>([
    ['with its base known', SMALL],
    ['without', null],
  ])('gives every module with its widths and values, %s', async (_, geometry) => {
    const tensors = pairs(Q, 4);
    const folder = await writeAdapter({ ...LORA, base_model_name_or_path: 'some/llama' }, tensors);
    await reading(folder, geometry, async (file) => {
      expect(file).toMatchObject({
        path: folder,
        format: 'peft',
        kind: 'lora',
        base: 'some/llama',
        rank: 4,
        notes: [],
      });
      expect(file.bytes).toBeGreaterThan(4 * tensors.reduce((sum, { shape }) => sum + shape[0]! * shape[1]!, 0));
      expect(file.modules.map(({ layer, module }) => `${layer}.${module}`)).toEqual(
        [0, 1, 2].flatMap((layer) => [`${layer}.q`, `${layer}.down`]),
      );
      for (const [i, module] of file.modules.entries()) {
        expect(module).toMatchObject({
          rank: 4,
          alpha: 8,
          scale: 2,
          ...WIDTHS[module.module],
          hasMagnitude: false,
          hasBias: false,
        });
        expect(await module.read()).toEqual({
          a: numbers(tensors[2 * i]!),
          b: numbers(tensors[2 * i + 1]!),
          magnitude: null,
          bias: null,
        });
      }
    });
  });

  it.each<DType>(['f16', 'bf16', 'f32'])('is read from %s', async (dtype) => {
    const tensors = [0, 1, 2].flatMap((layer) => pair(layer, 'k', 2, dtype));
    const folder = await writeAdapter({ ...LORA, r: 2, target_modules: ['k_proj'] }, tensors);
    const weights = await reading(folder, SMALL, (file) => file.modules[1]!.read());
    expect(weights.a).toEqual(numbers(tensors[2]!));
    expect(weights.b).toEqual(numbers(tensors[3]!));
  });

  it('is read from adapter_model.bin, and from safetensors where both are there', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(LORA));
    const [old, later] = [pairs(Q, 4), pairs(Q, 4)];
    await writeTorchFile(join(folder, 'adapter_model.bin'), old);
    const fromTorch = await reading(folder, SMALL, (file) => file.modules[5]!.read());
    expect(fromTorch).toMatchObject({ a: numbers(old[10]!), b: numbers(old[11]!) });

    await writeSafetensors(join(folder, 'adapter_model.safetensors'), later);
    await reading(folder, SMALL, async (file) => {
      expect((await file.modules[5]!.read()).a).toEqual(numbers(later[10]!));
      expect(file.notes).toEqual([expect.stringContaining('adapter_model.bin is there too')]);
    });
  });

  it.each([
    ['without the prefix', (name: string) => name.slice(PREFIX.length)],
    ["with an adapter's name inside", (name: string) => name.replace(/lora_([AB])/, 'lora_$1.default')],
  ])('is read from names %s', async (_, rename) => {
    const tensors = pairs(Q, 4).map((t) => ({ ...t, name: rename(t.name) }));
    const folder = await writeAdapter(LORA, tensors);
    const weights = await reading(folder, SMALL, (file) => file.modules[0]!.read());
    expect(weights).toMatchObject({ a: numbers(tensors[0]!), b: numbers(tensors[1]!) });
  });

  it('may have a rank and scale of its own in each module', async () => {
    const config = {
      ...LORA,
      rank_pattern: { 'layers.1.self_attn.q_proj': 7 },
      alpha_pattern: { down_proj: 2 },
      use_rslora: true,
    };
    const tensors = [0, 1, 2].flatMap((layer) => [...pair(layer, 'q', layer === 1 ? 7 : 4), ...pair(layer, 'down', 4)]);
    await reading(await writeAdapter(config, tensors), SMALL, (file) => {
      expect(file.rank).toBe(7);
      expect(file.modules.map(({ rank, alpha, scale }) => [rank, alpha, scale])).toEqual([
        [4, 8, 4],
        [4, 2, 1],
        [7, 8, 8 / Math.sqrt(7)],
        [4, 2, 1],
        [4, 8, 4],
        [4, 2, 1],
      ]);
    });
  });

  it('may have a bias in every module', async () => {
    const bias = [0, 1, 2].map((layer) => tensor(key('lora_B.bias', layer), [WIDTHS.q.out]));
    const config = { ...LORA, target_modules: ['q_proj'], lora_bias: true };
    await reading(await writeAdapter(config, [...pairs(['q'], 4), ...bias]), SMALL, async (file) => {
      expect(file.modules[2]).toMatchObject({ hasBias: true, scale: 2 });
      expect((await file.modules[2]!.read()).bias).toEqual(numbers(bias[2]!));
    });
  });

  it('of some layers only is those layers', async () => {
    const folder = await writeAdapter({ ...LORA, layers_to_transform: [2, 0] }, pairs(Q, 4, [0, 2]));
    await reading(folder, SMALL, (file) => expect(file.modules.map(({ layer }) => layer)).toEqual([0, 0, 2, 2]));
  });

  it('may bring tensors that are for training only', async () => {
    const extra = tensor(key('lora_velora_embed'), [4]);
    const folder = await writeAdapter({ ...LORA, velora_config: { num_groups: 2 } }, [...pairs(Q, 4), extra]);
    await reading(folder, SMALL, (file) => expect(file.notes).toEqual([expect.stringContaining('lora_velora_embed')]));
  });
});

describe('a DoRA adapter', () => {
  const out = WIDTHS.q.out;
  const dora = (fields: object, ending: string, shape: number[]) => {
    const magnitudes = [0, 1, 2].map((layer) => tensor(key(ending, layer), shape));
    const tensors = [...pairs(['q'], 4), ...magnitudes];
    return { magnitudes, folder: writeAdapter({ ...LORA, target_modules: ['q_proj'], ...fields }, tensors) };
  };

  it.each<[string, object, string, number[]]>([
    ['PEFT saves it', { use_dora: true }, 'lora_magnitude_vector', [out]],
    ["it is in PEFT's memory", { use_dora: true }, 'lora_magnitude_vector.weight', [out]],
    ["with an adapter's name", { use_dora: true }, 'lora_magnitude_vector.default', [out]],
    ["with an adapter's name and .weight", { use_dora: true }, 'lora_magnitude_vector.default.weight', [out]],
    ["NVlabs' code saves it", { peft_type: 'DORA', dora_simple: true }, 'weight_m_wdecomp.weight', [out, 1]],
  ])('is read as %s', async (_, fields, ending, shape) => {
    const { magnitudes, folder } = dora(fields, ending, shape);
    await reading(await folder, SMALL, async (file) => {
      expect(file.kind).toBe('dora');
      expect(file.modules[1]).toMatchObject({ hasMagnitude: true, scale: 2, out });
      expect((await file.modules[1]!.read()).magnitude).toEqual(numbers(magnitudes[1]!));
    });
  });

  it.each<[string, object, string, number[], RegExp]>([
    ['magnitudes without use_dora', {}, 'lora_magnitude_vector', [out], /use_dora in adapter_config\.json is not true/],
    [
      "magnitudes of the input's width",
      { use_dora: true },
      'lora_magnitude_vector',
      [8],
      /expected shape \[12\] .*found \[8\]/,
    ],
    [
      'magnitudes as a row',
      { use_dora: true },
      'lora_magnitude_vector',
      [1, out],
      /expected shape \[12\] .*found \[1, 12\]/,
    ],
  ])('is refused with %s', async (_, fields, ending, shape, message) => {
    const problems = await problemsOf(readAdapter(await dora(fields, ending, shape).folder, SMALL));
    expect(problems).toHaveLength(3);
    expect(problems.join('\n')).toMatch(message);
  });

  it('is refused when a module has no magnitude', async () => {
    const folder = await writeAdapter({ ...LORA, use_dora: true, target_modules: ['q_proj'] }, pairs(['q'], 4));
    expect(await problemsOf(readAdapter(folder, SMALL))).toContainEqual(
      expect.stringMatching(/^model\.layers\.2\.self_attn\.q_proj: lora_magnitude_vector is missing/),
    );
  });
});

describe('refused, and why', () => {
  const without = (name: string) => pairs(Q, 4).filter((t) => t.name !== name);
  const replaced = (name: string, ...by: TensorToWrite[]) => [...without(name), ...by];
  const plus = (...extra: TensorToWrite[]) => [...pairs(Q, 4), ...extra];

  it.each<[string, object, TensorToWrite[], RegExp]>([
    [
      'A without B',
      {},
      without(key('lora_B.weight', 1)),
      /layers\.1\.self_attn\.q_proj: lora_B\.weight is missing, beside ".*lora_A/,
    ],
    [
      'B without A',
      {},
      without(key('lora_A.weight', 1)),
      /layers\.1\.self_attn\.q_proj: lora_A\.weight is missing, beside ".*lora_B/,
    ],
    [
      "another rank than the config's",
      { r: 6 },
      pairs(Q, 4),
      /lora_A\.weight": expected shape \[6, 8\] \(rank 6 .*found \[4, 8\]/,
    ],
    [
      "a width that is not the base's",
      {},
      replaced(key('lora_A.weight'), tensor(key('lora_A.weight'), [4, 9])),
      /expected shape \[4, 8\] .*the base's widths.*found \[4, 9\]/,
    ],
    ['a transposed A', {}, replaced(key('lora_A.weight'), tensor(key('lora_A.weight'), [8, 4])), /found \[8, 4\]/],
    ['a rank of 0', {}, replaced(key('lora_A.weight'), tensor(key('lora_A.weight'), [0, 8])), /found \[0, 8\]/],
    [
      'modules that the file lacks',
      { target_modules: ['q_proj', 'down_proj', 'k_proj'] },
      pairs(Q, 4),
      /tensors of self_attn\.k_proj in layers 0-2 are missing, which adapter_config\.json targets/,
    ],
    ['one layer that the file lacks', {}, pairs(Q, 4, [0, 2]), /tensors of mlp\.down_proj in layer 1 are missing/],
    [
      'modules that the config does not mean',
      { target_modules: ['q_proj'] },
      pairs(Q, 4),
      /mlp\.down_proj in layers 0-2 are there, but .* does not target/,
    ],
    [
      'layers beyond the base',
      {},
      pairs(Q, 4, [0, 1, 2, 3, 4]),
      /tensors of layers 3-4: expected layers 0-2 of the base small/,
    ],
    [
      'a bias without lora_bias',
      {},
      plus(tensor(key('lora_B.bias'), [12])),
      /lora_bias in adapter_config\.json is not true/,
    ],
    ['lora_bias without biases', { lora_bias: true }, pairs(Q, 4), /lora_B\.bias is missing/],
    [
      'an adapter on the embeddings',
      {},
      plus(tensor(`${PREFIX}model.embed_tokens.lora_embedding_A`, [4, 9])),
      /embed_tokens.* of the token embeddings: not served/,
    ],
    [
      'an adapter on the head',
      {},
      plus(tensor(`${PREFIX}lm_head.lora_A.weight`, [4, 8])),
      /lm_head.* of the output head: not served/,
    ],
    [
      'a norm, as mergekit extracts',
      {},
      plus(tensor(`${PREFIX}model.layers.0.input_layernorm.weight`, [8])),
      /of a norm: not served/,
    ],
    ['a weight of the base', {}, plus(tensor(key('base_layer.weight'), [12, 8])), /a weight of the base itself/],
    ['a whole module', {}, plus(tensor(`${PREFIX}score.modules_to_save.weight`, [2, 8])), /modules_to_save/],
    [
      'a module that Llama lacks',
      {},
      plus(tensor(`${PREFIX}model.layers.0.mlp.c_fc.lora_A.weight`, [4, 8])),
      /c_fc.* belongs to no projection of a Llama model; expected a name such as base_model/,
    ],
    ['an unknown part', {}, plus(tensor(key('lora_diag'), [4])), /ends in "lora_diag"; expected lora_A\.weight/],
    ["VeRA's vectors in LoRA", {}, plus(tensor(key('vera_lambda_b'), [12])), /is VeRA's, but peft_type is not VERA/],
    ["VeRA's projections in LoRA", {}, plus(tensor('base_model.vera_A', [4, 8])), /vera_A or vera_B is VeRA's/],
    ['a part twice', {}, plus(tensor(key('lora_A.weight').slice(PREFIX.length), [4, 8])), /are the same part/],
    [
      'two adapters in one file',
      {},
      [0, 1, 2]
        .flatMap((l) => [...pair(l, 'q', 4), ...pair(l, 'down', 4)])
        .map((t, i) => ({ ...t, name: t.name.replace('.weight', i < 6 ? '.red.weight' : '.blue.weight') })),
      /the names of 2 adapters .* found "red", "blue"/,
    ],
    [
      'a config of another kind',
      { peft_type: 'PREFIX_TUNING' },
      pairs(Q, 4),
      /adapter_config\.json: peft_type: expected one of/,
    ],
  ])('%s', async (_, fields, tensors, message) => {
    const folder = await writeAdapter({ ...LORA, ...fields }, tensors);
    expect((await problemsOf(readAdapter(folder, SMALL))).join('\n')).toMatch(message);
  });

  it('a prefix that puts every name off, told once with names found and expected', async () => {
    const tensors = pairs(Q, 4).map((t) => ({ ...t, name: t.name.replace('model.layers', 'language_model.layers') }));
    const problems = await problemsOf(readAdapter(await writeAdapter(LORA, tensors), SMALL));
    expect(problems).toEqual([
      expect.stringMatching(
        /expected names such as base_model\.model\.model\.layers\.0\S+, found 12, such as "base_model\.model\.language_model/,
      ),
    ]);
  });

  it('no tensors at all', async () => {
    expect(await problemsOf(readAdapter(await writeAdapter(LORA, []), SMALL))).toEqual([
      expect.stringMatching(/no tensor belongs to a projection .* found no tensors/),
    ]);
  });

  it('every problem at once, but no more than a person reads', async () => {
    const strange = Array.from({ length: 100 }, (_, i) => tensor(`strange.${i}`, [1]));
    const problems = await problemsOf(readAdapter(await writeAdapter(LORA, plus(...strange)), SMALL));
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe('and 80 more problems');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%s among the values, when they are read',
    async (bad) => {
      const data = new Float32Array(32).fill(1);
      data[19] = bad;
      const folder = await writeAdapter(
        LORA,
        replaced(key('lora_A.weight'), tensor(key('lora_A.weight'), [4, 8], 'f32', data)),
      );
      await reading(folder, SMALL, async (file) => {
        expect(await problemsOf(file.modules[0]!.read())).toEqual([
          expect.stringMatching(
            new RegExp(`q_proj\\.lora_A\\.weight": expected finite values, found ${bad} at \\[2, 3\\]$`),
          ),
        ]);
      });
    },
  );

  it('a layer number that no model has', async () => {
    const folder = await writeAdapter(LORA, plus(tensor(key('lora_A.weight', 999999), [4, 8])));
    expect(await problemsOf(readAdapter(folder, null))).toContainEqual(
      expect.stringMatching(/expected a layer below 4096/),
    );
  });

  it('widths that differ from layer to layer, without a base', async () => {
    const folder = await writeAdapter(LORA, replaced(key('lora_A.weight', 2), tensor(key('lora_A.weight', 2), [4, 9])));
    expect(await problemsOf(readAdapter(folder, null))).toEqual([
      expect.stringMatching(/expected shape \[4, 8\] .*widths as in other layers\), found \[4, 9\]/),
    ]);
  });
});
