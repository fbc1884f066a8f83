/**
 * What TensorRT-LLM's server and Triton's OpenAI frontend send. From TensorRT-LLM 01bf1923 (2026): serve/
 * postprocess_handlers.py, where a chat's first event ends in a space; and from triton-inference-server/server 03c20933
 * (2025): python/openai/openai_frontend/engine/triton_engine.py.
 */
import { COUNTED, type DialectStream, DONE, event, PAUSE } from './dialect-stream.ts';

const trtllmChat = (delta: string, count: number, finish = '', end = ''): string =>
  `data: {"id":"chatcmpl-3","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[{"index":0,"delta":${delta}` +
  `${finish === '' ? '' : `,"finish_reason":"${finish}"`},"avg_decoded_tokens_per_iter":1.5}],` +
  `"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count},"prompt_tokens_details":{"cached_tokens":0}}}${end}\n\n`;

const triton = (delta: string, finish: string | null = null): string =>
  event(
    `{"id":"cmpl-6c","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${JSON.stringify(finish)}}],` +
      `"created":1790000000,"model":"llama","system_fingerprint":null,"object":"chat.completion.chunk","usage":null}`,
  );

export const NVIDIA: Record<string, DialectStream> = {
  'trtllm chat': {
    ...COUNTED,
    server: 'TensorRT-LLM',
    api: 'chat',
    asked: 5,
    // A token that makes no text yet is an event with empty text.
    steps: [
      trtllmChat('{"role":"assistant"}', 0, '', ' '),
      PAUSE,
      trtllmChat('{"content":"a","reasoning_content":"","tool_calls":[]}', 1),
      PAUSE,
      trtllmChat('{"content":"","reasoning_content":"","tool_calls":[]}', 2),
      PAUSE,
      trtllmChat('{"content":"漢 b","reasoning_content":"","tool_calls":[]}', 4),
      trtllmChat('{"content":" c","reasoning_content":"","tool_calls":[]}', 5, 'length'),
      event(
        '{"id":"chatcmpl-3","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[],"usage":{"prompt_tokens":9,"total_tokens":14,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}}',
      ),
      DONE,
    ],
    tokens: [1, 1, 2, 1],
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 5 },
    finish: 'length',
  },
  'triton chat': {
    server:
      'Triton\'s OpenAI frontend: it says "stop" whatever ended the answer, so that no answer of it counts as exact',
    api: 'chat',
    asked: 2,
    exact: true,
    tokenizer: false,
    steps: [
      triton('{"content":"","role":"assistant","function_call":null}'),
      PAUSE,
      triton('{"content":"a","role":null,"function_call":null}'),
      PAUSE,
      triton('{"content":"b","role":null,"function_call":null}', 'stop'),
      event(
        '{"id":"cmpl-6c","choices":[],"created":1790000000,"model":"llama","system_fingerprint":null,"object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":9,"total_tokens":11}}',
      ),
      DONE,
    ],
    tokens: [1, 1],
    source: 'one_per_chunk',
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 2 },
    finish: 'stop',
    error: 'wrong_finish_reason',
  },
};
