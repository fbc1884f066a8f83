/** Which series each server's page gives, and the metric each came from. */
import { describe, expect, it } from 'vitest';
import { readingOf } from '../../src/target/server-series.ts';
import { LLAMA_CPP, NIM, SGLANG, TENSORRT_LLM, VLLM } from '../support/metrics-pages.ts';

describe('readingOf', () => {
  it("reads vLLM's page: the newest set of adapters, and the present name before the older one", () => {
    expect(readingOf(VLLM)).toEqual({
      values: {
        requestsRunning: 6,
        requestsWaiting: 2,
        kvCacheUsage: 0.4375,
        preemptions: 3,
        lorasRunning: 3,
        lorasWaiting: 1,
        loraSlots: 8,
      },
      from: {
        requestsRunning: 'vllm:num_requests_running',
        requestsWaiting: 'vllm:num_requests_waiting',
        kvCacheUsage: 'vllm:kv_cache_usage_perc',
        preemptions: 'vllm:num_preemptions_total',
        lorasRunning: 'vllm:lora_requests_info{running_lora_adapters}',
        lorasWaiting: 'vllm:lora_requests_info{waiting_lora_adapters}',
        loraSlots: 'vllm:lora_requests_info{max_lora}',
      },
    });
    const older = VLLM.replace(/^vllm:kv_cache.*\n/m, '');
    expect(readingOf(older).values.kvCacheUsage).toBe(0.4);
  });

  it('knows no adapter where the list is empty', () => {
    const idle = 'vllm:lora_requests_info{max_lora="8",running_lora_adapters="",waiting_lora_adapters=" a1, a1 ,"} 5';
    expect(readingOf(idle).values).toEqual({ lorasRunning: 0, lorasWaiting: 1, loraSlots: 8 });
  });

  it("adds up SGLang's ranks, and averages their share of the cache", () => {
    expect(readingOf(SGLANG)).toMatchObject({
      values: {
        requestsRunning: 6,
        requestsWaiting: 2,
        kvCacheUsage: 0.375,
        preemptions: 2,
        loraSlotsUsed: 6,
        loraSlots: 16,
      },
      from: { loraSlotsUsed: 'sglang:lora_pool_slots_used', preemptions: 'sglang:num_retracted_requests_total' },
    });
  });

  it.each([
    ['NIM', NIM, { requestsRunning: 5, requestsWaiting: 0, kvCacheUsage: 0.0125 }],
    ['TensorRT-LLM', TENSORRT_LLM, { requestsRunning: 7, requestsWaiting: 1, kvCacheUsage: 0.125 }],
    ['llama.cpp', LLAMA_CPP, { requestsRunning: 3, requestsWaiting: 46, kvCacheUsage: 0.63 }],
  ])("reads %s's page", (_server, page, values) => {
    expect(readingOf(page).values).toEqual(values);
  });

  it('leaves out what is no number, and pages that say nothing', () => {
    expect(readingOf('vllm:num_requests_running NaN\nvllm:num_requests_waiting +Inf').values).toEqual({});
    expect(readingOf('sglang:token_usage{r="0"} NaN\nsglang:token_usage{r="1"} 0.5').values).toEqual({
      kvCacheUsage: 0.5,
    });
    expect(readingOf('{"requests": 1}')).toEqual({ values: {}, from: {} });
  });

  it('keeps the newest of a hundred thousand sets of adapters', () => {
    const line = (i: number) =>
      `vllm:lora_requests_info{max_lora="8",running_lora_adapters="a${i},b"} ${i === 500 ? 9e9 : i}\n`;
    const page = Array.from({ length: 100_000 }, (_, i) => line(i)).join('');
    expect(readingOf(page).values).toEqual({ lorasRunning: 2, loraSlots: 8 });
  });
});
