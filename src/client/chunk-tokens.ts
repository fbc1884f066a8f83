/**
 * How many tokens each content chunk carried, worked out once the stream has ended.
 *
 * In: per chunk its text and the running `completion_tokens` if it had one, the final usage, a tokenizer. Out: tokens per
 * chunk, and where they come from: the server's running count, else the growth of the tokenized text so far, else one
 * each where the final usage says that there were as many tokens as chunks, else unknown.
 */
import type { TokenSource } from '../result/schema.ts';

export interface ContentChunk {
  text: string;
  /** `usage.completion_tokens` as of this chunk; null when it had none. */
  running: number | null;
}

export interface ChunkTokens {
  tokens: (number | null)[];
  source: TokenSource;
}

/** Tokenizing the whole text again at each chunk is quadratic; text this far back is counted once and left alone. */
const SETTLED_AFTER_CHARACTERS = 256;

export function chunkTokens(
  chunks: readonly ContentChunk[],
  finalTokens: number | null,
  countTokens: ((text: string) => number) | null,
): ChunkTokens {
  if (chunks.length === 0) return { tokens: [], source: 'unknown' };
  const running = differences(chunks);
  if (running !== null) return { tokens: running, source: 'continuous_usage' };
  if (countTokens !== null) return { tokens: growth(chunks, countTokens), source: 'tokenizer' };
  if (finalTokens === chunks.length) return { tokens: chunks.map(() => 1), source: 'one_per_chunk' };
  return { tokens: chunks.map(() => null), source: 'unknown' };
}

/** The server's running counts taken apart; null unless every chunk has one and they never fall. */
function differences(chunks: readonly ContentChunk[]): number[] | null {
  const tokens: number[] = [];
  let before = 0;
  for (const { running } of chunks) {
    if (running === null || running < before) return null;
    tokens.push(running - before);
    before = running;
  }
  return tokens;
}

/**
 * By how many tokens the text so far grows with each chunk. A chunk may change how earlier characters are cut ("ab" is
 * two tokens until "c" makes "abc" one), so a count can fall; it then adds nothing until the highest count is passed.
 */
function growth(chunks: readonly ContentChunk[], countTokens: (text: string) => number): number[] {
  let settled = 0;
  let open = '';
  let highest = 0;
  return chunks.map(({ text }) => {
    if (text === '') return 0;
    open += text;
    const cut = open.length > 2 * SETTLED_AFTER_CHARACTERS ? wordBoundary(open) : 0;
    if (cut > 0) {
      settled += countTokens(open.slice(0, cut));
      open = open.slice(cut);
    }
    const count = settled + countTokens(open);
    const added = Math.max(0, count - highest);
    highest = Math.max(highest, count);
    return added;
  });
}

/**
 * The last place, well before the end, where a space follows a letter and precedes one. Tokenizers of language models
 * start a token at such a space (byte-pair encoders split before " word" first, SentencePiece writes it "▁word"), so the
 * parts on both sides count as much apart as together. 0 when there is none.
 */
function wordBoundary(text: string): number {
  for (let i = text.length - SETTLED_AFTER_CHARACTERS; i > 0; i--) {
    if (text[i] === ' ' && /[A-Za-z]/.test(text[i + 1] ?? '') && /[A-Za-z]/.test(text[i - 1] ?? '')) return i;
  }
  return 0;
}
