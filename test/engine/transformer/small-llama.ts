/**
 * A small Llama's weights, made here from a seed so that what the device holds can be told from the numbers themselves: every
 * element of every tensor differs from its neighbours, norms are not ones, and all values are exact in f32, f16 and bf16.
 *
 * In: a geometry. Out: its tensors as numbers; as a TensorFile in memory; or as a Hugging Face folder.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Geometry } from '../../../engine/models/geometry.ts';
import { HUGGING_FACE_NAMES, MODULES, moduleWidths } from '../../../engine/models/projections.ts';
import { bytesOfFloats, floatsOf } from '../../../engine/tensor-files/half.ts';
import { DTYPE_BYTES, type DType, type StoredTensor, type TensorFile } from '../../../engine/tensor-files/tensor.ts';
import { writeSafetensors } from '../../../engine/tensor-files/write-safetensors.ts';

/** Widths off the tiles' multiples: gate and up of 96 lie 128 columns apart, 120 ids fill 128, q, k and v end at 256 of 256. */
export const SMALL: Geometry = {
  name: 'small',
  hidden: 64,
  intermediate: 96,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  vocab: 120,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  maxPosition: 256,
  tied: false,
  eosIds: [2],
  standIn: null,
};

export interface Values {
  shape: number[];
  values: Float32Array;
}

/** Eight bits of significand, so that bf16 holds each; between 1/8 and 1 in size, divided by `size`, a power of two. */
function someValues(key: number, shape: number[], size: number): Values {
  const count = shape.reduce((product, n) => product * n, 1);
  const values = Float32Array.from({ length: count }, (_, i) => {
    const hash = (Math.imul(key * 40503 + i + 1, 0x9e3779b1) ^ (i << 7)) >>> 0;
    const significand = 128 + ((hash >>> 9) & 127);
    return ((hash & 1 ? -1 : 1) * significand) / 2 ** (8 + ((hash >>> 4) & 3)) / size;
  });
  return { shape, values };
}

/** Every tensor by its Hugging Face name; no head when tied. */
export function smallLlama(g: Geometry): Map<string, Values> {
  const widths = moduleWidths(g);
  const tensors = new Map<string, Values>();
  const add = (name: string, shape: number[], size: number) =>
    tensors.set(name, someValues(tensors.size + 1, shape, size));
  add('model.embed_tokens.weight', [g.vocab, g.hidden], 1);
  for (let layer = 0; layer < g.layers; layer++) {
    add(`model.layers.${layer}.input_layernorm.weight`, [g.hidden], 1);
    for (const module of MODULES) {
      add(`model.layers.${layer}.${HUGGING_FACE_NAMES[module]}.weight`, [widths[module].out, widths[module].in], 4);
    }
    add(`model.layers.${layer}.post_attention_layernorm.weight`, [g.hidden], 1);
  }
  add('model.norm.weight', [g.hidden], 1);
  if (!g.tied) add('lm_head.weight', [g.vocab, g.hidden], 4);
  return tensors;
}

/** @param watch told of every read, in bytes */
export function inMemory(
  tensors: ReadonlyMap<string, Values>,
  dtypeOf: (name: string) => DType,
  watch: (bytes: number) => void = () => {},
): TensorFile {
  const stored = [...tensors].map(([name, { shape, values }]): [string, StoredTensor] => {
    const dtype = dtypeOf(name);
    const bytes = bytesOfFloats(values, dtype);
    const size = DTYPE_BYTES[dtype];
    const readBytes = async (first: number, count: number) => {
      watch(count * size);
      return bytes.slice(first * size, (first + count) * size);
    };
    const read = async (first = 0, count = values.length - first) => floatsOf(await readBytes(first, count), dtype);
    return [name, { name, dtype, shape, elements: values.length, readBytes, read }];
  });
  return { path: 'memory', bytes: 0, tensors: new Map(stored), others: new Map(), metadata: {}, close: async () => {} };
}

/** Writes the tensors into so many shards, with an index when there is more than one, and a config.json. */
export async function writeFolder(
  folder: string,
  g: Geometry,
  tensors: ReadonlyMap<string, Values>,
  { dtype, shards = 1 }: { dtype: DType; shards?: number },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const all = [...tensors].map(([name, { shape, values }]) => ({ name, dtype, shape, data: values }));
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard < shards; shard++) {
    const part = all.filter((_, i) => i % shards === shard);
    const number = (n: number) => String(n).padStart(5, '0');
    const file = shards === 1 ? 'model.safetensors' : `model-${number(shard + 1)}-of-${number(shards)}.safetensors`;
    for (const { name } of part) weightMap[name] = file;
    await writeSafetensors(join(folder, file), part, { format: 'pt' });
  }
  if (shards > 1) {
    const index = { metadata: {}, weight_map: weightMap };
    await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify(index));
  }
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: g.hidden,
    intermediate_size: g.intermediate,
    num_hidden_layers: g.layers,
    num_attention_heads: g.heads,
    num_key_value_heads: g.kvHeads,
    head_dim: g.headDim,
    vocab_size: g.vocab,
    rms_norm_eps: g.normEps,
    rope_theta: g.ropeTheta,
    max_position_embeddings: g.maxPosition,
    tie_word_embeddings: g.tied,
    bos_token_id: 1,
    eos_token_id: g.eosIds,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
}
