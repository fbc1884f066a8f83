/** One request as the workload asks for it; the client puts it on the wire. Made by `workloadOf()` in workload.ts. */
export interface RequestSpec {
  /** 0-based within the run's phase. */
  i: number;
  phase: 'warmup' | 'measure';
  /** Adapter name, or null for the base model. */
  adapter: string | null;
  /** Text that the workload's tokenizer turns into exactly `promptTokens` tokens, without a chat template. */
  prompt: string;
  promptTokens: number;
  /** Tokens asked for: max_tokens, and min_tokens too when `control` is exact. */
  outputTokens: number;
  control: 'exact' | 'cap';
  /** Open loop: nanoseconds after the start of the run when it should be sent. Closed loop: null. */
  intendedOffset: number | null;
}
