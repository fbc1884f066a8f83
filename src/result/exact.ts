/**
 * The counters of a fixed drive, as they stand in runs[].exact: what the engine did for one small set of requests, counted
 * and not timed, so that one drive says as much as a thousand. engine/EXTENSIONS.md says how each is counted.
 */

/** Each with its unit and what it counts. */
export const EXACT_COUNTERS = {
  requests: { unit: 'requests', about: 'driven' },
  prompt_tokens: { unit: 'tokens', about: 'computed for prompts' },
  generated_tokens: { unit: 'tokens', about: 'generated' },
  steps: { unit: 'steps', about: 'of the engine' },
  dispatches: { unit: 'dispatches', about: 'kernels started' },
  dispatches_per_step: { unit: 'dispatches', about: 'kernels started in a step, mean' },
  rows: { unit: 'rows', about: 'tokens run through the model' },
  padded_rows: { unit: 'rows', about: 'computed by products beyond those wanted, as their tiles are whole' },
  lora_rows: { unit: 'rows', about: 'that carried an adapter' },
  adapters_per_step: { unit: 'adapters', about: 'different ones in a step, mean' },
  weight_bytes: { unit: 'B', about: 'of weight matrices read by products' },
  kv_bytes: { unit: 'B', about: 'of keys and values, of each sequence once a step' },
  adapter_bytes: { unit: 'B', about: 'of adapters, each once a step' },
  kernel_bytes: { unit: 'B', about: 'of weights, keys and values, and adapters' },
  kernel_bytes_per_step: { unit: 'B', about: 'of weights, keys and values, and adapters in a step, mean' },
  upload_bytes: { unit: 'B', about: 'written to the device for steps' },
  pipelines_compiled: { unit: 'pipelines', about: 'since the engine started' },
  created_in_steps: { unit: 'objects', about: 'pipelines, buffers and bind groups created while it ran; 0 is right' },
} as const satisfies Record<string, { unit: string; about: string }>;

export type ExactCounter = keyof typeof EXACT_COUNTERS;

/** What one drive gave. */
export interface Exact {
  counters: Record<ExactCounter, number>;
  /** The device and the kernels that they belong to: with others, other counts are no regression. */
  validFor: string;
}
