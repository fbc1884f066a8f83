/**
 * model_config.yaml of a NeMo 1.x archive -> the model it was trained on and the LoRA settings, checked.
 *
 * Keys and defaults: nemo/collections/nlp/parts/peft_config.py and the megatron_gpt_finetuning_config.yaml of NeMo 1.23.
 */
import type { Geometry } from '../models/geometry.ts';
import { quoted, valueText } from '../tensor-files/problems.ts';

export const NEMO_TARGETS = ['attention_qkv', 'attention_dense', 'mlp_fc1', 'mlp_fc2'] as const;
export type NemoTarget = (typeof NEMO_TARGETS)[number];

const SHORTHANDS: Readonly<Record<string, readonly NemoTarget[]>> = {
  attention: ['attention_qkv', 'attention_dense'],
  mlp: ['mlp_fc1', 'mlp_fc2'],
  all: NEMO_TARGETS,
};

/** Far above any model's; they bound what a hostile configuration can make the checks below loop over. */
const MOST_LAYERS = 10_000;
const MOST_HEADS = 65_536;
const MOST = 2 ** 24;

export interface NemoConfig {
  layers: number;
  hidden: number;
  ffn: number;
  heads: number;
  /** Heads of keys and values. */
  groups: number;
  headDim: number;
  /** Ranks the weights were split over when they were saved; null where it does not say. */
  tensorParallel: number | null;
  pipelineParallel: number | null;
  /** Of the adapter: its rank, and alpha after the default (the rank). */
  dim: number;
  alpha: number;
  dropout: number;
  variant: 'nemo' | 'canonical' | null;
  /** What was adapted; null where it does not say. */
  targets: ReadonlySet<NemoTarget> | null;
  /** Counted from 0 (the file counts from 1); null: all. */
  layerSelection: ReadonlySet<number> | null;
  base: string | null;
}

/** The settings, or every problem with them. */
export async function parseNemoConfig(text: string): Promise<NemoConfig | string[]> {
  const { parse } = await import('yaml');
  let root: unknown;
  try {
    root = parse(text, { maxAliasCount: 100, logLevel: 'error' });
  } catch (error) {
    return [`model_config.yaml: expected YAML, found text that is none (${(error as Error).message.split('\n')[0]})`];
  }
  const reader = new Reader(root);
  const config = { ...modelOf(reader), ...adapterOf(reader) };
  if (reader.problems.length > 0) return reader.problems;
  if (config.layerSelection && [...config.layerSelection].some((layer) => layer >= config.layers)) {
    return [
      `layer_selection: expected layers of 1 to ${config.layers}, found ${Math.max(...config.layerSelection) + 1}`,
    ];
  }
  return config;
}

function modelOf(reader: Reader) {
  const hidden = reader.count('hidden_size');
  const heads = reader.count('num_attention_heads', undefined, MOST_HEADS);
  const groups = reader.count('num_query_groups', heads);
  if (heads % groups !== 0) {
    reader.problems.push(`num_query_groups: expected a divisor of the ${heads} heads, found ${groups}`);
  }
  const headDim = reader.count('kv_channels', hidden / heads);
  if (!Number.isInteger(headDim)) {
    reader.problems.push(
      `kv_channels: expected it, as ${heads} heads do not divide hidden_size ${hidden}, found nothing`,
    );
  }
  return {
    layers: reader.count('num_layers', undefined, MOST_LAYERS),
    hidden,
    heads,
    groups,
    headDim,
    ffn: reader.count('ffn_hidden_size'),
    tensorParallel: reader.has('tensor_model_parallel_size') ? reader.count('tensor_model_parallel_size') : null,
    pipelineParallel: reader.has('pipeline_model_parallel_size') ? reader.count('pipeline_model_parallel_size') : null,
    base: reader.text('restore_from_path'),
  };
}

function adapterOf(reader: Reader) {
  const scheme = reader.text('peft.peft_scheme');
  if (scheme !== null && scheme !== 'lora') {
    reader.problems.push(`peft.peft_scheme: expected "lora", found ${quoted(scheme)}`);
  }
  const lora = 'peft.lora_tuning';
  const dim = reader.count(`${lora}.adapter_dim`);
  const variant = reader.text(`${lora}.variant`);
  if (variant !== null && variant !== 'nemo' && variant !== 'canonical') {
    reader.problems.push(`${lora}.variant: expected "nemo" or "canonical", found ${quoted(variant)}`);
  }
  const tying = reader.get(`${lora}.weight_tying`);
  if (tying !== undefined && tying !== null && tying !== false) {
    reader.problems.push(`${lora}.weight_tying: expected false, found ${valueText(tying)}: tied weights are not read`);
  }
  return {
    dim,
    alpha: reader.positive(`${lora}.alpha`, dim),
    dropout: reader.share(`${lora}.adapter_dropout`),
    variant: variant === 'nemo' || variant === 'canonical' ? (variant as 'nemo' | 'canonical') : null,
    targets: targetsOf(reader, `${lora}.target_modules`),
    layerSelection: layersOf(reader, `${lora}.layer_selection`),
  };
}

function targetsOf(reader: Reader, path: string): ReadonlySet<NemoTarget> | null {
  const value = reader.get(path);
  if (value === undefined || value === null) return null;
  const names: unknown[] = Array.isArray(value) ? value : [value];
  const targets = new Set<NemoTarget>();
  for (const name of names) {
    const own = NEMO_TARGETS.find((target) => target === name);
    const several = typeof name === 'string' && Object.hasOwn(SHORTHANDS, name) ? SHORTHANDS[name]! : [];
    const meant = own ? [own] : several;
    if (meant.length === 0) {
      const accepted = [...NEMO_TARGETS, ...Object.keys(SHORTHANDS)].join(', ');
      reader.problems.push(`${path}: expected some of ${accepted}, found ${valueText(name)}`);
    }
    for (const target of meant) targets.add(target);
  }
  return targets;
}

function layersOf(reader: Reader, path: string): ReadonlySet<number> | null {
  const value = reader.get(path);
  if (value === undefined || value === null) return null;
  const sane =
    Array.isArray(value) && value.length > 0 && value.every((layer) => Number.isSafeInteger(layer) && layer >= 1);
  if (!sane) {
    reader.problems.push(`${path}: expected null or a list of layers, counted from 1, found ${valueText(value)}`);
    return null;
  }
  return new Set((value as number[]).map((layer) => layer - 1));
}

/** Looks values up by dotted path and collects what is wrong; what it gives for a wrong one is only good for going on. */
class Reader {
  readonly problems: string[] = [];
  private readonly root: unknown;

  constructor(root: unknown) {
    this.root = root;
    if (typeof root !== 'object' || root === null || Array.isArray(root)) {
      this.problems.push(`model_config.yaml: expected a mapping, found ${valueText(root)}`);
    }
  }

  get(path: string): unknown {
    let value = this.root;
    for (const key of path.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
      value = (value as Record<string, unknown>)[key];
    }
    return value;
  }

  has(path: string): boolean {
    const value = this.get(path);
    return value !== undefined && value !== null;
  }

  /** A whole number from 1; `otherwise` where there is none, or null. */
  count(path: string, otherwise?: number, most = MOST): number {
    if (!this.has(path) && otherwise !== undefined) return otherwise;
    const value = this.get(path);
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
    this.problems.push(`${path}: expected a whole number from 1 to ${most}, found ${valueText(value)}`);
    return 1;
  }

  positive(path: string, otherwise: number): number {
    const value = this.get(path) ?? otherwise;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    this.problems.push(`${path}: expected null or a number above 0, found ${valueText(value)}`);
    return 1;
  }

  share(path: string): number {
    const value = this.get(path) ?? 0;
    if (typeof value === 'number' && value >= 0 && value <= 1) return value;
    this.problems.push(`${path}: expected a number from 0 to 1, found ${valueText(value)}`);
    return 0;
  }

  text(path: string): string | null {
    const value = this.get(path) ?? null;
    if (value === null || typeof value === 'string') return value;
    this.problems.push(`${path}: expected a text, found ${valueText(value)}`);
    return null;
  }
}

/** Where the model it was trained on is not the one it is for. */
export function nemoGeometryProblems(config: NemoConfig, geometry: Geometry): string[] {
  const pairs: [string, number, number][] = [
    ['num_layers', geometry.layers, config.layers],
    ['hidden_size', geometry.hidden, config.hidden],
    ['ffn_hidden_size', geometry.intermediate, config.ffn],
    ['num_attention_heads', geometry.heads, config.heads],
    ['num_query_groups', geometry.kvHeads, config.groups],
    ['kv_channels', geometry.headDim, config.headDim],
  ];
  return pairs.flatMap(([key, expected, found]) =>
    expected === found ? [] : `${key}: expected ${expected}, as ${geometry.name} has, found ${found}`,
  );
}
