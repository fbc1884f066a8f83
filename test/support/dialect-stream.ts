/** What a server's answer is described by, and what such descriptions share. */

/** Bytes, written by themselves; or a pause in ms. */
export type Step = string | number;

export interface DialectStream {
  server: string;
  api: 'completions' | 'chat';
  /** Tokens asked for; exactly so many where `exact`, else at most. */
  asked: number;
  exact: boolean;
  steps: Step[];
  /** Tokens of each content chunk; where the server doesn't tell, as a tokenizer of words counts them, else null. */
  tokens: (number | null)[];
  source: 'continuous_usage' | 'tokenizer' | 'one_per_chunk' | 'unknown';
  /** Whether the client has a tokenizer, which makes a token of each word. */
  tokenizer: boolean;
  /** The step that brings the first content, and the first that is no reasoning; null where none comes. */
  firstContent: number;
  firstOutput: number | null;
  usage: { prompt_tokens: number; completion_tokens: number } | null;
  finish: string | null;
  /** null when nothing is wrong. */
  error: string | null;
}

/** From one step to the next that matters, in ms: longer than any lateness of a test. */
export const PAUSE = 40;
export const DONE = 'data: [DONE]\n\n';
export const event = (json: string): string => `data: ${json}\n\n`;

/** Of servers that count as they stream. */
export const COUNTED = { source: 'continuous_usage', tokenizer: false, exact: true, error: null } as const;
