/**
 * The configuration files of made adapters, as the tools that servers' loaders were written for leave them: PEFT's
 * adapter_config.json, NeMo's model_config.yaml, and our own for Tied-LoRA (README.md in this folder). Text out.
 *
 * alpha is the rank in all of them, so that alpha / rank is 1: the strength is in B, and loaders that forget to apply alpha
 * (TensorRT-LLM's for NeMo files) give the same outputs as those that do not.
 * Sources: PEFT's LoraConfig and VeraConfig (src/peft/tuners), NeMo's LoraPEFTConfig (peft_config.py).
 */
import { stringify } from 'yaml';
import type { Geometry } from '../models/geometry.ts';
import { HUGGING_FACE_NAMES, type ModuleName } from '../models/projections.ts';
import type { AdapterKind } from './adapter.ts';

/** The model that a preset has its geometry from, as the Hugging Face hub calls it. */
const PUBLISHED_NAMES: Readonly<Record<string, string>> = {
  'llama-3-8b': 'meta-llama/Meta-Llama-3-8B',
  'llama-3-70b': 'meta-llama/Meta-Llama-3-70B',
  'llama-3.1-8b': 'meta-llama/Llama-3.1-8B',
  'llama-3.2-1b': 'meta-llama/Llama-3.2-1B',
  'llama-3.2-3b': 'meta-llama/Llama-3.2-3B',
  'smollm2-135m': 'HuggingFaceTB/SmolLM2-135M',
};

/** The name by which other servers know the model; null where none does (stand-ins). */
export function publishedName({ name, standIn }: Geometry): string | null {
  return standIn === null ? (PUBLISHED_NAMES[name] ?? null) : null;
}

export interface ConfigOptions {
  geometry: Geometry;
  kind: AdapterKind;
  rank: number;
  modules: readonly ModuleName[];
}

/** "self_attn.q_proj" is a place in a layer; configurations name its last part. */
const projection = (module: ModuleName): string => HUGGING_FACE_NAMES[module].split('.').at(-1)!;

/** adapter_config.json of a PEFT folder, or of ours for Tied-LoRA. */
export function adapterConfig({ geometry, kind, rank, modules }: ConfigOptions): string {
  const named = {
    base_model_name_or_path: publishedName(geometry) ?? geometry.name,
    r: rank,
    target_modules: modules.map(projection),
  };
  const config = kind === 'tied' ? tied(named, geometry) : kind === 'vera' ? vera(named) : lora(named, kind);
  const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify(sorted, null, 2)}\n`;
}

type Named = { base_model_name_or_path: string; r: number; target_modules: string[] };

/** What every tuner of PEFT writes. */
const ANY_TUNER = {
  auto_mapping: null,
  bias: 'none',
  fan_in_fan_out: false,
  inference_mode: true,
  layers_pattern: null,
  layers_to_transform: null,
  modules_to_save: null,
  revision: null,
  task_type: 'CAUSAL_LM',
};

const lora = (named: Named, kind: 'lora' | 'dora') => ({
  ...ANY_TUNER,
  ...named,
  peft_type: 'LORA',
  lora_alpha: named.r,
  lora_bias: false,
  lora_dropout: 0.0,
  alpha_pattern: {},
  rank_pattern: {},
  exclude_modules: null,
  init_lora_weights: true,
  layer_replication: null,
  loftq_config: {},
  megatron_config: null,
  megatron_core: 'megatron.core',
  use_dora: kind === 'dora',
  use_rslora: false,
});

const vera = (named: Named) => ({
  ...ANY_TUNER,
  ...named,
  peft_type: 'VERA',
  d_initial: 0.1,
  init_weights: true,
  projection_prng_key: 0,
  save_projection: true,
  vera_dropout: 0.0,
});

const tied = (named: Named, { layers }: Geometry) => ({
  ...named,
  peft_type: 'TIED_LORA',
  lora_alpha: named.r,
  num_layers: layers,
  layers_to_transform: null,
});

/** Modules that one linear layer of Megatron computes, and so one adapter of NeMo changes. */
export const NEMO_TARGETS = {
  attention_qkv: ['q', 'k', 'v'],
  attention_dense: ['o'],
  mlp_fc1: ['gate', 'up'],
  mlp_fc2: ['down'],
} as const satisfies Record<string, readonly ModuleName[]>;
export type NemoTarget = keyof typeof NEMO_TARGETS;

/** NeMo's names for the modules, or null when they split what NeMo computes as one. */
export function nemoTargets(modules: readonly ModuleName[]): NemoTarget[] | null {
  const targets: NemoTarget[] = [];
  for (const [target, parts] of Object.entries(NEMO_TARGETS)) {
    const wanted = parts.filter((part) => modules.includes(part)).length;
    if (wanted === parts.length) targets.push(target as NemoTarget);
    else if (wanted > 0) return null;
  }
  return targets;
}

/** model_config.yaml of a .nemo: what loaders read of it. */
export function nemoConfig(geometry: Geometry, rank: number, targets: readonly NemoTarget[]): string {
  return stringify({
    hidden_size: geometry.hidden,
    ffn_hidden_size: geometry.intermediate,
    num_layers: geometry.layers,
    num_attention_heads: geometry.heads,
    num_query_groups: geometry.kvHeads,
    kv_channels: geometry.headDim,
    tensor_model_parallel_size: 1,
    pipeline_model_parallel_size: 1,
    mcore_gpt: true,
    precision: 'bf16',
    peft: {
      peft_scheme: 'lora',
      lora_tuning: {
        variant: 'nemo',
        target_modules: [...targets],
        adapter_dim: rank,
        alpha: rank,
        adapter_dropout: 0.0,
        column_init_method: 'xavier',
        row_init_method: 'zero',
        layer_selection: null,
        weight_tying: false,
        position_embedding_strategy: null,
      },
    },
  });
}
