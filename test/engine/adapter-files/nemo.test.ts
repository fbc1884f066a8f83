import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { AdapterModule } from '../../../engine/adapter-files/adapter.ts';
import { readNemo, refuseNemo2 } from '../../../engine/adapter-files/nemo.ts';
import { type Geometry, PRESETS } from '../../../engine/models/geometry.ts';
import { moduleWidths } from '../../../engine/models/projections.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import type { TensorToWrite } from '../../../engine/tensor-files/tensor-to-write.ts';
import { writeNemo } from '../../../engine/tensor-files/write-nemo.ts';
import { writeTorchFile } from '../../../engine/tensor-files/write-torch-file.ts';
import { damaged, damages } from '../tensor-files/damage.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nemo-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Sizes that all differ, so that a swapped width shows: 4 heads of 3 in 2 groups, and a hidden size that is not heads x 3. */
const GEOMETRY: Geometry = {
  ...PRESETS['llama-3-8b']!,
  ...{ name: 'small', hidden: 10, intermediate: 14, layers: 2, heads: 4, kvHeads: 2, headDim: 3 },
};
const RANK = 4;
const W = moduleWidths(GEOMETRY);
const QKV = W.q.out + 2 * W.k.out;

const lora = (more: object = {}) => ({ variant: 'nemo', adapter_dim: RANK, alpha: 8, adapter_dropout: 0.1, ...more });
const config = (more: object = {}, ofLora: object = {}) => ({
  ...{
    num_layers: 2,
    hidden_size: 10,
    ffn_hidden_size: 14,
    num_attention_heads: 4,
    num_query_groups: 2,
    kv_channels: 3,
  },
  restore_from_path: '/models/small.nemo',
  peft: { peft_scheme: 'lora', lora_tuning: lora(ofLora) },
  ...more,
});

const PREFIX = 'model.language_model.encoder.';
const ATTENTION = 'self_attention.adapter_layer';
const MLP = 'mlp.adapter_layer';
const NAMES = {
  qkv: `${ATTENTION}.lora_kqv_adapter`,
  o: `${ATTENTION}.lora_dense_attention_adapter`,
  gateUp: `${MLP}.lora_hto4h_adapter`,
  down: `${MLP}.lora_4htoh_adapter`,
};

/** Every value says where it stands: thousands for the row, ones for the column, and a fraction for which matrix it is. */
const valueAt = (row: number, column: number, fraction: number) => row * 1000 + column + fraction;
function matrix(name: string, rows: number, columns: number, fraction = 0): TensorToWrite & { data: Float32Array } {
  const data = new Float32Array(rows * columns);
  for (let i = 0; i < data.length; i++) data[i] = valueAt(Math.floor(i / columns), i % columns, fraction);
  return { name, dtype: 'f32', shape: [rows, columns], data };
}
const pair = (path: string, width: number, out: number, prefix = PREFIX, layer = 0): ReturnType<typeof matrix>[] => [
  matrix(`${prefix}layers.${layer}.${path}.linear_in.weight`, RANK, width, 0.25 + layer),
  matrix(`${prefix}layers.${layer}.${path}.linear_out.weight`, out, RANK, 0.5 + layer),
];
const qkvOf = (layer: number, prefix = PREFIX) => pair(NAMES.qkv, 10, QKV, prefix, layer);
const allOf = (layer: number) => [
  ...qkvOf(layer),
  ...pair(NAMES.o, 12, 10, PREFIX, layer),
  ...pair(NAMES.gateUp, 10, 28, PREFIX, layer),
  ...pair(NAMES.down, 14, 10, PREFIX, layer),
];

async function archive(settings: object | string, tensors: readonly TensorToWrite[], name = 'a.nemo'): Promise<string> {
  const path = join(folder, name);
  await writeNemo(path, typeof settings === 'string' ? settings : stringify(settings), tensors);
  return path;
}
const rowsOf = async (module: AdapterModule) => {
  const { b } = await module.read();
  return Array.from({ length: module.out }, (_, row) => Math.floor(b[row * module.rank]! / 1000));
};

describe('the fused variant', () => {
  it('gives seven modules a layer, with alpha over the rank as scale', async () => {
    const file = await readNemo(await archive(config(), [...allOf(0), ...allOf(1)]), GEOMETRY);
    expect([file.format, file.kind, file.base, file.rank]).toEqual(['nemo', 'lora', '/models/small.nemo', 4]);
    expect(file.modules.map(({ layer, module }) => `${layer}${module}`).join(' ')).toBe(
      '0q 0k 0v 0o 0gate 0up 0down 1q 1k 1v 1o 1gate 1up 1down',
    );
    for (const module of file.modules) {
      expect([module.rank, module.alpha, module.scale]).toEqual([4, 8, 2]);
      expect({ in: module.in, out: module.out }).toEqual(W[module.module]);
      const { a, b, magnitude, bias } = await module.read();
      expect([a.length, b.length, magnitude, bias]).toEqual([RANK * module.in, module.out * RANK, null, null]);
      expect(a[module.in + 2]).toBe(Math.fround(valueAt(1, 2, 0.25 + module.layer)));
      expect(b[1]! % 1000).toBeCloseTo(1.5 + module.layer, 3);
    }
    expect(file.notes.join('\n')).toContain('alpha 8 over adapter_dim 4 gives the scale 2');
    expect(file.notes.join('\n')).toContain('adapter_dropout 0.1');
    expect(file.bytes).toBe((await readFile(file.path)).length);
    await file.close();
  });

  it('takes queries, keys and values out of their groups', async () => {
    const file = await readNemo(await archive(config(), qkvOf(0).concat(qkvOf(1))), GEOMETRY);
    const [q, k, v] = file.modules;
    // Each group has 2 heads of queries, one of keys, one of values, each of 3 rows: 0-5, 6-8, 9-11, then the next group.
    expect(await rowsOf(q!)).toEqual([0, 1, 2, 3, 4, 5, 12, 13, 14, 15, 16, 17]);
    expect(await rowsOf(k!)).toEqual([6, 7, 8, 18, 19, 20]);
    expect(await rowsOf(v!)).toEqual([9, 10, 11, 21, 22, 23]);
    await file.close();
  });

  it('takes gate out of the first half and up out of the second', async () => {
    const tensors = [0, 1].flatMap((layer) => pair(NAMES.gateUp, 10, 28, PREFIX, layer));
    const file = await readNemo(await archive(config(), tensors), GEOMETRY);
    expect(await rowsOf(file.modules[0]!)).toEqual(Array.from({ length: 14 }, (_, i) => i));
    expect(await rowsOf(file.modules[1]!)).toEqual(Array.from({ length: 14 }, (_, i) => 14 + i));
    await file.close();
  });

  it.each([
    'model.language_model.encoder.',
    'model.decoder.',
    'model.module.decoder.',
    'model.module.language_model.encoder.',
  ])('under the prefix %s', async (prefix) => {
    const file = await readNemo(await archive(config(), [...qkvOf(0, prefix), ...qkvOf(1, prefix)]), GEOMETRY);
    expect(file.modules).toHaveLength(6);
    await file.close();
  });
});

it('reads the canonical variant', async () => {
  const part = (group: string, module: string, out: number, layer: number) =>
    pair(`${group}.${module}_adapter`, 10, out, PREFIX, layer);
  const tensors = [0, 1].flatMap((layer) => [
    ...part(`${ATTENTION}.lora_unfused_kqv_adapter`, 'q', 12, layer),
    ...part(`${ATTENTION}.lora_unfused_kqv_adapter`, 'k', 6, layer),
    ...part(`${ATTENTION}.lora_unfused_kqv_adapter`, 'v', 6, layer),
    ...part(`${MLP}.lora_unfused_hto4h_adapter`, 'gate', 14, layer),
    ...part(`${MLP}.lora_unfused_hto4h_adapter`, 'up', 14, layer),
    ...pair(NAMES.down, 14, 10, PREFIX, layer),
  ]);
  const settings = config({}, { variant: 'canonical', target_modules: ['attention_qkv', 'mlp'] });
  const file = await readNemo(await archive(settings, tensors), GEOMETRY);
  expect(file.modules.map(({ layer, module }) => `${layer}${module}`).join(' ')).toBe(
    '0q 0k 0v 0gate 0up 0down 1q 1k 1v 1gate 1up 1down',
  );
  expect(await rowsOf(file.modules[1]!)).toEqual([0, 1, 2, 3, 4, 5]);
  await file.close();
});

describe('settings', () => {
  it.each([
    ['null alpha', { alpha: null }, 4, 1],
    ['no alpha', { alpha: undefined }, 4, 1],
    ['alpha that is no whole number', { alpha: 1.5 }, 1.5, 0.375],
  ])('%s', async (_, more, alpha, scale) => {
    const file = await readNemo(await archive(config({}, more), [...qkvOf(0), ...qkvOf(1)]), GEOMETRY);
    expect([file.modules[0]!.alpha, file.modules[0]!.scale]).toEqual([alpha, scale]);
    await file.close();
  });

  it('defaults of the model: as many groups as heads, heads that divide the hidden size', async () => {
    const settings = config(
      { hidden_size: 12, num_query_groups: null, kv_channels: null },
      { target_modules: ['attention_qkv'] },
    );
    const tensors = [0, 1].flatMap((layer) => pair(NAMES.qkv, 12, 36, PREFIX, layer));
    const file = await readNemo(await archive(settings, tensors), null);
    expect(file.modules.map((module) => module.out)).toEqual([12, 12, 12, 12, 12, 12]);
    expect(await rowsOf(file.modules[1]!)).toEqual([3, 4, 5, 12, 13, 14, 21, 22, 23, 30, 31, 32]);
    await file.close();
  });

  it('layer_selection counts from 1', async () => {
    const path = await archive(config({}, { layer_selection: [2], target_modules: ['attention_qkv'] }), qkvOf(1));
    const file = await readNemo(path, GEOMETRY);
    expect(file.modules.map(({ layer, module }) => `${layer}${module}`)).toEqual(['1q', '1k', '1v']);
    await file.close();
  });

  it('a configuration without target_modules takes what is there', async () => {
    const file = await readNemo(await archive(config(), qkvOf(1)), GEOMETRY);
    expect(file.modules).toHaveLength(3);
    await file.close();
  });

  it('a folder with one archive', async () => {
    await archive(config(), qkvOf(0));
    const file = await readNemo(folder, GEOMETRY);
    expect(file.path).toBe(join(folder, 'a.nemo'));
    await file.close();
    await archive(config(), qkvOf(0), 'b.nemo');
    await expect(readNemo(folder, GEOMETRY)).rejects.toThrow(
      'expected exactly one .nemo file in the folder, found "a.nemo", "b.nemo"',
    );
    await mkdir(join(folder, 'empty'));
    await expect(readNemo(join(folder, 'empty'), GEOMETRY)).rejects.toThrow(
      'expected exactly one .nemo file in the folder, found none',
    );
  });
});

describe('refusals', () => {
  /** An interpolation of OmegaConf's that was not resolved when the file was saved. */
  const UNRESOLVED = ['$', '{layers}'].join('');
  const QKV_ONLY = { target_modules: ['attention_qkv'] };
  const both = [...qkvOf(0), ...qkvOf(1)];
  const rename = (tensors: TensorToWrite[], from: string, to: string) =>
    tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace(from, to) }));

  it.each<[string, object | string, TensorToWrite[], string]>([
    ['another hidden size', config({ hidden_size: 16 }), both, 'hidden_size: expected 10, as small has, found 16'],
    ['more layers', config({ num_layers: 3 }), both, 'num_layers: expected 2, as small has, found 3'],
    ['another MLP', config({ ffn_hidden_size: 15 }), both, 'ffn_hidden_size: expected 14, as small has, found 15'],
    ['more heads', config({ num_attention_heads: 8 }), both, 'num_attention_heads: expected 4, as small has, found 8'],
    ['more groups', config({ num_query_groups: 4 }), both, 'num_query_groups: expected 2, as small has, found 4'],
    ['wider heads', config({ kv_channels: 5 }), both, 'kv_channels: expected 3, as small has, found 5'],
    [
      'groups that divide no heads',
      config({ num_query_groups: 3 }),
      both,
      'num_query_groups: expected a divisor of the 4 heads, found 3',
    ],
    [
      'heads that do not divide',
      config({ kv_channels: null }),
      both,
      'kv_channels: expected it, as 4 heads do not divide hidden_size 10',
    ],
    [
      'a size that is none',
      config({ num_layers: UNRESOLVED }),
      both,
      `num_layers: expected a whole number from 1 to 10000, found "${UNRESOLVED}"`,
    ],
    [
      'a size that is absurd',
      config({ num_layers: 1e7 }),
      both,
      'num_layers: expected a whole number from 1 to 10000, found 10000000',
    ],
    [
      'no rank',
      config({ peft: {} }),
      both,
      'peft.lora_tuning.adapter_dim: expected a whole number from 1 to 16777216, found nothing',
    ],
    [
      'alpha of 0',
      config({}, { alpha: 0 }),
      both,
      'peft.lora_tuning.alpha: expected null or a number above 0, found 0',
    ],
    [
      'alpha that is infinite',
      config({}, { alpha: Number.POSITIVE_INFINITY }),
      both,
      'expected null or a number above 0, found Infinity',
    ],
    [
      'another scheme',
      config({ peft: { peft_scheme: 'ptuning', lora_tuning: lora() } }),
      both,
      'peft.peft_scheme: expected "lora", found "ptuning"',
    ],
    [
      'another variant',
      config({}, { variant: 'x' }),
      both,
      'peft.lora_tuning.variant: expected "nemo" or "canonical", found "x"',
    ],
    [
      'the other variant',
      config({}, { variant: 'canonical' }),
      both,
      'layer 0: expected variant "canonical", as the configuration says, found qkv of "nemo"',
    ],
    [
      'tied weights',
      config({}, { weight_tying: true }),
      both,
      'peft.lora_tuning.weight_tying: expected false, found true',
    ],
    [
      'an unknown target',
      config({}, { target_modules: ['lm_head'] }),
      both,
      'peft.lora_tuning.target_modules: expected some of attention_qkv,',
    ],
    [
      'layers that are none',
      config({}, { layer_selection: [0] }),
      both,
      'peft.lora_tuning.layer_selection: expected null or a list of layers, counted from 1',
    ],
    [
      'layers past the last',
      config({}, { layer_selection: [3] }),
      both,
      'layer_selection: expected layers of 1 to 2, found 3',
    ],
    ['YAML that is none', 'a: [1', both, 'model_config.yaml: expected YAML, found text that is none'],
    [
      'a key twice',
      'a: 1\na: 2',
      both,
      'model_config.yaml: expected YAML, found text that is none (Map keys must be unique',
    ],
    [
      'YAML that multiplies',
      `a: &a [x,x]\n${Array.from({ length: 20 }, (_, i) => `b${i}: &b${i} [${`*${i ? `b${i - 1}` : 'a'},`.repeat(20)}]`).join('\n')}`,
      both,
      'model_config.yaml: expected YAML',
    ],
    ['YAML of great depth', `a: ${'['.repeat(50_000)}`, both, 'model_config.yaml: expected YAML'],
    ['a list', '- a', both, 'model_config.yaml: expected a mapping, found a list'],
    [
      'a large configuration',
      `a: ${'x'.repeat(1_000_001)}`,
      both,
      'model_config.yaml: expected at most 1000000 bytes, found 1000004',
    ],
    ['no tensors', config(), [], 'expected tensors of a LoRA, found none'],
    [
      'an orphan half',
      config(),
      [...qkvOf(0), qkvOf(1)[0]!],
      'layer 1, qkv: expected self_attention.adapter_layer.lora_kqv_adapter.linear_out.weight, found none',
    ],
    ['the other orphan half', config(), [...qkvOf(0), qkvOf(1)[1]!], 'lora_kqv_adapter.linear_in.weight, found none'],
    [
      'an unmatched name',
      config(),
      [...both, matrix('model.embedding.weight', 2, 2)],
      'tensor "model.embedding.weight" matches nothing: it is no part of a LoRA',
    ],
    ['a prefix that is none', config(), rename(both, 'model.', 'base_model.model.'), 'matches nothing'],
    [
      'position embeddings',
      config(),
      [...both, matrix(`${PREFIX}layers.0.${NAMES.qkv}.position_embeddings.weight`, 2, 2)],
      'matches nothing: position embeddings of tied weights are not read',
    ],
    [
      'a name under two prefixes',
      config(),
      [...qkvOf(0), ...qkvOf(0, 'model.decoder.')],
      'is there twice, under two prefixes',
    ],
    ['a layer past the last', config(), [...both, ...qkvOf(2)], 'expected a layer below 2, found 2'],
    [
      'a rank that is not adapter_dim',
      config({}, { adapter_dim: 8 }),
      both,
      `linear_in.weight": expected shape [8, 10], found [4, 10]`,
    ],
    [
      'a misshapen half',
      config(),
      [...both.slice(0, 3), matrix(both[3]!.name, 23, 4)],
      'linear_out.weight": expected shape [24, 4], found [23, 4]',
    ],
    [
      'a shape of other axes',
      config(),
      [...both.slice(0, 3), { ...both[3]!, shape: [96] }],
      'expected shape [24, 4], found [96]',
    ],
    [
      'a target that is missing',
      config({}, { target_modules: ['attention'] }),
      both,
      'layer 0: expected attention_dense, as the configuration says, found none',
    ],
    [
      'a layer that is missing',
      config({}, QKV_ONLY),
      qkvOf(0),
      'layer 1: expected attention_qkv, as the configuration says, found none',
    ],
    [
      'a target too many',
      config({}, QKV_ONLY),
      [...both, ...pair(NAMES.o, 12, 10)],
      'layer 0: expected no attention_dense, as target_modules says, found o',
    ],
    [
      'a layer too many',
      config({}, { ...QKV_ONLY, layer_selection: [1] }),
      both,
      'layer 1: expected nothing, as layer_selection says, found qkv',
    ],
    [
      'a canonical part missing',
      config({}, { variant: null }),
      pair(`${MLP}.lora_unfused_hto4h_adapter.gate_adapter`, 10, 14),
      'layer 0: expected gate, up of mlp_fc1, found no up',
    ],
    [
      'fused and apart',
      config({}, { variant: null }),
      [...pair(NAMES.gateUp, 10, 28), ...pair(`${MLP}.lora_unfused_hto4h_adapter.up_adapter`, 10, 14)],
      'layer 0: expected mlp_fc1 fused or apart, found both: gate_up, up',
    ],
  ])('%s', async (_, settings, tensors, message) => {
    const path = await archive(settings, tensors);
    await expect(readNemo(path, GEOMETRY)).rejects.toThrow(FileError);
    await expect(readNemo(path, GEOMETRY)).rejects.toThrow(message);
  });

  it('tells all problems at once', async () => {
    const tensors = [qkvOf(0)[0]!, matrix('stray', 1, 1), ...pair(NAMES.o, 12, 11)];
    const error = await readNemo(await archive(config({ num_layers: 3 }), tensors), GEOMETRY).catch((e) => e);
    expect(error.problems).toEqual([
      'num_layers: expected 2, as small has, found 3',
      'tensor "stray" matches nothing: it is no part of a LoRA on attention or MLP',
      `layer 0, qkv: expected ${NAMES.qkv}.linear_out.weight, found none`,
      `tensor "${PREFIX}layers.0.${NAMES.o}.linear_out.weight": expected shape [10, 4], found [11, 4]`,
    ]);
  });

  it('a value that is not finite, when it is read', async () => {
    const tensors = [...qkvOf(0), ...qkvOf(1)];
    tensors[3]!.data[4 * 13 + 2] = Number.NaN;
    const file = await readNemo(await archive(config(), tensors), GEOMETRY);
    await expect(file.modules[3]!.read()).rejects.toThrow(
      `tensor "${tensors[3]!.name}": expected finite values, found NaN at [13, 2]`,
    );
    expect((await file.modules[0]!.read()).b).toHaveLength(48);
    await file.close();
  });

  it('archives that are none, each by what it is', async () => {
    const path = join(folder, 'x.nemo');
    await writeFile(path, Buffer.from([0x1f, 0x8b, 8, 0]));
    await expect(readNemo(path, null)).rejects.toThrow('expected an uncompressed tar, found gzip');
    await writeFile(path, 'no');
    await expect(readNemo(path, null)).rejects.toThrow('expected a tar of at least 512 bytes, found 2');
    await expect(readNemo(join(folder, 'none.nemo'), null)).rejects.toThrow('there is no such file');
    for (const [files, message] of [
      [{ a: 'x' }, 'expected model_config.yaml in the archive, found "a"'],
      [
        { 'model_config.yaml': 'a: 1' },
        'expected model_weights.ckpt, or mp_rank_*/model_weights.ckpt, in the archive, found "model_config.yaml"',
      ],
      [
        { 'model_config.yaml': 'a: 1', 'model_weights/.metadata': 'x' },
        'found a distributed checkpoint (model_weights/)',
      ],
      [
        { 'model_config.yaml': stringify(config()), 'model_weights.ckpt': 'x' },
        'x.nemo!model_weights.ckpt: expected a zip as torch.save writes it',
      ],
      [
        { 'model_config.yaml': 'a: 1', 'mp_rank_01/model_weights.ckpt': 'x' },
        'expected the checkpoint of tensor-parallel rank 0, pipeline stage 0, found none',
      ],
      [
        { 'model_config.yaml': 'a: 1', 'mp_rank_00/model_weights.ckpt': 'x', 'model_weights.ckpt': 'x' },
        'two checkpoints are of rank 0, stage 0',
      ],
    ] as const) {
      await packed(path, files);
      await expect(readNemo(path, null)).rejects.toThrow(FileError);
      await expect(readNemo(path, null)).rejects.toThrow(message);
    }
  });

  it('a NeMo 2 checkpoint, with the command that exports it', async () => {
    const command = `llm.export_ckpt(path="/data/my lora", target="hf-peft", output_path="adapter")`;
    expect(refuseNemo2('/data/my lora').message).toContain(command);
    await mkdir(join(folder, 'weights'));
    await mkdir(join(folder, 'context'));
    await expect(readNemo(folder, null)).rejects.toThrow('found a NeMo 2 distributed checkpoint: export it');
  });
});

/** An archive as `tar` packs a folder of these files. */
async function packed(path: string, files: Record<string, string | ((path: string) => Promise<void>)>): Promise<void> {
  const from = await mkdtemp(join(folder, 'packed-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(from, name)), { recursive: true });
    if (typeof content === 'string') await writeFile(join(from, name), content);
    else await content(join(from, name));
  }
  await create({ file: path, cwd: from }, ['.']);
}

describe('parallel training', () => {
  /** Rows, or columns, of one rank, as Megatron's ColumnParallelLinear and RowParallelLinear keep them. */
  function share(
    tensor: ReturnType<typeof matrix>,
    rank: number,
    ranks: number,
    by: 'rows' | 'columns',
  ): TensorToWrite {
    const [rows, columns] = tensor.shape as [number, number];
    const pick = (_: number, i: number) =>
      (by === 'rows' ? Math.floor(i / columns / (rows / ranks)) : Math.floor((i % columns) / (columns / ranks))) ===
      rank;
    const shape = by === 'rows' ? [rows / ranks, columns] : [rows, columns / ranks];
    return { ...tensor, shape, data: tensor.data.filter(pick) };
  }
  /** What one rank of 2 keeps of a layer; the fused gate and up of a rank are halves of its own. */
  const ofRank = (layer: number, rank: number): TensorToWrite[] =>
    allOf(layer).map((tensor) => {
      const inputSplit = tensor.name.includes('dense') || tensor.name.includes('4htoh');
      if (tensor.name.includes('linear_in')) return share(tensor, rank, 2, inputSplit ? 'columns' : 'rows');
      if (!tensor.name.includes('hto4h')) return share(tensor, rank, 2, 'rows');
      const data = Float32Array.from(
        [...Array(14).keys()].flatMap((i) => {
          const row = (i < 7 ? 0 : 14) + rank * 7 + (i % 7);
          return [...tensor.data.subarray(row * RANK, (row + 1) * RANK)];
        }),
      );
      return { ...tensor, shape: [14, RANK], data };
    });
  const local = (tensors: TensorToWrite[]) =>
    tensors.map((tensor) => ({ ...tensor, name: tensor.name.replace('layers.1.', 'layers.0.') }));
  const weights = (tensors: TensorToWrite[]) => (path: string) => writeTorchFile(path, tensors);

  async function expectSame(path: string) {
    const [one, several] = [
      await readNemo(await archive(config(), [...allOf(0), ...allOf(1)], 'one.nemo'), GEOMETRY),
      await readNemo(path, GEOMETRY),
    ];
    expect(several.modules).toHaveLength(14);
    for (const [i, module] of one.modules.entries()) {
      expect(await several.modules[i]!.read()).toEqual(await module.read());
      expect([several.modules[i]!.layer, several.modules[i]!.module]).toEqual([module.layer, module.module]);
    }
    await one.close();
    await several.close();
  }

  it('joins tensor-parallel ranks', async () => {
    const path = join(folder, 'tp.nemo');
    await packed(path, {
      'model_config.yaml': stringify(config({ tensor_model_parallel_size: 2 })),
      'mp_rank_00/model_weights.ckpt': weights([...ofRank(0, 0), ...ofRank(1, 0)]),
      'mp_rank_01/model_weights.ckpt': weights([...ofRank(0, 1), ...ofRank(1, 1)]),
    });
    await expectSame(path);
  });

  it('joins tensor-parallel ranks of pipeline stages, whose layers count from 0', async () => {
    const path = join(folder, 'pp.nemo');
    await packed(path, {
      'model_config.yaml': stringify(config({ tensor_model_parallel_size: 2, pipeline_model_parallel_size: 2 })),
      'tp_rank_00_pp_rank_000/model_weights.ckpt': weights(ofRank(0, 0)),
      'tp_rank_01_pp_rank_000/model_weights.ckpt': weights(ofRank(0, 1)),
      'tp_rank_00_pp_rank_001/model_weights.ckpt': weights(local(ofRank(1, 0))),
      'tp_rank_01_pp_rank_001/model_weights.ckpt': weights(local(ofRank(1, 1))),
    });
    await expectSame(path);
  });

  it('refuses more ranks than there can be, however few of them are there', async () => {
    const path = join(folder, 'sparse.nemo');
    await packed(path, {
      'model_config.yaml': stringify(config()),
      'tp_rank_4095_pp_rank_4095/model_weights.ckpt': weights(ofRank(0, 0)),
    });
    await expect(readNemo(path, GEOMETRY)).rejects.toThrow(
      'expected checkpoints of at most 1024 ranks, found names of 4096 tensor-parallel ranks x 4096 pipeline stages',
    );
  });

  it('tells the ranks that lack a tensor in one sentence', async () => {
    const path = join(folder, 'orphans.nemo');
    const none = Object.fromEntries(
      Array.from({ length: 7 }, (_, i) => [`mp_rank_0${i + 1}/model_weights.ckpt`, weights([])]),
    );
    const files = { 'model_config.yaml': stringify(config()), 'mp_rank_00/model_weights.ckpt': weights(allOf(0)) };
    await packed(path, { ...files, ...none });
    const problems = await readNemo(path, GEOMETRY).then(
      () => [],
      (error: FileError) => error.problems,
    );
    expect(problems.filter((problem) => problem.includes('qkv'))).toEqual([
      `layer 0, qkv: expected ${NAMES.qkv}.linear_in.weight of tensor-parallel ranks 1-7, found none`,
      `layer 0, qkv: expected ${NAMES.qkv}.linear_out.weight of tensor-parallel ranks 1-7, found none`,
    ]);
  });

  it('refuses ranks that do not fit', async () => {
    const path = join(folder, 'bad.nemo');
    const rank = (i: number) => weights([...ofRank(0, i), ...ofRank(1, i)]);
    const settings = (more: object) => stringify(config(more));
    const refused = async (files: Parameters<typeof packed>[1], message: string) => {
      await packed(path, files);
      await expect(readNemo(path, GEOMETRY)).rejects.toThrow(message);
    };
    await refused(
      {
        'model_config.yaml': settings({ tensor_model_parallel_size: 4 }),
        'mp_rank_00/model_weights.ckpt': rank(0),
        'mp_rank_01/model_weights.ckpt': rank(1),
      },
      'expected checkpoints of 4 ranks, as tensor_model_parallel_size says, found 2',
    );
    await refused(
      { 'model_config.yaml': settings({}), 'model_weights.ckpt': rank(0) },
      `linear_out.weight": expected shape [24, 4], found [12, 4]`,
    );
    await refused(
      {
        'model_config.yaml': settings({}),
        'mp_rank_00/model_weights.ckpt': rank(0),
        'mp_rank_01/model_weights.ckpt': weights(ofRank(0, 1)),
      },
      `layer 1, qkv: expected ${NAMES.qkv}.linear_in.weight of tensor-parallel rank 1, found none`,
    );
    await refused(
      {
        'model_config.yaml': settings({}),
        'tp_rank_00_pp_rank_000/model_weights.ckpt': weights(allOf(0)),
        'tp_rank_00_pp_rank_001/model_weights.ckpt': weights(allOf(1)),
      },
      'expected a layer below 1, found 1',
    );
  });
});

it('a damaged archive ends in an error or in modules of the right shapes and values', async () => {
  const path = await archive(config(), [...qkvOf(0), ...qkvOf(1)]);
  const whole = await readFile(path);
  async function outcome(): Promise<unknown[] | null> {
    try {
      const file = await readNemo(path, GEOMETRY);
      try {
        const found: unknown[] = [];
        for (const { layer, module, scale, read } of file.modules) found.push([layer, module, scale, await read()]);
        return found;
      } finally {
        await file.close();
      }
    } catch (error) {
      expect(error).toBeInstanceOf(FileError);
      return null;
    }
  }
  const right = (await outcome())!;
  expect(right).toHaveLength(6);
  const weightsAt = whole.indexOf('PK\x03\x04');
  await fc.assert(
    fc.asyncProperty(damages(whole.length, 1), async (edits) => {
      const bytes = damaged(whole, edits);
      await writeFile(path, bytes);
      const found = await outcome();
      // The configuration has no checksum: damage there may read as other settings, and does so at its own risk.
      const settings = !whole.subarray(0, weightsAt).equals(bytes.subarray(0, weightsAt));
      if (found && !settings) expect(found).toEqual(right);
    }),
    { numRuns: 200 },
  );
});
