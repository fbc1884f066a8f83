/**
 * What llama.cpp's server sends. From its 00efb3e1 (2026): tools/server/server-task.cpp. It ignores min_tokens, takes
 * ignore_eos, and sends ":" while a prompt is read.
 */
import { COUNTED, type DialectStream, DONE, event, PAUSE } from './dialect-stream.ts';

const llamaTimings = (count: number): string =>
  `"timings":{"cache_n":4,"prompt_n":3,"prompt_ms":11.5,"prompt_per_token_ms":3.8,"prompt_per_second":260.8,"predicted_n":${count},` +
  `"predicted_ms":40.25,"predicted_per_token_ms":10.1,"predicted_per_second":99.3}`;
const llamaText = (text: string, more = ''): string =>
  event(
    `{"choices":[{"text":${JSON.stringify(text)},"index":0,"logprobs":null,"finish_reason":null}],"created":1790000000,"model":"llama",` +
      `"system_fingerprint":"b9001-00efb3e","object":"text_completion","id":"chatcmpl-Zu"${more}}`,
  );
const llamaTextEnd = (count: number, withUsage = true): string =>
  event(
    `{"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"created":1790000000,"model":"llama",` +
      `"system_fingerprint":"b9001-00efb3e","object":"text_completion",${withUsage ? `"usage":{"completion_tokens":${count},"prompt_tokens":7,"total_tokens":${7 + count}},` : ''}` +
      `"id":"chatcmpl-Zu",${llamaTimings(count)}}`,
  );
const llamaChat = (delta: string, finish: string | null = null): string =>
  event(
    `{"choices":[{"finish_reason":${JSON.stringify(finish)},"index":0,"delta":${delta}}],"created":1790000000,"id":"chatcmpl-Zu",` +
      `"model":"llama","system_fingerprint":"b9001-00efb3e","object":"chat.completion.chunk"}`,
  );
const llamaChatUsage = (count: number): string =>
  event(
    `{"choices":[],"created":1790000000,"id":"chatcmpl-Zu","model":"llama","system_fingerprint":"b9001-00efb3e","object":"chat.completion.chunk",` +
      `"usage":{"completion_tokens":${count},"prompt_tokens":9,"total_tokens":${9 + count}},${llamaTimings(count)}}`,
  );

export const LLAMA_CPP: Record<string, DialectStream> = {
  'llama.cpp completions': {
    server: 'llama.cpp',
    api: 'completions',
    asked: 3,
    exact: true,
    tokenizer: false,
    // Counted at the end alone, on an event with a choice; and kept alive meanwhile.
    steps: [
      ':\n\n',
      PAUSE,
      llamaText(' a'),
      PAUSE,
      llamaText(' b'),
      ':\n\n',
      PAUSE,
      llamaText(' c'),
      llamaTextEnd(3),
      DONE,
    ],
    tokens: [1, 1, 1],
    source: 'one_per_chunk',
    firstContent: 2,
    firstOutput: 2,
    usage: { prompt_tokens: 7, completion_tokens: 3 },
    finish: 'length',
    error: null,
  },
  'llama.cpp completions, timings per token': {
    ...COUNTED,
    server: 'llama.cpp with extra_body {timings_per_token: true}',
    api: 'completions',
    asked: 4,
    // Tokens of half a character wait for the other half.
    steps: [
      PAUSE,
      llamaText(' a', `,${llamaTimings(1)}`),
      PAUSE,
      llamaText('漢', `,${llamaTimings(3)}`),
      PAUSE,
      llamaText(' c', `,${llamaTimings(4)}`),
      llamaTextEnd(4),
      DONE,
    ],
    tokens: [1, 2, 1],
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 4 },
    finish: 'length',
  },
  'llama.cpp completions, half characters': {
    server: 'llama.cpp',
    api: 'completions',
    asked: 4,
    exact: true,
    tokenizer: false,
    steps: [PAUSE, llamaText(' a'), PAUSE, llamaText('漢'), PAUSE, llamaText(' c'), llamaTextEnd(4), DONE],
    tokens: [null, null, null],
    source: 'unknown',
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 4 },
    finish: 'length',
    error: null,
  },
  'llama.cpp completions, counted in timings alone': {
    server: 'llama.cpp behind a proxy that drops usage',
    api: 'completions',
    asked: 3,
    exact: true,
    tokenizer: true,
    steps: [PAUSE, llamaText(' a'), PAUSE, llamaText(' b c'), llamaTextEnd(3, false), DONE],
    tokens: [1, 2],
    source: 'tokenizer',
    firstContent: 1,
    firstOutput: 1,
    usage: { prompt_tokens: 7, completion_tokens: 3 },
    finish: 'length',
    error: null,
  },
  'llama.cpp chat': {
    server: 'llama.cpp',
    api: 'chat',
    asked: 3,
    exact: true,
    tokenizer: true,
    steps: [
      llamaChat('{"role":"assistant","content":null}'),
      PAUSE,
      llamaChat('{"reasoning_content":" hm"}'),
      PAUSE,
      llamaChat('{"content":" a b"}'),
      llamaChat('{}', 'length'),
      llamaChatUsage(3),
      DONE,
    ],
    tokens: [1, 2],
    source: 'tokenizer',
    firstContent: 2,
    firstOutput: 4,
    usage: { prompt_tokens: 9, completion_tokens: 3 },
    finish: 'length',
    error: null,
  },
};
