/**
 * A folder's tokenizer.json, checked: BPE over bytes (Llama 3, SmolLM2) or SentencePiece's over text with byte fallback
 * (Llama 2, Mistral), in the normal form that the rest of the folder's tokenizer is made of.
 *
 * What the package @huggingface/tokenizers does otherwise than Hugging Face's own library is refused by name or written so
 * that both agree; every problem is told at once.
 * Source of the format: huggingface/tokenizers, the serde forms of its normalizers, pre_tokenizers, models and decoders.
 */
import { FileError } from '../tensor-files/file-error.ts';
import { byteToken, METASPACE } from './byte-level.ts';
import { isObject, type JsonObject, shown } from './json-file.ts';

export interface AddedToken {
  id: number;
  content: string;
  lstrip: boolean;
  rstrip: boolean;
  /** Found in the normalized text instead of in the text itself. */
  normalized: boolean;
  special: boolean;
}

/** What the characters of its vocabulary stand for: bytes, or text with U+2581 for a space. */
export type Alphabet = 'bytes' | 'metaspace';

export interface BpeModel extends JsonObject {
  vocab: Record<string, number>;
  merges: string[] | [string, string][];
}

export interface TokenizerFile {
  alphabet: Alphabet;
  normalizers: JsonObject[];
  preTokenizers: JsonObject[];
  model: BpeModel;
  added: AddedToken[];
  /** Which texts get a space in front: none, the first of all, or also those after special tokens. */
  prefix: 'none' | 'first' | 'every';
  /** Decoding drops the first space. */
  stripsFirstSpace: boolean;
  /** What its post-processor puts before a text; null when that is nothing. */
  beginOfText: number | null;
}

/** Ids beyond are taken for a broken file: tables by id would grow without bound. */
const LARGEST_ID = 2 ** 22;

/** @throws FileError with every problem */
export function checkedTokenizer(path: string, json: JsonObject): TokenizerFile {
  const problems: string[] = [];
  const model = modelOf(json['model'], problems);
  const normalizers = flattened(json['normalizer'], 'normalizers', 'normalizer', problems);
  const preTokenizers = flattened(json['pre_tokenizer'], 'pretokenizers', 'pre_tokenizer', problems).flatMap(asSplits);
  const decoders = flattened(json['decoder'], 'decoders', 'decoder', problems);
  const alphabet = preTokenizers.some(({ type }) => type === 'ByteLevel') ? 'bytes' : 'metaspace';

  checkNormalizers(normalizers, alphabet, problems);
  checkPreTokenizers(preTokenizers, problems);
  checkDecoders(decoders, alphabet, problems);
  if (model !== null && alphabet === 'metaspace') checkFallback(model, normalizers, preTokenizers, problems);
  const added = addedTokens(json['added_tokens'], problems);
  const beginOfText = beginOf(json['post_processor'], problems);
  if (problems.length > 0 || model === null) throw new FileError(path, problems);

  const metaspace = preTokenizers.find(({ type }) => type === 'Metaspace');
  const scheme = metaspace?.['prepend_scheme'] ?? 'always';
  const prepends = normalizers.some(({ type }) => type === 'Prepend') || (metaspace && scheme === 'always');
  return {
    alphabet,
    normalizers,
    preTokenizers,
    model,
    added,
    prefix: prepends ? 'every' : metaspace && scheme === 'first' ? 'first' : 'none',
    stripsFirstSpace: decoders.some(
      ({ type, content, start }) => type === 'Metaspace' || (type === 'Strip' && content === ' ' && start === 1),
    ),
    beginOfText,
  };
}

/** The steps of a component: of a Sequence those in it, of null none. */
function flattened(value: unknown, list: string, where: string, problems: string[]): JsonObject[] {
  if (value == null) return [];
  if (!isObject(value)) {
    problems.push(`${where} is ${shown(value)}; expected an object or null`);
    return [];
  }
  if (value['type'] !== 'Sequence') return [value];
  const steps = value[list];
  if (Array.isArray(steps)) return steps.flatMap((step) => flattened(step, list, where, problems));
  problems.push(`${where}.${list} is ${shown(steps)}; expected a list`);
  return [];
}

function modelOf(model: unknown, problems: string[]): BpeModel | null {
  if (!isObject(model)) {
    problems.push(`model is ${model === undefined ? 'missing' : shown(model)}; expected an object`);
    return null;
  }
  const type = model['type'] ?? (Array.isArray(model['merges']) ? 'BPE' : undefined);
  if (type !== 'BPE') {
    problems.push(`a tokenizer of type ${shown(type)} is not supported; expected "BPE"`);
    return null;
  }
  const { vocab, merges } = model;
  if (!isObject(vocab)) problems.push(`model.vocab is ${shown(vocab)}; expected an object of token: id`);
  if (!Array.isArray(merges)) problems.push(`model.merges is ${shown(merges)}; expected a list`);
  if (!isObject(vocab) || !Array.isArray(merges)) return null;
  const wrong = Object.entries(vocab).find(([, id]) => !isId(id));
  if (wrong !== undefined) problems.push(`model.vocab gives ${shown(wrong[0])} the id ${shown(wrong[1])}`);
  const isMerge = (merge: unknown) =>
    typeof merge === 'string'
      ? /^[^ ]+ [^ ]+$/.test(merge)
      : Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string');
  const kind = typeof merges[0];
  const broken = merges.findIndex((merge) => typeof merge !== kind || !isMerge(merge));
  if (broken >= 0) problems.push(`model.merges[${broken}] is ${shown(merges[broken])}; expected two tokens`);
  if (model['dropout'] != null && model['dropout'] !== 0) {
    problems.push(`model.dropout is ${shown(model['dropout'])}; expected null`);
  }
  for (const field of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[field] != null && model[field] !== '') {
      problems.push(`model.${field} is ${shown(model[field])}; expected null`);
    }
  }
  return { ...model, type: 'BPE', vocab: vocab as Record<string, number>, merges };
}

const isId = (id: unknown): id is number =>
  Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < LARGEST_ID;

function checkNormalizers(normalizers: readonly JsonObject[], alphabet: Alphabet, problems: string[]): void {
  for (const step of normalizers) {
    const { type, prepend, pattern, content } = step;
    const known =
      type === 'NFC' ||
      (alphabet === 'metaspace' && type === 'Prepend' && prepend === METASPACE) ||
      (type === 'Replace' && isObject(pattern) && pattern['String'] === ' ' && content === METASPACE);
    if (!known) {
      problems.push(`normalizer ${shown(step)} is not supported; expected NFC, or ${METASPACE} for spaces`);
    }
  }
}

/** GPT-2's split, which ByteLevel holds unless told otherwise. */
export const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Digits and ByteLevel's split as patterns: the package takes only ASCII digits and JavaScript's \s, which differs from
 * Unicode's White_Space in U+0085 and U+FEFF; patterns it rewrites.
 */
function asSplits(step: JsonObject): JsonObject[] {
  const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
  if (step['type'] === 'Digits') return [split(step['individual_digits'] === true ? '\\p{N}' : '\\p{N}+')];
  if (step['type'] !== 'ByteLevel' || step['use_regex'] === false) return [step];
  return [split(GPT2_SPLIT), { ...step, use_regex: false }];
}

function checkPreTokenizers(steps: readonly JsonObject[], problems: string[]): void {
  for (const [i, step] of steps.entries()) {
    const { type, behavior, invert, pattern } = step;
    if (type === 'ByteLevel') {
      if (step['add_prefix_space'] === true) problems.push('pre_tokenizer ByteLevel: expected add_prefix_space false');
      if (i < steps.length - 1) problems.push('pre_tokenizer ByteLevel: expected it to be the last step');
    } else if (type === 'Split') {
      const one = isObject(pattern) ? (pattern['Regex'] ?? pattern['String']) : undefined;
      if (typeof one !== 'string') problems.push(`pre_tokenizer Split: pattern is ${shown(pattern)}`);
      if (!(behavior === 'Isolated' && invert !== true) && !(behavior === 'Removed')) {
        problems.push(
          `pre_tokenizer Split: behavior ${shown(behavior)} with invert ${shown(invert ?? false)} is not supported; expected "Isolated" without invert, or "Removed"`,
        );
      }
    } else if (type === 'Metaspace') {
      const { replacement = METASPACE, split = true } = step;
      if (replacement !== METASPACE) problems.push(`pre_tokenizer Metaspace: expected ${METASPACE} as its replacement`);
      if (split !== false) problems.push('pre_tokenizer Metaspace: expected split false');
    } else {
      problems.push(
        `pre_tokenizer ${shown(type)} is not supported; expected ByteLevel, Split, Digits, Metaspace or none`,
      );
    }
  }
}

const DECODERS: Readonly<Record<Alphabet, readonly string[]>> = {
  bytes: ['ByteLevel'],
  metaspace: ['Replace', 'ByteFallback', 'Fuse', 'Strip', 'Metaspace'],
};

function checkDecoders(decoders: readonly JsonObject[], alphabet: Alphabet, problems: string[]): void {
  const accepted = DECODERS[alphabet];
  if (decoders.length === 0) problems.push(`there is no decoder; expected ${accepted.join(', ')}`);
  for (const step of decoders) {
    const { type, pattern, content, start, stop } = step;
    const undoesMetaspace = isObject(pattern) && pattern['String'] === METASPACE && content === ' ';
    const known =
      accepted.includes(String(type)) &&
      (type !== 'Replace' || undoesMetaspace) &&
      (type !== 'Strip' || (content === ' ' && Number(start) <= 1 && stop === 0));
    if (!known) problems.push(`decoder ${shown(step)} is not supported; expected ${accepted.join(', ')}`);
  }
}

/** A vocabulary over text must be able to write any text: the space as U+2581, any other byte as a token of its own. */
function checkFallback(
  { vocab, byte_fallback }: BpeModel,
  normalizers: readonly JsonObject[],
  preTokenizers: readonly JsonObject[],
  problems: string[],
): void {
  const replaces =
    normalizers.some(({ type }) => type === 'Replace') || preTokenizers.some(({ type }) => type === 'Metaspace');
  if (!replaces || byte_fallback !== true) {
    problems.push(
      'expected pre_tokenizer ByteLevel, or model.byte_fallback with U+2581 for spaces; this tokenizer can write neither every byte nor every text',
    );
    return;
  }
  const missing = Array.from({ length: 256 }, (_, byte) => byteToken(byte)).filter(
    (token) => !Object.hasOwn(vocab, token),
  );
  if (missing.length > 0) problems.push(`model.vocab lacks ${missing.length} of 256 byte tokens, ${missing[0]} first`);
}

function addedTokens(value: unknown, problems: string[]): AddedToken[] {
  if (value == null) return [];
  if (!Array.isArray(value)) {
    problems.push(`added_tokens is ${shown(value)}; expected a list`);
    return [];
  }
  return value.flatMap((token: unknown, i) => {
    if (!isObject(token) || !isId(token['id']) || typeof token['content'] !== 'string' || token['content'] === '') {
      problems.push(`added_tokens[${i}] is ${shown(token)}; expected an id and a content`);
      return [];
    }
    const flag = (name: string) => token[name] === true;
    const special = flag('special');
    if (flag('single_word') && !special) {
      problems.push(`added token ${shown(token['content'])}: single_word is not supported`);
    }
    const { id, content } = token as { id: number; content: string };
    const normalized = token['normalized'] === undefined ? !special : flag('normalized');
    return [{ id, content, special, normalized, lstrip: flag('lstrip'), rstrip: flag('rstrip') }];
  });
}

/** The one id that TemplateProcessing puts before a text. */
function beginOf(processor: unknown, problems: string[]): number | null {
  const template = flattened(processor, 'processors', 'post_processor', problems).find(
    ({ type }) => type === 'TemplateProcessing',
  );
  if (template === undefined) return null;
  const { single, special_tokens: table } = template;
  if (!Array.isArray(single)) {
    problems.push(`post_processor.single is ${shown(single)}; expected a list`);
    return null;
  }
  const end = single.findIndex((item) => isObject(item) && 'Sequence' in item);
  const ids = single.slice(0, Math.max(end, 0)).flatMap((item: unknown): unknown[] => {
    const name = isObject(item) && isObject(item['SpecialToken']) ? item['SpecialToken']['id'] : undefined;
    const entry = isObject(table) && typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined;
    return isObject(entry) && Array.isArray(entry['ids']) ? entry['ids'] : [undefined];
  });
  if (ids.length > 1 || !ids.every(isId)) {
    problems.push(`post_processor puts ${shown(ids)} before a text; expected one token id or none`);
    return null;
  }
  return (ids[0] as number | undefined) ?? null;
}
