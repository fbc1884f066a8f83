/**
 * Where a text may be cut so that its parts, encoded one by one, have the ids of the whole.
 *
 * A tokenizer in, a rule out, or null where nothing can be said for sure: such texts are then encoded at one go.
 *
 * Over bytes: before a lone space between two characters that are none, and between a letter and a punctuation mark. The
 * splits named here have no look-behind, put neither pair into one pre-token, and look ahead only from white space to what
 * follows it directly, so they find the same pre-tokens on both sides; BPE never merges across pre-tokens.
 * Over text, without a split: between two characters that stand side by side in no token. A merge across the cut would make
 * one in which they do.
 */
import { METASPACE } from './byte-level.ts';
import { isObject, type JsonObject } from './json-file.ts';
import { GPT2_SPLIT, type TokenizerFile } from './tokenizer-file.ts';

/** Most characters between cuts, where the text has any: about 1 ms of English. */
const PART_CHARACTERS = 1024;

/** Whether the text may be cut before the character at `at`, which is neither its first nor past its last. */
export type CanCut = (text: string, at: number) => boolean;

/** GPT-2's split, Llama 3's, and its kin: those of Qwen2 and others differ in how many digits they keep together. */
const KNOWN_SPLITS: ReadonlySet<unknown> = new Set([
  GPT2_SPLIT,
  ...['\\p{N}{1,3}', '\\p{N}', '\\p{N}+'].map(
    (digits) =>
      `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ),
]);
const DIGIT_SPLITS: ReadonlySet<unknown> = new Set(['\\p{N}', '\\p{N}+']);

/** White space by Unicode, as patterns have it; U+FEFF besides, which is JavaScript's. */
const SPACE_ALONE = /^[^\s\u0085] [^\s\u0085]$/;
const PUNCTUATION = /^\p{P}/u;
const LETTER_BEFORE = /\p{L}$/u;
/** A token that is found in text may have a cut in it. */
const CAN_BE_CUT = /\S |\p{L}\p{P}/u;

/** @param plain contents of the tokens that are found in text, and that no cut may fall into */
export function cutRule(
  file: TokenizerFile,
  plain: readonly { content: string; lstrip: boolean; rstrip: boolean }[],
): CanCut | null {
  if (plain.some(({ lstrip, rstrip }) => lstrip || rstrip)) return null; // they take the spaces around them
  const contents = plain.map(({ content }) => content);
  return file.alphabet === 'bytes' ? cutBetweenWords(file, contents) : cutBetweenStrangers(file, contents);
}

function cutBetweenWords({ preTokenizers }: TokenizerFile, contents: readonly string[]): CanCut | null {
  const regex = ({ pattern }: JsonObject) => (isObject(pattern) ? pattern['Regex'] : undefined);
  const splitsWords = (step: JsonObject) => KNOWN_SPLITS.has(regex(step));
  const known = (step: JsonObject) =>
    step['type'] === 'ByteLevel' || splitsWords(step) || DIGIT_SPLITS.has(regex(step));
  if (!preTokenizers.some(splitsWords) || !preTokenizers.every(known)) return null;
  if (contents.some((content) => CAN_BE_CUT.test(content))) return null;
  return (text, at) =>
    text.charCodeAt(at) === 0x20
      ? SPACE_ALONE.test(text.slice(at - 1, at + 2))
      : PUNCTUATION.test(text.slice(at, at + 2)) && LETTER_BEFORE.test(text.slice(Math.max(0, at - 2), at));
}

function cutBetweenStrangers(file: TokenizerFile, contents: readonly string[]): CanCut | null {
  if (file.preTokenizers.some(({ type }) => type !== 'Metaspace')) return null;
  if (file.normalizers.some(({ type }) => type === 'NFC')) return null; // may join what a cut parts
  const neighbours = new Set<string>();
  for (const token of [
    ...Object.keys(file.model.vocab),
    ...contents.map((content) => content.replaceAll(' ', METASPACE)),
  ]) {
    const characters = Array.from(token);
    for (let i = 1; i < characters.length; i++) neighbours.add(characters[i - 1]! + characters[i]!);
  }
  return (text, at) => {
    if (isInsidePair(text, at)) return false;
    const before = isInsidePair(text, at - 1) ? text.slice(at - 2, at) : text[at - 1]!;
    const after = String.fromCodePoint(text.codePointAt(at)!);
    return !neighbours.has((before + after).replaceAll(' ', METASPACE));
  };
}

/** Between the two halves of a character outside the basic plane. */
const isInsidePair = (text: string, at: number): boolean => at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;

/** The text in parts, each as long as it may be but no longer than it must. */
export function* partsOf(text: string, canCut: CanCut | null): IterableIterator<string> {
  let start = 0;
  while (canCut !== null && text.length - start > PART_CHARACTERS) {
    const wanted = start + PART_CHARACTERS;
    let at = wanted;
    while (at > start && !canCut(text, at)) at--;
    if (at === start) {
      at = wanted + 1;
      while (at < text.length && !canCut(text, at)) at++;
    }
    if (at >= text.length) break;
    yield text.slice(start, at);
    start = at;
  }
  if (start < text.length) yield text.slice(start);
}
