/**
 * The bytes of each token of a folder's vocabulary, as they appear in a text: special tokens have none.
 */
import { bytesByCharacter, byteToken, METASPACE } from './byte-level.ts';
import type { TokenizerFile } from './tokenizer-file.ts';

export interface TokenBytes {
  /** @throws RangeError outside 0..size-1 */
  bytesOf(id: number): Uint8Array;
  /** Most bytes of a text that one token can stand for. */
  longest: number;
}

/** NFC can make a text three times shorter (three letters of Hangul one syllable, an ohm sign with accents one letter). */
const NFC_SHRINKS = 3;

const NONE = new Uint8Array(0);

/** @param size ids past the vocabulary, up to this, have no bytes: models have more embeddings than tokens */
export function bytesOfTokens(file: TokenizerFile, size: number): TokenBytes {
  const text = new TextEncoder();
  const ofToken = file.alphabet === 'bytes' ? byteLevel() : metaspace();
  const table: (Uint8Array | undefined)[] = [];
  let longest = 1;
  const put = (id: number, bytes: Uint8Array) => {
    if (id >= size) return;
    table[id] = bytes;
    longest = Math.max(longest, bytes.length);
  };
  for (const [token, id] of Object.entries(file.model.vocab)) put(id, ofToken(token));
  for (const { id, content, special } of file.added) put(id, special ? NONE : text.encode(content));
  return {
    bytesOf(id) {
      if (id >= 0 && id < size) return table[id] ?? NONE;
      throw new RangeError(`token id ${id} is outside this model's 0..${size - 1}`);
    },
    longest: longest * (file.normalizers.some(({ type }) => type === 'NFC') ? NFC_SHRINKS : 1),
  };

  function byteLevel(): (token: string) => Uint8Array {
    const byteOf = bytesByCharacter();
    return (token) => {
      const bytes = Array.from(token, (character) => byteOf.get(character));
      return bytes.some((byte) => byte === undefined) ? text.encode(token) : Uint8Array.from(bytes as number[]);
    };
  }

  function metaspace(): (token: string) => Uint8Array {
    const bytes = new Map(Array.from({ length: 256 }, (_, byte) => [byteToken(byte), byte]));
    return (token) => {
      const byte = bytes.get(token);
      return byte === undefined ? text.encode(token.replaceAll(METASPACE, ' ')) : Uint8Array.of(byte);
    };
  }
}
