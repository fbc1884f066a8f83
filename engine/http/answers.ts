/**
 * Generations as OpenAI's JSON: the whole answer, or its chunks.
 *
 * One Answer a request, of the API that was asked; text and counts in, plain objects out. `timings` is ours
 * (EXTENSIONS.md); everything else follows OpenAI's API reference, and vLLM's for usage in every chunk.
 */
import { randomUUID } from 'node:crypto';
import type { Generation } from './generation.ts';
import type { Finish, RequestTimings, TokenEvent } from './running-generation.ts';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface Answer {
  /** @param first whether nothing has been sent yet: a chat's first chunk names the role */
  chunk(event: TokenEvent, first: boolean, usage: Usage | undefined, timings: RequestTimings | null): object;
  /** The chunk after the last, where usage was asked for. */
  usageChunk(usage: Usage, timings: RequestTimings | null): object;
  whole(text: string, finish: Finish, usage: Usage, timings: RequestTimings | null): object;
}

export function answerOf(generation: Generation): Answer {
  const chat = generation.api === 'chat';
  const head = (object: string) => ({ id, object, created, model: generation.model });
  const id = `${chat ? 'chatcmpl' : 'cmpl'}-${randomUUID()}`;
  const created = Math.floor(Date.now() / 1000);
  const chunkObject = chat ? 'chat.completion.chunk' : 'text_completion';
  const wholeObject = chat ? 'chat.completion' : 'text_completion';

  const choice = (text: string, finish_reason: Finish | null, first: boolean) => {
    if (!chat) return { index: 0, text, logprobs: null, finish_reason };
    const delta = first ? { role: 'assistant', content: text } : { content: text };
    return { index: 0, delta, logprobs: null, finish_reason };
  };
  const wholeChoice = (text: string, finish_reason: Finish) =>
    chat
      ? { index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason }
      : { index: 0, text, logprobs: null, finish_reason };

  return {
    chunk: (event, first, usage, timings) => ({
      ...head(chunkObject),
      choices: [choice(event.text, event.finish, first)],
      ...(usage === undefined ? {} : { usage }),
      ...(timings === null ? {} : { timings }),
    }),
    usageChunk: (usage, timings) => ({
      ...head(chunkObject),
      choices: [],
      usage,
      ...(timings === null ? {} : { timings }),
    }),
    whole: (text, finish, usage, timings) => ({
      ...head(wholeObject),
      choices: [wholeChoice(text, finish)],
      usage,
      ...(timings === null ? {} : { timings }),
    }),
  };
}

export const usageOf = (promptTokens: number, completionTokens: number): Usage => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
});
