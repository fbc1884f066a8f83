/**
 * What servers send: whole answers in each one's shape, key for key, with what a client must read in them. Written by hand
 * from what the servers' sources write, which each file names with its version; none was recorded.
 */
import { LLAMA_CPP } from './dialect-llama-cpp.ts';
import { NVIDIA } from './dialect-nvidia.ts';
import { OPENAI } from './dialect-openai.ts';
import { SGLANG } from './dialect-sglang.ts';
import type { DialectStream } from './dialect-stream.ts';
import { VLLM } from './dialect-vllm.ts';

export const DIALECT_STREAMS: Record<string, DialectStream> = {
  ...VLLM,
  ...SGLANG,
  ...NVIDIA,
  ...LLAMA_CPP,
  ...OPENAI,
};
