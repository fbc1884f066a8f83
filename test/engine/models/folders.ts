/** Model folders made for a test, with small tokenizers whose ids can be told by hand. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { bytesByCharacter } from '../../../engine/models/byte-level.ts';

const made: string[] = [];
afterAll(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true });
});

/** A folder with these files: objects as JSON, text as it is. */
export async function folderWith(files: Record<string, unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'model-folder-'));
  made.push(folder);
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

const added = (id: number, content: string, flags: object = {}) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...flags,
});

const merge = (vocab: Record<string, number>, merges: readonly string[]) => {
  for (const pair of merges) vocab[pair.replace(' ', '')] ??= Object.keys(vocab).length;
};

const BYTE_MERGES = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'Ġw o', 'Ġ Ġ', 'Ġ h', 'r l', 'rl d', 'ð Ł', 'Ċ Ċ'];

/** Byte-level BPE as SmolLM2's: bytes are 0 to 255, merges from 256, special tokens from 300, and one added word. */
export function byteLevelTokenizer(changes: object = {}) {
  const vocab: Record<string, number> = {};
  for (const [character, byte] of bytesByCharacter()) vocab[character] = byte;
  merge(vocab, BYTE_MERGES);
  return {
    version: '1.0',
    added_tokens: [
      added(300, '<|endoftext|>'),
      added(301, '<|im_start|>'),
      added(302, '<|im_end|>'),
      added(303, '<think>', { special: false }),
    ],
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', dropout: null, unk_token: null, byte_fallback: false, vocab, merges: BYTE_MERGES },
    ...changes,
  };
}

/** Ids that the byte-level tokenizer's merges have. */
export const ID = { he: 256, ll: 257, hell: 258, hello: 259, _w: 260, _wo: 261, __: 262, _h: 263, rl: 264, rld: 265 };

const TEXT_CHARACTERS = '▁helowrdabc.,!?0123456789';
const TEXT_MERGES = ['▁ h', 'e l', 'l o', '▁h el', '▁hel lo', '▁ w', 'o r', 'l d', '▁w or', '▁wor ld', '▁ ▁'];

/** SentencePiece's BPE as Llama 2's: <unk> <s> </s>, bytes 3 to 258, characters from 259, then merges. */
export function metaspaceTokenizer(changes: object = {}) {
  const vocab: Record<string, number> = { '<unk>': 0, '<s>': 1, '</s>': 2 };
  for (let byte = 0; byte < 256; byte++) vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`] = 3 + byte;
  for (const character of TEXT_CHARACTERS) vocab[character] = Object.keys(vocab).length;
  merge(vocab, TEXT_MERGES);
  return {
    added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: TEXT_MERGES.map((pair) => pair.split(' ')),
    },
    ...changes,
  };
}

/** What most Llamas with ChatML markers come with. */
export const CHATML =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/** config.json of a small Llama; the fields are those that transformers writes. */
export const LLAMA_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'silu',
  hidden_size: 576,
  initializer_range: 0.02,
  intermediate_size: 1536,
  max_position_embeddings: 8192,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 9,
  num_hidden_layers: 30,
  num_key_value_heads: 3,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 100000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.42.3',
  use_cache: true,
  vocab_size: 49152,
};
