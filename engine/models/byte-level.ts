/**
 * The two ways BPE vocabularies write bytes as text, and back.
 *
 * Byte-level BPE writes every byte as one printable character (GPT-2's encoder.py, bytes_to_unicode): a byte that is a
 * visible Latin-1 character stands for itself, the others are numbered from U+0100 in order. SentencePiece's BPE writes
 * text, a space as U+2581, and a byte that is no part of a known character as "<0xE4>".
 */

/** The byte of each of the 256 characters. */
export function bytesByCharacter(): Map<string, number> {
  const visible = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  const bytes = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) bytes.set(String.fromCharCode(visible(byte) ? byte : next++), byte);
  return bytes;
}

/** What SentencePiece writes a space as. */
export const METASPACE = '\u2581';

/** The token of a byte in vocabularies with byte fallback: 10 is "<0x0A>". */
export const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
