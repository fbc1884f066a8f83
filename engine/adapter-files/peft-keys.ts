/**
 * Names of the tensors in a PEFT adapter -> the projection and the part of it each one is, or why it is none.
 *
 * As PEFT saves them: "base_model.model." + the module's name + ".lora_A.weight"; files also come without the prefix
 * (saved from within transformers) and with the adapter's name inside ("lora_A.default.weight"), which PEFT strips.
 * Sources: src/peft/utils/save_and_load.py of huggingface/peft 0.21.2; NVlabs/DoRA for weight_m_wdecomp.
 */
import { HUGGING_FACE_NAMES, MODULES, type ModuleName } from '../models/projections.ts';
import { quoted } from '../tensor-files/problems.ts';
import { TRAINING_TENSORS } from './peft-config-fields.ts';

export const PARTS = ['a', 'b', 'bias', 'magnitude', 'lambda_d', 'lambda_b'] as const;
export type Part = (typeof PARTS)[number];

export type PeftKey =
  | { kind: 'module'; layer: number; module: ModuleName; part: Part; adapter: string | null }
  /** VeRA's projections, which all modules share. */
  | { kind: 'shared'; part: 'a' | 'b'; adapter: string | null }
  | { kind: 'ignored'; why: string }
  /** `named` is true when it is a known thing that is not served, so that the name as such is no surprise. */
  | { kind: 'problem'; problem: string; named: boolean };

/** An example of a good name, for errors. */
export const EXAMPLE_KEY = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';

const PREFIX = 'base_model.model.';
const BY_NAME = new Map<string, ModuleName>(MODULES.map((module) => [HUGGING_FACE_NAMES[module], module]));
const MODULE = /^model\.layers\.(\d{1,6})\.((?:self_attn|mlp)\.\w+)\.(.+)$/;
const VERA_SHARED = /^base_model\.vera_([AB])(?:\.([^.]+))?$/;

/** What follows the module's name; the second group is the adapter's name. */
const ENDINGS: [RegExp, Part][] = [
  [/^lora_A(?:\.([^.]+))?\.weight$/, 'a'],
  [/^lora_B(?:\.([^.]+))?\.weight$/, 'b'],
  [/^lora_B(?:\.([^.]+))?\.bias$/, 'bias'],
  [/^lora_magnitude_vector(?:\.(?!weight$)([^.]+))?(?:\.weight)?$/, 'magnitude'],
  [/^weight_m_wdecomp(?:\.([^.]+))?\.weight$/, 'magnitude'],
  [/^vera_lambda_d(?:\.([^.]+))?$/, 'lambda_d'],
  [/^vera_lambda_b(?:\.([^.]+))?$/, 'lambda_b'],
];

/** Known things that are not served: what a key has in it, and what that is. */
const NOT_SERVED: [RegExp, string][] = [
  [/modules_to_save/, 'a whole module trained with the adapter (modules_to_save)'],
  [
    /base_layer\./,
    "a weight of the base itself (save without it: save_embedding_layers=False, or the adapter's tensors only)",
  ],
  [/lora_embedding_[AB]|embed_tokens/, 'an adapter or weight of the token embeddings'],
  [/lm_head/, 'an adapter or weight of the output head'],
  [/norm\.(?:weight|lora_)|layernorm/, 'an adapter or weight of a norm'],
  [/trainable_tokens/, 'trained token embeddings'],
];

export function parsePeftKey(key: string): PeftKey {
  const shared = VERA_SHARED.exec(key);
  if (shared) return { kind: 'shared', part: shared[1] === 'A' ? 'a' : 'b', adapter: shared[2] ?? null };
  const training = TRAINING_TENSORS.find((part) => key.includes(`.${part}`));
  if (training !== undefined) return { kind: 'ignored', why: `${training} is for training only` };
  const unserved = NOT_SERVED.find(([pattern]) => pattern.test(key));
  if (unserved) return { kind: 'problem', problem: `tensor ${quoted(key)} is ${unserved[1]}: not served`, named: true };

  const [, layer, name, ending] = MODULE.exec(key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key) ?? [];
  const module = BY_NAME.get(name ?? '');
  if (module === undefined || ending === undefined) {
    return {
      kind: 'problem',
      problem: `tensor ${quoted(key)} belongs to no projection of a Llama model; expected a name such as ${EXAMPLE_KEY}`,
      named: false,
    };
  }
  for (const [pattern, part] of ENDINGS) {
    const match = pattern.exec(ending);
    if (match) return { kind: 'module', layer: Number(layer), module, part, adapter: match[1] ?? null };
  }
  const expected = 'lora_A.weight, lora_B.weight, lora_B.bias, lora_magnitude_vector, vera_lambda_b or vera_lambda_d';
  return {
    kind: 'problem',
    problem: `tensor ${quoted(key)} ends in ${quoted(ending)}; expected ${expected}`,
    named: true,
  };
}
