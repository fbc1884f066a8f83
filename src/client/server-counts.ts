/**
 * Tokens as the server counts them, in one event of a stream. In: an event. Out: its usage, and the running count of the
 * answer's tokens, where it has them.
 *
 * OpenAI's `usage` stands on the last event, and on every one where `continuous_usage_stats` was asked for (vLLM, SGLang,
 * TensorRT-LLM, NIM). llama.cpp also counts in `timings`: on the last event, or on all with `timings_per_token`, with
 * `predicted_n` tokens so far, and `prompt_n` prompt tokens besides `cache_n` that it had already (tools/server/
 * server-task.cpp, result_timings).
 */
import { type Fields, fieldsOf } from './dialects/dialect.ts';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

export function countsOf(event: Fields): { usage: Usage | null; running: number | null } {
  const usage = usageOf(event['usage']) ?? usageOfTimings(event['timings']);
  return { usage, running: usage?.completion_tokens ?? null };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function usageOf(value: unknown): Usage | null {
  const { prompt_tokens, completion_tokens } = fieldsOf(value);
  // Some servers leave completion_tokens out while it is 0.
  if (!isCount(prompt_tokens)) return null;
  if (completion_tokens === undefined) return { prompt_tokens, completion_tokens: 0 };
  return isCount(completion_tokens) ? { prompt_tokens, completion_tokens } : null;
}

function usageOfTimings(value: unknown): Usage | null {
  const { prompt_n, cache_n = 0, predicted_n } = fieldsOf(value);
  if (!isCount(prompt_n) || !isCount(cache_n) || !isCount(predicted_n)) return null;
  return { prompt_tokens: prompt_n + cache_n, completion_tokens: predicted_n };
}
