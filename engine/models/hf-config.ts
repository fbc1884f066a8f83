/**
 * A Hugging Face folder's config.json and generation_config.json as a Geometry.
 *
 * The Llama family only: everything that would make the model compute something else than what the kernels do is refused
 * by name, all of it at once. A field this file does not look at has no effect in LlamaForCausalLM either.
 * Source of names and defaults: transformers, models/llama/configuration_llama.py and modeling_rope_utils.py (4.x writes
 * rope_theta and rope_scaling, 5.x one block rope_parameters).
 */
import { join } from 'node:path';
import { FileError } from '../tensor-files/file-error.ts';
import type { Geometry, RopeScaling } from './geometry.ts';
import { isObject, type JsonObject, readJsonObject, shown } from './json-file.ts';

/** f16 weights are read in pairs along their inputs, and rotation does four elements of a head at a time. */
const WIDTH_MULTIPLE = 2;
const HEAD_MULTIPLE = 4;
const LARGEST_HEAD = 128;
/** Ids that the sampling kernel can hold back while a sequence is below its min_tokens. */
const MOST_END_IDS = 4;

/**
 * Geometry of the folder's model, under the given name.
 * @throws FileError with every problem: no config.json, another architecture, a field that is not supported
 */
export async function readGeometry(folder: string, name: string): Promise<Geometry> {
  const config = await readJsonObject(folder, 'config.json');
  if (config === null) throw new FileError(folder, 'there is no config.json; expected a Hugging Face model folder');
  const generation = await readJsonObject(folder, 'generation_config.json');
  const problems: string[] = [];
  const geometry = geometryFrom(config, generation, name, problems);
  if (problems.length > 0) throw new FileError(join(folder, 'config.json'), problems);
  return geometry;
}

/** What is wrong is added to `problems`; the geometry means nothing then. */
export function geometryFrom(
  config: JsonObject,
  generation: JsonObject | null,
  name: string,
  problems: string[],
): Geometry {
  if (!refuseArchitecture(config, problems)) refuseVariants(config, problems);
  const integer = (field: string, fallback?: number): number => {
    const value = config[field] ?? fallback;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    problems.push(`${field} is ${value === undefined ? 'missing' : shown(value)}; expected a whole number from 1`);
    return 1;
  };
  const positive = (field: string, fallback: number): number => {
    const value = config[field] ?? fallback;
    if (typeof value === 'number' && value > 0) return value;
    problems.push(`${field} is ${shown(value)}; expected a number above 0`);
    return fallback;
  };

  const hidden = integer('hidden_size');
  const intermediate = integer('intermediate_size');
  const layers = integer('num_hidden_layers');
  const heads = integer('num_attention_heads');
  const kvHeads = integer('num_key_value_heads', heads);
  const headDim = headDimOf(config, hidden, heads, problems);
  const vocab = integer('vocab_size');
  const { theta, scaling } = ropeOf(config, problems);
  const tied = config['tie_word_embeddings'] ?? false;
  if (typeof tied !== 'boolean') problems.push(`tie_word_embeddings is ${shown(tied)}; expected true or false`);

  if (heads % kvHeads !== 0) {
    problems.push(`num_key_value_heads is ${kvHeads}; expected a divisor of num_attention_heads, ${heads}`);
  }
  for (const [field, width] of Object.entries({ hidden_size: hidden, intermediate_size: intermediate })) {
    if (width > 1 && width % WIDTH_MULTIPLE !== 0) {
      problems.push(`${field} is ${width}; the kernels take multiples of ${WIDTH_MULTIPLE}`);
    }
  }
  return {
    name,
    hidden,
    intermediate,
    layers,
    heads,
    kvHeads,
    headDim,
    vocab,
    normEps: positive('rms_norm_eps', 1e-6),
    ropeTheta: theta,
    ropeScaling: scaling,
    maxPosition: integer('max_position_embeddings', 2048),
    tied: tied === true,
    eosIds: endIds(config, generation, vocab, problems),
    standIn: null,
  };
}

function headDimOf(config: JsonObject, hidden: number, heads: number, problems: string[]): number {
  const given = config['head_dim'] ?? null;
  const headDim = given ?? hidden / heads;
  if (Number.isSafeInteger(headDim) && (headDim as number) > 0) {
    if ((headDim as number) % HEAD_MULTIPLE === 0 && (headDim as number) <= LARGEST_HEAD) return headDim as number;
    if (hidden > 1) {
      problems.push(`head_dim is ${headDim}; the kernels take multiples of ${HEAD_MULTIPLE} up to ${LARGEST_HEAD}`);
    }
  } else if (given !== null) {
    problems.push(`head_dim is ${shown(given)}; expected a whole number from 1`);
  } else if (hidden > 1) {
    problems.push(`hidden_size ${hidden} is no multiple of num_attention_heads, ${heads}, and there is no head_dim`);
  }
  return HEAD_MULTIPLE;
}

/** True when the model is not a Llama at all: what else its fields mean is anybody's guess then. */
function refuseArchitecture(config: JsonObject, problems: string[]): boolean {
  const { architectures, model_type: type } = config;
  const accepted = 'expected LlamaForCausalLM (model_type llama)';
  const named = Array.isArray(architectures) ? architectures : architectures == null ? [] : [architectures];
  const other = named.find((architecture) => architecture !== 'LlamaForCausalLM');
  if (other !== undefined) problems.push(`architecture ${shown(other)} is not supported; ${accepted}`);
  else if (type !== 'llama' && (type !== undefined || named.length === 0)) {
    problems.push(`model_type is ${type === undefined ? 'missing' : shown(type)}; ${accepted}`);
  } else return false;
  return true;
}

/** Fields that make LlamaForCausalLM compute something else. */
function refuseVariants(config: JsonObject, problems: string[]): void {
  const expect = (field: string, accepted: unknown, also: unknown[] = []) => {
    const value = config[field] ?? accepted;
    if (value !== accepted && !also.includes(value)) {
      problems.push(`${field} is ${shown(value)}; expected ${shown(accepted)}`);
    }
  };
  expect('hidden_act', 'silu', ['swish']);
  expect('attention_bias', false);
  expect('mlp_bias', false);
  expect('pretraining_tp', 1);
  expect('partial_rotary_factor', 1);
  expect('rope_interleaved', false);
  if (config['use_sliding_window'] !== false) expect('sliding_window', null);
  const layerTypes = config['layer_types'];
  if (Array.isArray(layerTypes) && layerTypes.some((type) => type !== 'full_attention')) {
    problems.push(
      `layer_types has ${shown(layerTypes.find((type) => type !== 'full_attention'))}; expected full_attention only`,
    );
  }
  const quantization = config['quantization_config'];
  if (quantization != null) {
    const method = isObject(quantization) ? quantization['quant_method'] : quantization;
    problems.push(`quantization_config (${shown(method)}) is not supported; expected weights in f32, f16 or bf16`);
  }
  const custom = config['auto_map'];
  if (isObject(custom) && 'AutoModelForCausalLM' in custom) {
    problems.push(`auto_map names code of its own, ${shown(custom['AutoModelForCausalLM'])}; none is run here`);
  }
}

function ropeOf(config: JsonObject, problems: string[]): { theta: number; scaling: RopeScaling | null } {
  const { rope_parameters: block, rope_scaling: older } = config;
  for (const [field, value] of Object.entries({ rope_parameters: block, rope_scaling: older })) {
    if (value != null && !isObject(value)) problems.push(`${field} is ${shown(value)}; expected an object or null`);
  }
  const rope = isObject(block) ? block : isObject(older) ? older : {};
  const field = isObject(block) ? 'rope_parameters' : 'rope_scaling';
  const theta = rope['rope_theta'] ?? config['rope_theta'] ?? 10_000;
  if (typeof theta !== 'number' || !(theta > 0)) {
    problems.push(`rope_theta is ${shown(theta)}; expected a number above 0`);
    return { theta: 10_000, scaling: null };
  }
  const type = rope['rope_type'] ?? rope['type'] ?? 'default';
  const partial = rope['partial_rotary_factor'] ?? 1;
  if (partial !== 1) problems.push(`${field}.partial_rotary_factor is ${shown(partial)}; expected 1`);
  if (type === 'default') return { theta, scaling: null };
  if (type !== 'llama3') {
    problems.push(`${field}: rope_type ${shown(type)} is not supported; expected "llama3" or "default"`);
    return { theta, scaling: null };
  }
  const number = (key: string): number => {
    const value = rope[key];
    if (typeof value === 'number' && value > 0) return value;
    problems.push(
      `${field}.${key} is ${value === undefined ? 'missing' : shown(value)}; rope_type llama3 expects a number above 0`,
    );
    return 1;
  };
  const scaling = {
    factor: number('factor'),
    lowFreqFactor: number('low_freq_factor'),
    highFreqFactor: number('high_freq_factor'),
    originalMaxPosition: number('original_max_position_embeddings'),
  };
  if (scaling.highFreqFactor < scaling.lowFreqFactor) {
    problems.push(
      `${field}: high_freq_factor ${scaling.highFreqFactor} is below low_freq_factor ${scaling.lowFreqFactor}`,
    );
  }
  return { theta, scaling };
}

/** generation_config.json's end ids, or config.json's: the first is what the model's authors generate with. */
function endIds(config: JsonObject, generation: JsonObject | null, vocab: number, problems: string[]): number[] {
  const [file, value] =
    generation?.['eos_token_id'] == null
      ? (['', config['eos_token_id']] as const)
      : (['generation_config.json: ', generation['eos_token_id']] as const);
  const ids = [...new Set<unknown>(Array.isArray(value) ? value : value == null ? [] : [value])];
  const wrong = ids.find((id) => !Number.isSafeInteger(id) || (id as number) < 0 || (id as number) >= vocab);
  if (vocab > 1 && wrong !== undefined) {
    problems.push(`${file}eos_token_id has ${shown(wrong)}; expected token ids from 0 to ${vocab - 1}`);
  }
  if (ids.length > MOST_END_IDS) {
    problems.push(`${file}eos_token_id has ${ids.length} ids; expected at most ${MOST_END_IDS}`);
  }
  return ids as number[];
}
