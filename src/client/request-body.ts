/**
 * The JSON of one request. In: what the workload asks for, sampling, and what the server is known to refuse. Out: a body.
 *
 * `min_tokens` and `ignore_eos` with `max_tokens` fix the output's length. Who takes them (versions in
 * test/support/dialect-streams.ts): vLLM, SGLang, NIM, TensorRT-LLM, Triton's OpenAI frontend and the bundled engine take
 * both; llama.cpp takes ignore_eos and ignores min_tokens, which comes to the same; OpenAI refuses both, and the length is
 * then only capped. Servers that ignore a field give answers of the wrong length, which fail by that name.
 *
 * `extra_body` may set anything but the fields that shape the load (src/scenario/rules.ts refuses those; here they win).
 */
import type { RequestSpec } from '../workload/request.ts';
import type { Dialect } from './dialects/dialect.ts';
import type { OptionalField } from './refusals.ts';

export interface BodyContext {
  model: string;
  /** Where an adapter is named: in the model's place, or beside it (SGLang, which looks for none in `model`). */
  adapterField?: 'model' | 'lora_path';
  temperature: number;
  extraBody: Record<string, unknown>;
  seed?: number;
}

/** What this server has refused so far. Plain data: threads tell each other. */
export interface Capabilities {
  refused: readonly OptionalField[];
}

export const NOTHING_REFUSED: Capabilities = { refused: [] };

export function requestBody(
  dialect: Dialect,
  spec: RequestSpec,
  context: BodyContext,
  { refused }: Capabilities,
): string {
  const takes = (field: OptionalField) => !refused.includes(field);
  const exact = spec.control === 'exact';
  return JSON.stringify({
    ...(takes('temperature') ? { temperature: context.temperature } : {}),
    ...(context.seed !== undefined && takes('seed') ? { seed: context.seed } : {}),
    ...context.extraBody,
    ...(context.adapterField === 'lora_path' && spec.adapter !== null
      ? { model: context.model, lora_path: spec.adapter }
      : { model: spec.adapter ?? context.model }),
    ...dialect.prompt(spec.prompt),
    [takes('max_tokens') ? 'max_tokens' : 'max_completion_tokens']: spec.outputTokens,
    ...(exact && takes('min_tokens') ? { min_tokens: spec.outputTokens } : {}),
    ...(exact && takes('ignore_eos') ? { ignore_eos: true } : {}),
    stream: true,
    ...(takes('stream_options')
      ? {
          stream_options: {
            include_usage: true,
            ...(takes('continuous_usage_stats') ? { continuous_usage_stats: true } : {}),
          },
        }
      : {}),
  });
}

/** What is left to ask for after a refusal; null when it is about nothing that was asked. */
export function withoutRefused({ refused }: Capabilities, more: readonly OptionalField[]): Capabilities | null {
  const added = more.filter((field) => !refused.includes(field));
  return added.length === 0 ? null : { refused: [...refused, ...added] };
}

/** What either has found to be refused. */
export const allRefused = (one: Capabilities, other: Capabilities): Capabilities =>
  withoutRefused(one, other.refused) ?? one;

/** What a person should know of a server that refuses these fields, a sentence each. */
export function wordsOfRefused({ refused }: Capabilities): string[] {
  const noLength = refused.includes('min_tokens') && refused.includes('ignore_eos');
  const others = noLength ? refused.filter((field) => field !== 'min_tokens' && field !== 'ignore_eos') : refused;
  return [...(noLength ? [ONLY_CAPPED] : []), ...others.map((field) => WORDS[field])];
}

const ONLY_CAPPED =
  'the server takes neither min_tokens nor ignore_eos: lengths of answers are only capped, and shorter ones fail as wrong_output_tokens';

const WORDS: Record<OptionalField, string> = {
  continuous_usage_stats:
    'the server does not count tokens while it streams: they come from a tokenizer, or one a chunk',
  stream_options: 'the server takes no stream_options: its own count of tokens is not known',
  min_tokens: 'the server does not take min_tokens: lengths of answers rest on ignore_eos alone',
  ignore_eos: 'the server does not take ignore_eos: lengths of answers rest on min_tokens alone',
  seed: 'the server takes no seed: sampling is not repeatable',
  temperature: 'the server takes no temperature: it samples at its own default',
  max_tokens: 'the server takes max_completion_tokens in place of max_tokens',
};
