/**
 * What SGLang sends. From its 004c82e0, 002897c2 and 06713058 (2026): entrypoints/openai/{serving_completions,serving_chat,
 * sse_utils}.py.
 */
import { COUNTED, type DialectStream, DONE, event, PAUSE } from './dialect-stream.ts';

const sglangText = (text: string, count: number, finish: string | null = null): string =>
  event(
    `{"id":"5a1","object":"text_completion","created":1790000000,"model":"llama","choices":[{"index":0,"text":${JSON.stringify(text)},` +
      `"logprobs":null,"finish_reason":${JSON.stringify(finish)},"matched_stop":null,"hidden_states":null}],` +
      `"usage":{"prompt_tokens":7,"total_tokens":${7 + count},"completion_tokens":${count},"prompt_tokens_details":null,"reasoning_tokens":0}}`,
  );
const sglangChat = (delta: string, count: number | null, finish: string | null = null): string =>
  event(
    `{"id":"5a1","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[{"index":0,"delta":${delta},"logprobs":null,` +
      `"finish_reason":${JSON.stringify(finish)},"matched_stop":null}]` +
      `${count === null ? '' : `,"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count},"reasoning_tokens":0}`}}`,
  );
const sglangChatUsage = (count: number): string =>
  event(
    `{"id":"5a1","object":"chat.completion.chunk","created":1790000000,"model":"llama","choices":[],` +
      `"usage":{"prompt_tokens":9,"total_tokens":${9 + count},"completion_tokens":${count},"prompt_tokens_details":null,"reasoning_tokens":2}}`,
  );

export const SGLANG: Record<string, DialectStream> = {
  'sglang completions': {
    ...COUNTED,
    server: 'SGLang, NIM',
    api: 'completions',
    asked: 3,
    steps: [
      PAUSE,
      sglangText(' a', 1),
      PAUSE,
      sglangText(' b c', 3, 'length'),
      event(
        '{"id":"5a1","object":"text_completion","created":1790000000,"model":"llama","choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3,"reasoning_tokens":0}}',
      ),
      DONE,
    ],
    tokens: [1, 2],
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 3 },
    finish: 'length',
  },
  'sglang chat, reasoning': {
    ...COUNTED,
    server: 'SGLang with a reasoning parser',
    api: 'chat',
    asked: 5,
    // One step's tokens may come as two events, thoughts and answer, which state the same count; the end has none.
    steps: [
      sglangChat('{"role":"assistant","content":""}', null),
      PAUSE,
      sglangChat('{"reasoning_content":" hm"}', 1),
      PAUSE,
      sglangChat('{"reasoning_content":" so"}', 4),
      sglangChat('{"content":" yes"}', 4),
      PAUSE,
      sglangChat('{"content":" sir"}', 5),
      sglangChat('{}', null, 'length'),
      sglangChatUsage(5),
      DONE,
    ],
    tokens: [1, 3, 0, 1],
    firstContent: 2,
    firstOutput: 5,
    usage: { prompt_tokens: 9, completion_tokens: 5 },
    finish: 'length',
  },
};
