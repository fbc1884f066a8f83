/**
 * ShareGPT's conversations: which part of one is a request, and which of them are used. The filter is that of vLLM's
 * serving benchmark (is_valid_sequence in vllm/benchmarks/datasets.py): prompt and answer of at least 4 tokens, a prompt of
 * at most 1,024, both of at most 2,048.
 */

const SHORTEST = 4;
const LONGEST_PROMPT = 1024;
const LONGEST_TOGETHER = 2048;

/** The filter in words. */
export const FILTER =
  `without question and answer, shorter than ${SHORTEST} tokens, a question longer than ${LONGEST_PROMPT} or both than ` +
  `${LONGEST_TOGETHER}`;

const PERSON = new Set(['human', 'user']);
const MODEL = new Set(['gpt', 'chatgpt', 'assistant', 'model']);

/** The first question and the answer to it; null where there are none, "wrong" for what is no conversation. */
export function conversationOf(value: unknown): { prompt: string; answer: string } | null | 'wrong' {
  if (!Array.isArray(value)) return 'wrong';
  let prompt: string | null = null;
  for (const turn of value as ({ from?: unknown; value?: unknown } | null)[]) {
    if (typeof turn?.from !== 'string' || typeof turn.value !== 'string') return 'wrong';
    if (prompt === null && PERSON.has(turn.from)) prompt = turn.value;
    else if (prompt !== null && MODEL.has(turn.from)) return { prompt, answer: turn.value };
  }
  return null;
}

/** @param outputTokens null where the scenario says how long answers are: then only the prompt counts */
export function passes(promptTokens: number, outputTokens: number | null): boolean {
  if (promptTokens < SHORTEST || promptTokens > LONGEST_PROMPT) return false;
  return outputTokens === null || (outputTokens >= SHORTEST && promptTokens + outputTokens <= LONGEST_TOGETHER);
}
