/** Pages of metrics as servers write them: names, labels and number forms of each, with figures of our own. */

/** vLLM 0.10: one engine, an adapter set that was running before and the one that runs now. */
export const VLLM = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="meta-llama/Llama-3.1-8B"} 6.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="meta-llama/Llama-3.1-8B"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="meta-llama/Llama-3.1-8B"} 0.4375
# TYPE vllm:gpu_cache_usage_perc gauge
vllm:gpu_cache_usage_perc{engine="0",model_name="meta-llama/Llama-3.1-8B"} 0.4
# TYPE vllm:num_preemptions_total counter
vllm:num_preemptions_total{engine="0",model_name="meta-llama/Llama-3.1-8B"} 3.0
# TYPE vllm:num_preemptions_created gauge
vllm:num_preemptions_created{engine="0",model_name="meta-llama/Llama-3.1-8B"} 1.7380528e+09
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{max_lora="8",running_lora_adapters="a1,a2,a3",waiting_lora_adapters="a4"} 1.73805290e+09
vllm:lora_requests_info{max_lora="8",running_lora_adapters="a1",waiting_lora_adapters=""} 1.73805280e+09
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="meta-llama/Llama-3.1-8B"} 0.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="meta-llama/Llama-3.1-8B"} 12.0
`;

/** SGLang 0.5 with two data-parallel ranks, --enable-lora and --enable-metrics. */
export const SGLANG = ['0', '1']
  .map(
    (
      rank,
    ) => `sglang:num_running_reqs{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} ${rank === '0' ? 4 : 2}.0
sglang:num_queue_reqs{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} 1.0
sglang:token_usage{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} ${rank === '0' ? 0.5 : 0.25}
sglang:num_retracted_requests_total{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} 1.0
sglang:lora_pool_slots_used{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} 3.0
sglang:lora_pool_slots_total{engine_type="unified",model_name="m",dp_rank="${rank}",tp_rank="0"} 8.0
`,
  )
  .join('');

/** NIM 1.x: the names have no prefix. */
export const NIM = `# TYPE num_requests_running gauge
num_requests_running{model_name="meta/llama3-8b-instruct"} 5.0
num_requests_waiting{model_name="meta/llama3-8b-instruct"} 0.0
num_request_max{model_name="meta/llama3-8b-instruct"} 256.0
gpu_cache_usage_perc{model_name="meta/llama3-8b-instruct"} 1.25e-02
`;

export const TENSORRT_LLM = `trtllm_num_requests_running{engine_type="trtllm",model_name="m"} 7.0
trtllm_num_requests_waiting{engine_type="trtllm",model_name="m"} 1.0
trtllm_kv_cache_utilization{engine_type="trtllm",model_name="m"} 0.125
`;

export const LLAMA_CPP = `# HELP llamacpp:predicted_tokens_seconds Average generation throughput in tokens/s.
# TYPE llamacpp:predicted_tokens_seconds gauge
llamacpp:predicted_tokens_seconds nan
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 3
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 46
# TYPE llamacpp:kv_cache_usage_ratio gauge
llamacpp:kv_cache_usage_ratio 0.63
`;
