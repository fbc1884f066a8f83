/**
 * What vLLM sends, and NIM 2.x, which serves with it or with SGLang (its API reference, 2.1.6); what NIM 1.x sends could not
 * be read. From vLLM 006c49d4 and 030ea52e (2026): entrypoints/openai/{chat_completion,completion}/serving.py.
 */
import { COUNTED, type DialectStream, DONE, event, PAUSE } from './dialect-stream.ts';

const usage = (prompt: number, completion: number): string =>
  `{"prompt_tokens":${prompt},"total_tokens":${prompt + completion},"completion_tokens":${completion}}`;

const vllmText = (text: string, count: number, finish: string | null = null): string =>
  event(
    `{"id":"cmpl-8f2","object":"text_completion","created":1790000000,"model":"llama","choices":[{"index":0,"text":${JSON.stringify(text)},` +
      `"logprobs":null,"finish_reason":${JSON.stringify(finish)},"stop_reason":null,"prompt_token_ids":null,"token_ids":null}],"usage":${usage(7, count)}}`,
  );
const vllmTextUsage = (count: number): string =>
  event(
    `{"id":"cmpl-8f2","object":"text_completion","created":1790000000,"model":"llama","choices":[],"usage":${usage(7, count)},"system_fingerprint":"vllm-0.20"}`,
  );
const vllmChat = (delta: string, count: number | null, finish = '', more = ''): string =>
  event(
    `{"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[{"index":0,"delta":${delta},` +
      `"logprobs":null,"finish_reason":${finish === '' ? 'null' : `"${finish}","stop_reason":null`},"token_ids":null}]${more}` +
      `${count === null ? '' : `,"usage":${usage(9, count)}`}}`,
  );
const vllmChatUsage = (count: number): string =>
  event(
    `{"id":"chatcmpl-8f2","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[],"usage":${usage(9, count)}}`,
  );
const VLLM_ROLE = '{"role":"assistant","content":""}';

export const VLLM: Record<string, DialectStream> = {
  'vllm completions': {
    ...COUNTED,
    server: 'vLLM, NIM',
    api: 'completions',
    asked: 4,
    steps: [
      PAUSE,
      vllmText(' a', 1),
      PAUSE,
      vllmText(' b', 2),
      PAUSE,
      vllmText(' c', 3),
      PAUSE,
      vllmText(' d', 4, 'length'),
      vllmTextUsage(4),
      DONE,
    ],
    tokens: [1, 1, 1, 1],
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 4 },
    finish: 'length',
  },
  'vllm completions, several tokens a chunk': {
    ...COUNTED,
    server: 'vLLM with speculative decoding',
    api: 'completions',
    asked: 7,
    steps: [
      PAUSE,
      vllmText(' a b', 2),
      PAUSE,
      vllmText(' c d e', 5),
      PAUSE,
      vllmText('', 6),
      vllmText(' 漢', 7, 'length'),
      vllmTextUsage(7),
      DONE,
    ],
    tokens: [2, 3, 1, 1],
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 7 },
    finish: 'length',
  },
  'vllm chat, reasoning': {
    ...COUNTED,
    server: 'vLLM with a reasoning parser',
    api: 'chat',
    asked: 6,
    // The parser keeps the two tokens between thoughts and answer: their count comes with the next chunk.
    steps: [
      vllmChat(VLLM_ROLE, 0),
      PAUSE,
      vllmChat('{"reasoning":" hm"}', 1),
      PAUSE,
      vllmChat('{"reasoning":" well"}', 2),
      PAUSE,
      vllmChat('{"content":" yes"}', 5),
      PAUSE,
      vllmChat('{"content":" sir"}', 6, 'length'),
      vllmChatUsage(6),
      DONE,
    ],
    tokens: [1, 1, 3, 1],
    firstContent: 2,
    firstOutput: 6,
    usage: { prompt_tokens: 9, completion_tokens: 6 },
    finish: 'length',
  },
  'vllm chat, token ids asked for': {
    ...COUNTED,
    server: 'vLLM with return_token_ids',
    api: 'chat',
    asked: 2,
    steps: [
      vllmChat(VLLM_ROLE, 0, '', ',"prompt_token_ids":[128000,128006,882,128007,271,19182,128009,128006,78191]'),
      PAUSE,
      vllmChat('{"content":"a"}', 1),
      PAUSE,
      vllmChat('{"content":"b"}', 2, 'length'),
      vllmChatUsage(2),
      DONE,
    ],
    tokens: [1, 1],
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 2 },
    finish: 'length',
  },
  'vllm chat, an end of text it did not ignore': {
    ...COUNTED,
    server: 'vLLM',
    api: 'chat',
    asked: 6,
    exact: false,
    steps: [
      vllmChat(VLLM_ROLE, 0),
      PAUSE,
      vllmChat('{"content":"a"}', 1),
      PAUSE,
      vllmChat('{"content":""}', 2, 'stop'),
      vllmChatUsage(2),
      DONE,
    ],
    tokens: [1, 1],
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 2 },
    finish: 'stop',
  },
  'vllm chat, an error on the way': {
    ...COUNTED,
    server: 'vLLM',
    api: 'chat',
    asked: 6,
    steps: [
      vllmChat(VLLM_ROLE, 0),
      PAUSE,
      vllmChat('{"content":"a"}', 1),
      event('{"error":{"message":"EngineCore died","type":"InternalServerError","param":null,"code":500}}'),
      DONE,
    ],
    tokens: [1],
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 9, completion_tokens: 1 },
    finish: null,
    error: 'error_in_stream',
  },
};
