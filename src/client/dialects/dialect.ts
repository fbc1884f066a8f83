/**
 * What differs between OpenAI's two generation endpoints: where requests go, how a prompt is carried, and where a
 * stream's choice keeps its text. Everything else of a request and its stream is common to both (request-body.ts,
 * stream-reader.ts).
 */
export interface Piece {
  /** Visible output: text, a refusal, or the data of a tool call. */
  text: string;
  /** Thoughts that a reasoning model streams before its answer. */
  reasoning: string;
  finish: string | null;
}

export interface Dialect {
  readonly api: 'completions' | 'chat';
  /** Under the base URL, with a leading slash. */
  readonly path: string;
  /** The fields that carry the prompt. */
  prompt(text: string): Record<string, unknown>;
  /** One element of `choices`, or whatever stands there: read, never trusted. */
  piece(choice: unknown): Piece;
}

export type Fields = Record<string, unknown>;

/** `value` as an object to look into; an empty one when it is none. */
export const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

/** `value` when it is text, else none. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** null while the answer goes on; Ollama says "" then (ollama#4357). */
export const finishOf = (choice: Fields): string | null => textOf(choice['finish_reason']) || null;
