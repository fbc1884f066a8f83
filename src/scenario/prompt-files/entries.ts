/**
 * What a file of prompts holds, once it is read: plain data that a plan carries and all its cells share. Made by read.ts;
 * requests are made of it in workload/.
 */

/** Tokens of prompt that one hash id stands for (Mooncake's trace format). */
export const TRACE_BLOCK_TOKENS = 512;

export interface TraceEntry {
  /** Milliseconds after the trace's first request. */
  atMs: number;
  promptTokens: number;
  /** null where the trace does not say. */
  outputTokens: number | null;
  /** One for each block of the prompt, of which the last may be cut: equal ids, equal text. null: nothing is shared. */
  hashIds: readonly number[] | null;
}

export interface DatasetEntry {
  text: string;
  /** Of the text alone, by the tokenizer of the model it is for. */
  promptTokens: number;
  /** null where the file does not say, or is not asked. */
  outputTokens: number | null;
}

interface FileOf<Kind extends string, Entry> {
  kind: Kind;
  /** The file's base name. */
  name: string;
  /** sha256 over what is sent; equal contents under another name give an equal hash. */
  hash: string;
  entries: readonly Entry[];
}

/** In the order of their times. */
export type TraceFile = FileOf<'trace', TraceEntry>;

/** In the order of the file. */
export interface DatasetFile extends FileOf<'dataset', DatasetEntry> {
  /** Conversations that are not used, and why; null where none was left out. */
  leftOut: { count: number; why: string } | null;
  /** The file goes on behind the entries. */
  cut: boolean;
}

export type PromptFile = TraceFile | DatasetFile;
