/**
 * The tokenizer of a Hugging Face folder: tokenizer.json through @huggingface/tokenizers, and the chat template beside it.
 *
 * Folder in, a Tokenizer out. The package splits and merges; kept from it are the control tokens (special ones, and those
 * that the chat template writes), so that no text can hold one: a template puts them in as ids. Other added tokens, such
 * as runs of spaces or extra words, are found in text as everywhere.
 * Long texts are encoded part by part, cut where that changes nothing (text-cuts.ts), long words in turns (byte-pairs.ts).
 */
import { basename, join, resolve } from 'node:path';
import { FileError } from '../tensor-files/file-error.ts';
import { mergedInTurns } from './byte-pairs.ts';
import { jinjaChat } from './jinja-chat.ts';
import { type JinjaTemplate, openTemplate } from './jinja-template.ts';
import { type JsonObject, readJsonObject, shown } from './json-file.ts';
import { cutRule, partsOf } from './text-cuts.ts';
import { bytesOfTokens } from './token-bytes.ts';
import { decoded, joined, type Tokenizer } from './tokenizer.ts';
import { type AddedToken, checkedTokenizer, type TokenizerFile } from './tokenizer-file.ts';

const MOST_BYTES = 64 * 2 ** 20;
/** Longer pre-tokens are merged in turns. */
const LONG_WORD = 512;
/** Characters of short pre-tokens encoded between two turns. */
const BATCH_CHARACTERS = 1024;
const NOTHING = new Uint32Array(0);

/** What is used of the package, whose own types cannot be resolved from an ES module. */
interface PackageTokenizer {
  readonly normalizer: { normalize(text: string): string } | null;
  readonly pre_tokenizer: { pre_tokenize(text: string, options: { section_index: number }): string[] } | null;
  readonly model: Merging;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}

interface Merging {
  encode(words: string[]): string[];
  readonly ignore_merges: boolean;
  /** By JSON of the pair. */
  readonly bpe_ranks: ReadonlyMap<string, number>;
}

/** Where a text stands: some tokenizers put a space before the first of all, or also before those after special tokens. */
export type TextPosition = 'first' | 'after special';

/** @param vocab the model's vocab_size; null: as many ids as the tokenizer has. @throws FileError with every problem */
export async function loadFolderTokenizer(folder: string, vocab: number | null): Promise<Tokenizer> {
  const path = join(folder, 'tokenizer.json');
  const json = await readJsonObject(folder, 'tokenizer.json', MOST_BYTES);
  if (json === null) {
    throw new FileError(
      folder,
      "there is no tokenizer.json; where there is a tokenizer.model, transformers' AutoTokenizer.from_pretrained(..).save_pretrained(..) writes one",
    );
  }
  const file = checkedTokenizer(path, json);
  const config = (await readJsonObject(folder, 'tokenizer_config.json')) ?? {};
  const template = await openTemplate(folder, config);
  const { controls, plain } = sorted(file.added, template);
  const ids = vocabularyOf(file, controls, plain);
  const size = vocab ?? Math.max(-1, ...highest(file)) + 1;
  checkSize(path, file, ids, size);

  const pieces = await encoderOf(path, file, plain, ids);
  const { bytesOf, longest } = bytesOfTokens(file, size);
  const encodePieces = (text: string) => pieces(text, 'first');
  const decode = (tokens: ArrayLike<number>) => decoded(tokens, bytesOf);
  return {
    name: basename(resolve(folder)),
    vocab: size,
    longestTokenBytes: longest,
    beginOfText: file.beginOfText,
    chat: template === null ? null : jinjaChat(template, { controls, vocab: size, encode: pieces }),
    encode: (text) => joined([...encodePieces(text)]),
    encodePieces,
    bytesOf,
    decode: file.stripsFirstSpace ? (tokens) => decode(tokens).replace(/^ /, '') : decode,
  };
}

/** Added tokens that no text can hold, and those that it can. Blank ones are only ever text, whoever writes them. */
function sorted(
  added: readonly AddedToken[],
  template: JinjaTemplate | null,
): { controls: AddedToken[]; plain: AddedToken[] } {
  const isControl = ({ special, content }: AddedToken) =>
    special || (content.length > 1 && content.trim() !== '' && template?.writes(content) === true);
  return { controls: added.filter(isControl), plain: added.filter((token) => !isControl(token)) };
}

/** Ids of what text can become. */
function vocabularyOf(
  { model: { vocab } }: TokenizerFile,
  controls: readonly AddedToken[],
  plain: readonly AddedToken[],
): Map<string, number> {
  for (const { content } of controls) delete vocab[content];
  const ids = new Map(Object.entries(vocab));
  for (const { content, id } of plain) ids.set(content, id);
  return ids;
}

function* highest(file: TokenizerFile): IterableIterator<number> {
  let most = -1;
  for (const id of Object.values(file.model.vocab)) most = Math.max(most, id);
  yield most;
  for (const { id } of file.added) yield id;
}

/** The model must have an embedding for whatever a text can become; control tokens are looked at when they are used. */
function checkSize(path: string, file: TokenizerFile, ids: ReadonlyMap<string, number>, size: number): void {
  const problems: string[] = [];
  const outside = [...ids].filter(([, id]) => id >= size);
  if (outside[0] !== undefined) {
    const [token, id] = outside[0];
    problems.push(
      `${outside.length} tokens, ${shown(token)} (${id}) among them, have ids past the model's vocab_size, ${size}; expected the tokenizer of this model`,
    );
  }
  if (file.beginOfText !== null && file.beginOfText >= size) {
    problems.push(`post_processor puts ${file.beginOfText} before a text; expected an id below vocab_size, ${size}`);
  }
  if (problems.length > 0) throw new FileError(path, problems);
}

/** What turns text into ids. @throws FileError the package cannot read it */
async function encoderOf(
  path: string,
  file: TokenizerFile,
  plain: readonly AddedToken[],
  ids: ReadonlyMap<string, number>,
): Promise<(text: string, position: TextPosition) => IterableIterator<Uint32Array>> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  const build = (prefixed: boolean): PackageTokenizer => {
    try {
      return new Tokenizer(packageInput(file, plain, prefixed), {}) as PackageTokenizer;
    } catch (cause) {
      throw new FileError(path, `cannot be used: ${(cause as Error).message}`, { cause });
    }
  };
  const first = build(true);
  const later = file.prefix === 'none' ? first : build(false);
  const canCut = cutRule(file, plain);
  const hasPlain = plainFinder(file, plain);

  const idsOf = (tokens: readonly string[]) =>
    Uint32Array.from(tokens.map((token) => ids.get(token)).filter((id) => id !== undefined));

  function* longWord(model: Merging, word: string): IterableIterator<Uint32Array> {
    if (model.ignore_merges && ids.has(word)) return yield idsOf([word]);
    const rankOf = (left: string, right: string) => model.bpe_ranks.get(JSON.stringify([left, right]));
    const merging = mergedInTurns(Array.from(word), rankOf);
    let turn = merging.next();
    for (; !turn.done; turn = merging.next()) yield NOTHING;
    // Tokens of the vocabulary are their own merges' result; characters that are not become bytes.
    for (const tokens of batched(turn.value)) {
      yield idsOf(tokens.flatMap((token) => (ids.has(token) ? token : model.encode([token]))));
    }
  }

  function* part(tokenizer: PackageTokenizer, text: string): IterableIterator<Uint32Array> {
    if (hasPlain(text)) return yield Uint32Array.from(tokenizer.encode(text, { add_special_tokens: false }).ids);
    const { normalizer, pre_tokenizer, model } = tokenizer;
    const normal = normalizer?.normalize(text) ?? text;
    const words = pre_tokenizer?.pre_tokenize(normal, { section_index: 0 }) ?? [normal];
    for (const batch of batched(words, LONG_WORD)) {
      if (batch[0]!.length > LONG_WORD) yield* longWord(model, batch[0]!);
      else yield idsOf(model.encode(batch));
    }
  }

  return function* pieces(text, position) {
    let tokenizer = position === 'first' || file.prefix === 'every' ? first : later;
    for (const some of partsOf(text, canCut)) {
      yield* part(tokenizer, some);
      tokenizer = later;
    }
  };
}

/** Texts in batches of BATCH_CHARACTERS or a little more; those longer than `long` alone. */
function* batched(texts: readonly string[], long = Number.POSITIVE_INFINITY): IterableIterator<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    const alone = text.length > long;
    if (batch.length > 0 && (alone || characters > BATCH_CHARACTERS)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(text);
    characters += alone ? BATCH_CHARACTERS + 1 : text.length;
  }
  if (batch.length > 0) yield batch;
}

/** tokenizer.json as the package is to see it: without control tokens, and, not `prefixed`, without a space in front. */
function packageInput(file: TokenizerFile, plain: readonly AddedToken[], prefixed: boolean): JsonObject {
  const normalizers = file.normalizers.filter(({ type }) => prefixed || type !== 'Prepend');
  const pretokenizers = file.preTokenizers.map((step) =>
    prefixed || step['type'] !== 'Metaspace' ? step : { ...step, prepend_scheme: 'never' },
  );
  return {
    added_tokens: plain,
    normalizer: normalizers.length === 0 ? null : { type: 'Sequence', normalizers },
    pre_tokenizer: pretokenizers.length === 0 ? null : { type: 'Sequence', pretokenizers },
    post_processor: null,
    decoder: null,
    // Nothing is unknown over bytes or with byte fallback; the unknown token is a control token besides.
    model: { ...file.model, unk_token: null, fuse_unk: false },
  };
}

/** Whether a text may hold an added token: the package then does it whole. */
function plainFinder(file: TokenizerFile, plain: readonly AddedToken[]): (text: string) => boolean {
  if (plain.length === 0) return () => false;
  if (file.normalizers.length > 0 && plain.some(({ normalized }) => normalized)) return () => true;
  const pattern = new RegExp(plain.map(({ content }) => content.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'));
  return (text) => pattern.test(text);
}
