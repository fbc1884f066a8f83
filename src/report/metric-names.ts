/**
 * What the report calls the metrics it shows: short for columns, long for headings. Definitions come from the metrics'
 * own registry; these are only the names that the field uses for them.
 */
export const METRIC_NAMES = {
  ttft: { short: 'TTFT', long: 'Time to first token' },
  ttft_cold: { short: 'TTFT cold', long: 'Time to first token, cold adapter' },
  ttft_warm: { short: 'TTFT warm', long: 'Time to first token, warm adapter' },
  adapter_load: { short: 'adapter load', long: 'Wait for a cold adapter' },
  itl: { short: 'ITL', long: 'Inter-token latency' },
  tpot: { short: 'TPOT', long: 'Time per output token' },
  e2e: { short: 'E2E', long: 'End-to-end latency' },
  output_tokens_per_second: { short: 'tok/s', long: 'Output tokens per second' },
  goodput: { short: 'goodput', long: 'Requests per second that met every SLO' },
} as const;

export type NamedMetric = keyof typeof METRIC_NAMES;
