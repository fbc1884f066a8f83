/**
 * The JSON of one request. In: what the workload asks for, sampling, and what the server is known to refuse. Out: a body.
 *
 * `min_tokens` and `ignore_eos` are vLLM's (NIM, SGLang and the engine take them too): together with `max_tokens` they
 * fix the output's length. `extra_body` may set anything but the fields that shape the load (src/scenario/rules.ts refuses
 * those; here they win).
 */
import type { RequestSpec } from '../workload/request.ts';
import type { Dialect } from './dialects/dialect.ts';

export interface BodyContext {
  model: string;
  temperature: number;
  extraBody: Record<string, unknown>;
  seed?: number;
}

/** What this server has refused so far; fields are dropped one after the other. */
export interface Capabilities {
  continuousUsage: boolean;
  streamOptions: boolean;
}

export function requestBody(dialect: Dialect, spec: RequestSpec, context: BodyContext, can: Capabilities): string {
  return JSON.stringify({
    temperature: context.temperature,
    ...(context.seed === undefined ? {} : { seed: context.seed }),
    ...context.extraBody,
    model: spec.adapter ?? context.model,
    ...dialect.prompt(spec.prompt),
    max_tokens: spec.outputTokens,
    ...(spec.control === 'exact' ? { min_tokens: spec.outputTokens, ignore_eos: true } : {}),
    stream: true,
    ...(can.streamOptions
      ? { stream_options: { include_usage: true, ...(can.continuousUsage ? { continuous_usage_stats: true } : {}) } }
      : {}),
  });
}

/**
 * What is left to ask for after a refusal; null when the refusal is about something else.
 * @param words the server's message, in full
 */
export function withoutRefused(can: Capabilities, words: string): Capabilities | null {
  if (can.continuousUsage && /continuous_usage_stats/i.test(words)) return { ...can, continuousUsage: false };
  if (can.streamOptions && /stream_options|include_usage/i.test(words)) {
    return { continuousUsage: false, streamOptions: false };
  }
  return null;
}
