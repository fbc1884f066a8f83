/**
 * adapter_config.json of a PEFT adapter -> what is needed of it, checked: text in, a PeftConfig out, or every problem.
 *
 * null stands for a field's default, as PEFT writes it. Defaults and rules between fields are those of huggingface/peft
 * 0.21.2: src/peft/tuners/lora/config.py and vera/config.py.
 */
import { z } from 'zod';
import { judgeOtherFields, shown } from './peft-config-fields.ts';

export interface PeftConfig {
  kind: 'lora' | 'dora' | 'vera';
  base: string | null;
  /** Before rankPattern. */
  rank: number;
  /** Before alphaPattern; null for VeRA, which has none. */
  alpha: number | null;
  /** Pattern of module names -> value, in the file's order: the first that matches counts. */
  rankPattern: [pattern: string, rank: number][];
  alphaPattern: [pattern: string, alpha: number][];
  /** Scale is alpha / sqrt(rank), not alpha / rank. */
  rankStabilized: boolean;
  /** Every lora_B has a bias. */
  hasBias: boolean;
  /** Names, or ends of names; or one regular expression, or "all-linear". */
  targets: string[] | string;
  excluded: string[] | string;
  /** Layers it is limited to; null is all. */
  layers: number[] | null;
  layersPattern: string[];
  notes: string[];
}

export const PEFT_TYPES = ['LORA', 'DORA', 'VERA'] as const;

/** What PEFT targets in a Llama model when the config names nothing (src/peft/utils/constants.py), for LoRA and VeRA. */
const LLAMA_TARGETS = ['q_proj', 'v_proj'];
const DEFAULT_RANK = { LORA: 8, DORA: 8, VERA: 256 } as const;
const DEFAULT_ALPHA = 8;
const MOST_ENTRIES = 20_000;

const rank = z.int('a whole number, 1 or more').min(1, 'a whole number, 1 or more').max(65536, 'at most 65536');
const alpha = z
  .number('a number other than 0')
  .refine((value) => value !== 0, 'a number other than 0: 0 would be no change');
const flag = z.boolean('true or false').nullish();
const names = z.array(z.string('a module name').min(1, 'a module name'), 'a list of module names').max(MOST_ENTRIES);
const namesOrPattern = z.union([names, z.string()], 'a list of module names, or a regular expression').nullish();
const layer = z.int('a layer, 0 or more').min(0, 'a layer, 0 or more');
const table = <V extends z.ZodType>(values: V) =>
  z
    .record(z.string(), values, 'an object of pattern: value')
    .refine((entries) => Object.keys(entries).length <= MOST_ENTRIES, `at most ${MOST_ENTRIES} patterns`)
    .nullish();

const schema = z.looseObject({
  peft_type: z.enum(PEFT_TYPES),
  base_model_name_or_path: z.string('text').nullish(),
  r: rank.optional(),
  lora_alpha: alpha.optional(),
  rank_pattern: table(rank),
  alpha_pattern: table(alpha),
  use_rslora: flag,
  use_dora: flag,
  lora_bias: flag,
  target_modules: namesOrPattern,
  exclude_modules: namesOrPattern,
  layers_to_transform: z.union([layer, z.array(layer).max(MOST_ENTRIES)], 'a layer, or a list of layers').nullish(),
  layers_pattern: z.union([z.string(), z.array(z.string())], 'a pattern, or a list of patterns').nullish(),
  save_projection: flag,
});

/** The JSON object of a config's text, or the problem with it. A repeated key counts last, as in Python. */
export function configObject(text: string): Record<string, unknown> | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    return `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  return `is no object: expected {"peft_type": ..}, found ${shown(parsed)}`;
}

/** The config, or what is wrong with it: sentences about the file, without its name. */
export function peftConfig(fields: Record<string, unknown>): PeftConfig | { problems: string[] } {
  const { problems, notes } = judgeOtherFields(fields);
  const type = fields['peft_type'];
  if (!PEFT_TYPES.some((known) => known === type)) {
    const accepted = [...PEFT_TYPES, 'TIED_LORA'].join(', ');
    return { problems: [`peft_type: expected one of ${accepted}, found ${shown(type)}`, ...problems] };
  }
  const result = schema.safeParse(fields);
  if (!result.success) {
    for (const issue of result.error.issues.slice(0, 20)) {
      problems.push(`${issue.path.join('.')}: expected ${issue.message}, found ${shown(valueAt(fields, issue.path))}`);
    }
    return { problems };
  }
  const read = result.data;
  const config = fromFields(read, notes);
  if (read.peft_type === 'VERA') problems.push(...veraProblems(fields, read.save_projection));
  if (config.kind === 'dora' && config.hasBias) problems.push('lora_bias is not defined for DoRA; expected false');
  problems.push(...layerProblems(config));
  return problems.length > 0 ? { problems } : config;
}

function fromFields(read: z.infer<typeof schema>, notes: string[]): PeftConfig {
  const type = read.peft_type;
  const vera = type === 'VERA';
  if (read.target_modules === undefined || read.target_modules === null) {
    notes.push(`target_modules is not given: ${LLAMA_TARGETS.join(' and ')}, as PEFT has it for Llama`);
  }
  const layers = read.layers_to_transform;
  const layersPattern = read.layers_pattern ?? [];
  return {
    kind: vera ? 'vera' : type === 'DORA' || read.use_dora ? 'dora' : 'lora',
    base: read.base_model_name_or_path || null,
    rank: read.r ?? DEFAULT_RANK[type],
    alpha: vera ? null : (read.lora_alpha ?? DEFAULT_ALPHA),
    rankPattern: vera ? [] : Object.entries(read.rank_pattern ?? {}),
    alphaPattern: vera ? [] : Object.entries(read.alpha_pattern ?? {}),
    rankStabilized: !vera && read.use_rslora === true,
    hasBias: !vera && read.lora_bias === true,
    targets: read.target_modules ?? LLAMA_TARGETS,
    excluded: read.exclude_modules ?? [],
    layers: layers === null || layers === undefined ? null : typeof layers === 'number' ? [layers] : orNull(layers),
    layersPattern: (typeof layersPattern === 'string' ? [layersPattern] : layersPattern).filter((p) => p !== ''),
    notes,
  };
}

/** PEFT takes an empty list of layers as none given. */
const orNull = (layers: number[]): number[] | null => (layers.length === 0 ? null : layers);

function veraProblems(fields: Record<string, unknown>, saved: boolean | null | undefined): string[] {
  const problems: string[] = [];
  if (saved === false) {
    problems.push(
      "save_projection is false: vera_A and vera_B are not in the file and come from PyTorch's random generator; " +
        'load it in PEFT, set save_projection to true and save it again',
    );
  }
  for (const key of ['use_dora', 'use_rslora', 'lora_bias']) {
    if (fields[key] === true) problems.push(`${key} is not defined for VeRA; expected false`);
  }
  return problems;
}

function layerProblems(config: PeftConfig): string[] {
  const problems: string[] = [];
  if (typeof config.targets === 'string' && config.targets.toLowerCase() !== 'all-linear') {
    if (config.layers)
      problems.push('layers_to_transform has no meaning beside a regular expression in target_modules');
    if (config.layersPattern.length > 0) {
      problems.push('layers_pattern has no meaning beside a regular expression in target_modules');
    }
  }
  if (config.layersPattern.length > 0 && !config.layers) problems.push('layers_pattern needs layers_to_transform');
  if (config.targets.length === 0) problems.push('target_modules is empty: expected at least one module');
  return problems;
}

function valueAt(fields: unknown, path: PropertyKey[]): unknown {
  let value = fields;
  for (const key of path) value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return value;
}
