/**
 * What OpenAI sends, and Ollama where it differs. From OpenAI's streaming reference, a recorded chunk in
 * ENTERPILOT/GoModel#46 (2026-01), and ollama#4357 (2024).
 */
import { type DialectStream, DONE, event, PAUSE } from './dialect-stream.ts';

const openai = (delta: string, finish: string | null = null): string =>
  event(
    `{"id":"chatcmpl-D0q","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default",` +
      `"system_fingerprint":"fp_29330a9688","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${JSON.stringify(finish)}}],` +
      `"usage":null,"obfuscation":"lRK2aBv"}`,
  );
const openaiUsage = (count: number, reasoning = 0): string =>
  event(
    `{"id":"chatcmpl-D0q","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default",` +
      `"system_fingerprint":"fp_29330a9688","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":${count},"total_tokens":${9 + count},` +
      `"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":${reasoning},"audio_tokens":0,` +
      `"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":"9Q"}`,
  );

export const OPENAI: Record<string, DialectStream> = {
  'openai chat': {
    server: 'OpenAI',
    api: 'chat',
    asked: 8,
    exact: false,
    tokenizer: false,
    steps: [
      openai('{"role":"assistant","content":"","refusal":null}'),
      PAUSE,
      openai('{"content":"Hello"}'),
      PAUSE,
      openai('{"content":"!"}'),
      openai('{}', 'stop'),
      openaiUsage(2),
      DONE,
    ],
    tokens: [1, 1],
    source: 'one_per_chunk',
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 2 },
    finish: 'stop',
    error: null,
  },
  'openai chat, thoughts it keeps': {
    server: 'OpenAI, reasoning models: thoughts are counted and never sent',
    api: 'chat',
    asked: 200,
    exact: false,
    tokenizer: true,
    steps: [
      openai('{"role":"assistant","content":"","refusal":null}'),
      PAUSE,
      openai('{"content":" Hello"}'),
      PAUSE,
      openai('{"content":" there"}'),
      openai('{}', 'stop'),
      openaiUsage(66, 64),
      DONE,
    ],
    tokens: [null, null],
    source: 'unknown',
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 66 },
    finish: 'stop',
    error: null,
  },
  'openai chat, a refusal': {
    server: 'OpenAI',
    api: 'chat',
    asked: 8,
    exact: false,
    tokenizer: false,
    steps: [
      openai('{"role":"assistant","content":null,"refusal":""}'),
      PAUSE,
      openai('{"refusal":"I"}'),
      PAUSE,
      openai('{"refusal":" can\'t"}'),
      openai('{}', 'stop'),
      openaiUsage(2),
      DONE,
    ],
    tokens: [1, 1],
    source: 'one_per_chunk',
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 2 },
    finish: 'stop',
    error: null,
  },
  'ollama chat, cut off': {
    server: 'Ollama, whose finish_reason is "" while it goes on',
    api: 'chat',
    asked: 4,
    exact: false,
    tokenizer: false,
    steps: [
      PAUSE,
      event(
        '{"id":"chatcmpl-693","object":"chat.completion.chunk","created":1790000000,"model":"llama","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":" if"},"finish_reason":""}]}',
      ),
    ],
    tokens: [null],
    source: 'unknown',
    firstContent: 1,
    firstOutput: 1,
    usage: null,
    finish: null,
    error: 'ended_early',
  },
};
