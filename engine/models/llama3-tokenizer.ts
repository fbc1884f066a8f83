/**
 * The tokenizer of the presets: Llama 3's byte-level BPE with its published vocabulary.
 *
 * The vocabulary and merges come from the package llama3-tokenizer-js, loaded on first use (3 MB of source, ~0.5 s).
 *
 * One difference from the published tokenizer: a word, or any run that is one pre-token, longer than 511 characters is
 * encoded in parts of up to 512, and no token lies in two of them. Whole, its cost has no bound (0.3 s for 60,000
 * letters, and the package overflows the stack beyond); text that people write has no such runs.
 * SmolLM2's preset uses the same tokenizer, folded; its own comes with its folder.
 */
import { bytesByCharacter } from './byte-level.ts';
import { llama3Chat } from './chat-template.ts';
import { decoded, joined, type Tokenizer } from './tokenizer.ts';

/** Ids of Llama 3's special tokens that the engine uses (tokenizer.json of Meta-Llama-3-8B). */
export const LLAMA3_SPECIAL = {
  beginOfText: 128000,
  endOfText: 128001,
  startHeader: 128006,
  endHeader: 128007,
  endOfTurn: 128009,
} as const;

/** Ids below this are ordinary text; the 256 above are special. */
const LLAMA3_ORDINARY = 128000;

/** Most characters encoded at a time: 5 ms of work at worst (Chinese; English takes 0.2 ms). */
const PIECE_CHARACTERS = 512;

/** The split of tokenizer.json, with (?i:..) spelled out: JavaScript's modifiers are not in Node 20. */
const PRETOKEN =
  /'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

/** The package would otherwise parse special tokens out of the text. */
const ENCODE_OPTIONS = { bos: false, eos: false, specialTokenRegex: /(?!)/g };

export async function loadLlama3(): Promise<Tokenizer> {
  const { default: bpe } = await import('llama3-tokenizer-js');
  const byteOf = bytesByCharacter();
  const none = new Uint8Array(0);

  const encodePlain = (text: string) => Uint32Array.from(bpe.encode(text, ENCODE_OPTIONS));

  function* encodePieces(text: string): IterableIterator<Uint32Array> {
    let start = 0;
    for (const end of cutsOf(text)) {
      yield encodePlain(text.slice(start, end));
      start = end;
    }
  }

  const bytesOf = (id: number): Uint8Array => {
    const token = bpe.vocabById[id];
    if (token === undefined) throw new RangeError(`token id ${id} is outside Llama 3's 0..${bpe.vocabById.length - 1}`);
    if (id >= LLAMA3_ORDINARY) return none;
    return Uint8Array.from(token, (character) => byteOf.get(character)!);
  };

  return {
    name: 'llama-3',
    vocab: bpe.vocabById.length,
    // Tokens are written with one character a byte.
    longestTokenBytes: bpe.vocabById.slice(0, LLAMA3_ORDINARY).reduce((most, { length }) => Math.max(most, length), 0),
    beginOfText: LLAMA3_SPECIAL.beginOfText,
    chat: llama3Chat(encodePieces, LLAMA3_SPECIAL),
    encode: (text) => joined([...encodePieces(text)]),
    encodePieces,
    bytesOf,
    decode: (ids) => decoded(ids, bytesOf),
  };
}

/**
 * Where each piece of the text ends: after as many whole pre-tokens as fit, or within one that does not fit.
 *
 * A cut between two pre-tokens changes nothing, since BPE never merges across them, as long as the split finds the same
 * ones in the piece. It does but for its only look-ahead, \s+(?!\S), which leaves the last of several spaces to what
 * follows, and at a piece's end would take it as well: no cut after that one. A part of a pre-token is one pre-token.
 */
function* cutsOf(text: string): IterableIterator<number> {
  let start = 0;
  if (text.length > PIECE_CHARACTERS) {
    let end = 0;
    for (const { 0: pretoken, index } of text.matchAll(PRETOKEN)) {
      const next = index + pretoken.length;
      if (next - start > PIECE_CHARACTERS && end > start) {
        start = end;
        yield start;
      }
      while (next - start > PIECE_CHARACTERS) {
        const cut = start + PIECE_CHARACTERS;
        start = isInsidePair(text, cut) ? cut - 1 : cut;
        yield start;
      }
      if (pretoken.length > 1 || !TWO_SPACES.test(text.slice(index - 1, next))) end = next;
    }
  }
  if (start < text.length) yield text.length;
}

/** Two characters that are white space and no line break. */
const TWO_SPACES = /^[^\S\r\n]{2}$/;

/** Between the two halves of a character outside the basic plane. */
const isInsidePair = (text: string, at: number): boolean => (text.codePointAt(at - 1) ?? 0) > 0xffff;
