/**
 * Text to token ids and back: what a tokenizer is to the engine and the harness, and how to get one.
 *
 * Text in, ids out, never with special tokens: what a user types as "<|eot_id|>" is encoded as those ten characters, so
 * that no prompt can forge a turn. Ids back to bytes one by one, because a token may end inside a UTF-8 character.
 * The presets' is in llama3-tokenizer.ts, those of Hugging Face folders in folder-tokenizer.ts; each is loaded when asked
 * for. As in Hugging Face's own, a tokenizer holds its model's chat template.
 */
import type { ChatTemplate } from './chat-template.ts';

export interface Tokenizer {
  readonly name: string;
  /** Number of ids, special ones included; a folder's is its model's vocab_size, where that is known. */
  readonly vocab: number;
  /** Bytes of the longest ordinary token: a text has at least its UTF-8 bytes / this tokens. */
  readonly longestTokenBytes: number;
  /** What a text begins with where special tokens are asked for; null when that is nothing. */
  readonly beginOfText: number | null;
  /** Null when the model comes without a template. */
  readonly chat: ChatTemplate | null;
  /** Ids of the text: no BOS, no special tokens. Blocks for about 2.5 us a token of English, 5 us a character of Chinese. */
  encode(text: string): Uint32Array;
  /**
   * The same ids in pieces, each computed when asked for, in a few ms, so that a caller may do other things between. A
   * piece may be empty.
   */
  encodePieces(text: string): IterableIterator<Uint32Array>;
  /** UTF-8 bytes of one id, possibly part of a character; none for special tokens. @throws RangeError outside 0..vocab-1 */
  bytesOf(id: number): Uint8Array;
  /** Text of the ids; special tokens give none, bytes that are no UTF-8 give U+FFFD. */
  decode(ids: ArrayLike<number>): string;
}

export type TokenizerName = 'llama-3';

/** A tokenizer by name, or a model as findModel() gives it, or just a folder with a tokenizer.json. */
export type TokenizerSource =
  | TokenizerName
  | { readonly folder: string | null; readonly geometry?: { readonly vocab: number } };

let llama3: Promise<Tokenizer> | null = null;

/**
 * The tokenizer of that name or model. The presets' is loaded once a process, a folder's each time.
 * @throws FileError (folders) with every problem: no tokenizer.json, a kind that is not supported, a broken template
 */
export async function loadTokenizer(source: TokenizerSource): Promise<Tokenizer> {
  if (typeof source === 'object' && source.folder !== null) {
    const { loadFolderTokenizer } = await import('./folder-tokenizer.ts');
    return loadFolderTokenizer(source.folder, source.geometry?.vocab ?? null);
  }
  llama3 ??= import('./llama3-tokenizer.ts')
    .then(({ loadLlama3 }) => loadLlama3())
    .catch((error: unknown) => {
      llama3 = null; // a failed load may be tried again
      throw error;
    });
  return llama3;
}

/** Ids brought into a smaller vocabulary (stand-ins, SmolLM2's preset): id mod vocab. Unchanged where they all fit. */
export const fold = (ids: Uint32Array, vocab: number): Uint32Array =>
  ids.some((id) => id >= vocab) ? ids.map((id) => id % vocab) : ids;

/** Several runs of ids as one. */
export function joined(pieces: readonly Uint32Array[]): Uint32Array {
  if (pieces.length === 1) return pieces[0]!;
  const ids = new Uint32Array(pieces.reduce((total, piece) => total + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    ids.set(piece, at);
    at += piece.length;
  }
  return ids;
}

/** The text that the ids' bytes are. */
export function decoded(ids: ArrayLike<number>, bytesOf: (id: number) => Uint8Array): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  for (let i = 0; i < ids.length; i++) text += decoder.decode(bytesOf(ids[i]!), { stream: true });
  return text + decoder.decode();
}
