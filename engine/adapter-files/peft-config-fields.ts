/**
 * The fields of adapter_config.json that peft-config.ts does not use: those that would change the result in a way the engine
 * does not have, each with its reason, and those that can be passed over because they matter in training only.
 * Source: huggingface/peft 0.21.2, src/peft/tuners/lora/config.py and vera/config.py; NVlabs/DoRA's DoraConfig.
 */

/** An absent field, and what Python takes as false: None, False, 0, "", [], {}. */
export function isUnset(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

const REFUSED: Readonly<Record<string, string>> = {
  fan_in_fan_out: 'is for transposed weights (Conv1D), which no Llama projection has; expected false',
  modules_to_save:
    'has whole modules stored with the adapter, which are not served; train without it, or merge the adapter',
  layer_replication: 'builds a model of repeated layers, which is not served; expected none',
  target_parameters: 'adapts single parameters, not projections, which is not served; expected none',
  trainable_token_indices: 'has trained token embeddings, which are not served; expected none',
  alora_invocation_tokens:
    'makes it an Activated LoRA, which switches on amid a prompt and is not served; expected none',
  use_qalora: 'pools the inputs of a quantised base (QALoRA), which is not served; expected false',
  use_bdlora: 'makes A or B block-diagonal (BD-LoRA), which is not served; expected none',
  arrow_config: 'routes between adapters (Arrow), which is not served; expected none',
  kasa_config: "truncates the base's weights and adds a diagonal (KaSA), which is not served; expected none",
  enable_lora: 'adapts slices of a fused projection, which is not served; expected none',
  Wdecompose_target_modules: 'has modules with a magnitude and no low-rank pair, which is not served; expected none',
};

/** Initialisations that subtract the first product from the base's weights, so that the adapter fits only that base. */
const CHANGES_BASE = /^(?:pissa(?:_niter_\d+)?|olora|corda|loftq|lora_ga)$/;

/** Read by peft-config.ts. */
const USED = [
  'peft_type',
  'base_model_name_or_path',
  'r',
  'lora_alpha',
  'rank_pattern',
  'alpha_pattern',
  'use_rslora',
  'use_dora',
  'lora_bias',
  'target_modules',
  'exclude_modules',
  'layers_to_transform',
  'layers_pattern',
  'save_projection',
  'bias',
  'init_lora_weights',
];

/** Without effect on what a trained adapter computes on a Llama model. */
const TRAINING_ONLY = [
  'task_type',
  'inference_mode',
  'auto_mapping',
  'peft_version',
  'revision',
  'lora_dropout',
  'vera_dropout',
  'init_weights',
  'init_vera_weights',
  'd_initial',
  'projection_prng_key',
  'qalora_group_size',
  'loftq_config',
  'eva_config',
  'corda_config',
  'lora_ga_config',
  'velora_config',
  'monteclora_config',
  'megatron_config',
  'megatron_core',
  'runtime_config',
  'ensure_weight_tying',
  'merge_weights',
  'dora_simple',
];

/** Tensors that belong to fields of the list above: part of a key, and what it is. */
export const TRAINING_TENSORS: readonly string[] = ['lora_velora_embed', 'lora_monteclora_sampler'];

/** What is wrong with the fields that are refused, and what a person should know of the others. */
export function judgeOtherFields(fields: Readonly<Record<string, unknown>>): { problems: string[]; notes: string[] } {
  const problems: string[] = [];
  const notes: string[] = [];
  for (const [key, value] of Object.entries(fields)) {
    const reason = Object.hasOwn(REFUSED, key) ? REFUSED[key] : undefined;
    if (reason !== undefined) {
      if (!isUnset(value)) problems.push(`${key} ${reason}, found ${shown(value)}`);
    } else if (!USED.includes(key) && !TRAINING_ONLY.includes(key) && !isUnset(value)) {
      notes.push(`unknown key "${key.slice(0, 80)}" ignored: ${shown(value)}`);
    }
  }
  const { bias, init_lora_weights: start } = fields;
  if (!isUnset(bias) && bias !== 'none') {
    problems.push(`bias trains the base's own bias terms, which is not served; expected "none", found ${shown(bias)}`);
  }
  if (typeof start === 'string' && CHANGES_BASE.test(start.toLowerCase())) {
    problems.push(
      `init_lora_weights "${start}" changed the base's weights in training, so that the adapter is wrong on the original ones; ` +
        'expected an adapter saved with path_initial_model_for_weight_conversion, or, for a base saved with those changes, ' +
        'init_lora_weights set to true',
    );
  }
  return { problems, notes };
}

/** A value as an error shows it: JSON, cut short. */
export function shown(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? 'nothing';
  } catch {
    return 'a value too deep to show';
  }
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
