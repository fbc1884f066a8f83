/** Size of a warm-up request: enough to load an adapter and to run a prefill and a decode step, small enough to be cheap. */
export const WARMUP_TOKENS = { prompt: 8, output: 2 } as const;
