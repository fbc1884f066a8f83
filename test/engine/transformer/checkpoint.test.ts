/** Which stored tensor is which weight, and every set of tensors that is refused, from headers alone. */
import { describe, expect, test } from 'vitest';
import type { Geometry } from '../../../engine/models/geometry.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import type { DType, TensorFile } from '../../../engine/tensor-files/tensor.ts';
import { checkTiedHead, mapCheckpoint } from '../../../engine/transformer/checkpoint.ts';
import { inMemory, SMALL, smallLlama, type Values } from './small-llama.ts';

const TIED: Geometry = { ...SMALL, tied: true };
const vector = (...shape: number[]): Values => ({
  shape,
  values: new Float32Array(shape.reduce((product, size) => product * size, 1)),
});

/** The small Llama's tensors, changed by the test; nothing of their values may be read. */
function fileWith(g: Geometry, change: (tensors: Map<string, Values>) => void): TensorFile {
  const tensors = smallLlama(g);
  change(tensors);
  return inMemory(
    tensors,
    () => 'bf16',
    () => {
      throw new Error('a value was read');
    },
  );
}

function problemsOf(file: TensorFile, g: Geometry): readonly string[] {
  try {
    mapCheckpoint(file, g);
  } catch (error) {
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).path).toBe('memory');
    return (error as FileError).problems;
  }
  return [];
}

describe('what is accepted', () => {
  test('each weight is its own tensor', () => {
    const { layers, embedding, head, finalNorm } = mapCheckpoint(
      fileWith(SMALL, () => {}),
      SMALL,
    );
    expect(layers).toHaveLength(2);
    expect([embedding.name, head?.name, finalNorm.name]).toEqual([
      'model.embed_tokens.weight',
      'lm_head.weight',
      'model.norm.weight',
    ]);
    const layer = layers[1];
    expect([layer?.inputNorm.name, layer?.postAttentionNorm.name]).toEqual([
      'model.layers.1.input_layernorm.weight',
      'model.layers.1.post_attention_layernorm.weight',
    ]);
    expect(Object.entries(layer?.projections ?? {}).map(([module, { name }]) => [module, name])).toEqual([
      ['q', 'model.layers.1.self_attn.q_proj.weight'],
      ['k', 'model.layers.1.self_attn.k_proj.weight'],
      ['v', 'model.layers.1.self_attn.v_proj.weight'],
      ['o', 'model.layers.1.self_attn.o_proj.weight'],
      ['gate', 'model.layers.1.mlp.gate_proj.weight'],
      ['up', 'model.layers.1.mlp.up_proj.weight'],
      ['down', 'model.layers.1.mlp.down_proj.weight'],
    ]);
  });

  test('a tied model without a head', () => {
    expect(
      mapCheckpoint(
        fileWith(TIED, () => {}),
        TIED,
      ).head,
    ).toBeNull();
  });

  test('the rotation frequencies that old versions of transformers saved', () => {
    const file = fileWith(SMALL, (tensors) => {
      tensors.set('model.layers.1.self_attn.rotary_emb.inv_freq', vector(16));
      tensors.set('model.rotary_emb.inv_freq', vector(16));
    });
    expect(problemsOf(file, SMALL)).toEqual([]);
  });
});

describe('what is refused, each by name', () => {
  const Q = 'model.layers.0.self_attn.q_proj.weight';
  const cases: [string, (tensors: Map<string, Values>) => void, string][] = [
    ['a missing projection', (t) => t.delete(Q), `tensor "${Q}" is missing: expected [128, 64]`],
    ['a missing norm', (t) => t.delete('model.norm.weight'), 'tensor "model.norm.weight" is missing: expected [64]'],
    [
      'a missing head, in a model that is not tied',
      (t) => t.delete('lm_head.weight'),
      'tensor "lm_head.weight" is missing: expected [120, 64]',
    ],
    [
      'a projection the other way round',
      (t) => t.set(Q, vector(64, 128)),
      `tensor "${Q}" has the wrong shape: expected [128, 64], found [64, 128]`,
    ],
    [
      'one with another number of dimensions',
      (t) => t.set('model.norm.weight', vector(1, 64)),
      'tensor "model.norm.weight" has the wrong shape: expected [64], found [1, 64]',
    ],
    [
      'a bias',
      (t) => t.set('model.layers.0.self_attn.q_proj.bias', vector(128)),
      'tensor "model.layers.0.self_attn.q_proj.bias" is a bias: a Llama served here has none',
    ],
    [
      'a layer too many',
      (t) => t.set('model.layers.2.input_layernorm.weight', vector(64)),
      'tensor "model.layers.2.input_layernorm.weight" is of a layer that config.json does not have: it says 2 layers',
    ],
    [
      "another model's tensor",
      (t) => t.set('model.layers.0.self_attn.q_norm.weight', vector(32)),
      'tensor "model.layers.0.self_attn.q_norm.weight" is no part of a Llama',
    ],
    ...[
      'self_attn.q_proj.qweight',
      'self_attn.q_proj.scales',
      'mlp.up_proj.weight_scale',
      'mlp.up_proj.weight_scale_inv',
      'mlp.up_proj.weight.absmax',
      'mlp.up_proj.weight.quant_state.bitsandbytes__nf4',
    ].map((name): [string, (tensors: Map<string, Values>) => void, string] => [
      `quantised: ${name}`,
      (t) => t.set(`model.layers.1.${name}`, vector(4)),
      `tensor "model.layers.1.${name}" belongs to quantised weights: expected plain ones in f32, f16, bf16`,
    ]),
  ];
  test.each(cases)('%s', (_, change, problem) => {
    expect(problemsOf(fileWith(SMALL, change), SMALL)).toEqual([problem]);
  });

  test('a type that is not accepted', () => {
    const file = inMemory(smallLlama(SMALL), () => 'bf16');
    const tensor = file.tensors.get(Q);
    if (!tensor) throw new Error('there is no such tensor');
    const tensors = new Map(file.tensors);
    tensors.delete(Q);
    const others = new Map([[Q, { name: Q, dtype: 'I8', shape: tensor.shape }]]);
    expect(problemsOf({ ...file, tensors, others }, SMALL)).toEqual([
      `tensor "${Q}" has type I8: expected f32, f16, bf16`,
    ]);
  });

  test('a head of another shape, in a tied model too', () => {
    const file = fileWith(TIED, (t) => t.set('lm_head.weight', vector(119, 64)));
    expect(problemsOf(file, TIED)).toEqual([
      'tensor "lm_head.weight" has the wrong shape: expected [120, 64], found [119, 64]',
    ]);
  });

  test('all problems at once', () => {
    const file = fileWith(SMALL, (t) => {
      t.delete(Q);
      t.set('model.norm.weight', vector(65));
      t.set('score.weight', vector(2, 64));
    });
    expect(problemsOf(file, SMALL)).toHaveLength(3);
  });

  test('hundreds of them as the first and a count', () => {
    const deep = { ...SMALL, layers: 40 };
    const problems = problemsOf(
      fileWith(SMALL, () => {}),
      deep,
    );
    expect(problems).toHaveLength(21);
    expect(problems.at(-1)).toBe(`and ${38 * 9 - 20} more problems`);
  });
});

describe('the head of a tied model, saved all the same', () => {
  const withHead = (at: number | null, dtype: DType): TensorFile => {
    const tensors = smallLlama(TIED);
    const embedding = tensors.get('model.embed_tokens.weight') as Values;
    const head = { shape: embedding.shape, values: embedding.values.slice() };
    if (at !== null) head.values[at] = 0.75;
    return inMemory(tensors.set('lm_head.weight', head), (name) => (name === 'lm_head.weight' ? dtype : 'bf16'));
  };

  test.each(['bf16', 'f32'] as const)('may be the embedding, in %s', async (dtype) => {
    const file = withHead(null, dtype);
    expect(problemsOf(file, TIED)).toEqual([]);
    await expect(checkTiedHead(file, TIED)).resolves.toBeUndefined();
  });

  test('may be nothing else', async () => {
    await expect(checkTiedHead(withHead(119 * 64 + 63, 'bf16'), TIED)).rejects.toThrow(
      /tie_word_embeddings, yet tensor "lm_head\.weight" is not "model\.embed_tokens\.weight": at \[119, 63\] expected -?[\d.]+, found 0\.75$/,
    );
  });
});
