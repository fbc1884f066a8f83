/**
 * How a tokenizer cuts a text, as lengths: what is needed to say which part of a stream carried which tokens.
 *
 * In: a text. Out: the UTF-8 bytes of each of its tokens, in order. Bytes and not characters, since a token may end inside
 * a character. The length of an id is looked up once.
 */
import type { Tokenizer } from '../../engine/models/tokenizer.ts';

/** What counting tokens in answers needs of a tokenizer. */
export type CountingTokenizer = Pick<Tokenizer, 'encode' | 'bytesOf'>;

export function tokenBytesOf(tokenizer: CountingTokenizer): (text: string) => Uint32Array {
  const lengths = new Map<number, number>();
  const lengthOf = (id: number): number => {
    const known = lengths.get(id);
    if (known !== undefined) return known;
    const { length } = tokenizer.bytesOf(id);
    lengths.set(id, length);
    return length;
  };
  return (text) => tokenizer.encode(text).map(lengthOf);
}
