/** config.json and generation_config.json: what they mean, and every field that is refused. */
import { describe, expect, it } from 'vitest';
import { PRESETS } from '../../../engine/models/geometry.ts';
import { readGeometry } from '../../../engine/models/hf-config.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { folderWith, LLAMA_CONFIG } from './folders.ts';

const geometryWith = async (config: object, generation?: object) => {
  const files = { 'config.json': { ...LLAMA_CONFIG, ...config } };
  return readGeometry(
    await folderWith(generation === undefined ? files : { ...files, 'generation_config.json': generation }),
    'mine',
  );
};

async function problemsOf(config: object, generation?: object): Promise<readonly string[]> {
  const error = await geometryWith(config, generation).then(
    () => expect.fail('it was accepted'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(FileError);
  return (error as FileError).problems;
}

const LLAMA3_ROPE = { factor: 32, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 };

describe('a Llama', () => {
  it("has the published geometry: SmolLM2-135M's config.json", async () => {
    expect(await geometryWith({}, { eos_token_id: [0, 2] })).toEqual({ ...PRESETS['smollm2-135m'], name: 'mine' });
  });

  it("has Llama 3.2 1B's, rotation scaled, in both ways of writing it", async () => {
    const shape = {
      hidden_size: 2048,
      intermediate_size: 8192,
      num_hidden_layers: 16,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      head_dim: 64,
      vocab_size: 128256,
      max_position_embeddings: 131072,
      eos_token_id: [128001, 128009],
    };
    const expected = { ...PRESETS['llama-3.2-1b'], name: 'mine' };
    const older = { ...shape, rope_theta: 500000, rope_scaling: { ...LLAMA3_ROPE, rope_type: 'llama3' } };
    expect(await geometryWith(older)).toEqual(expected);
    const rope_parameters = { ...LLAMA3_ROPE, rope_type: 'llama3', rope_theta: 500000 };
    expect(await geometryWith({ ...shape, rope_theta: undefined, rope_scaling: undefined, rope_parameters })).toEqual(
      expected,
    );
  });

  it('takes the defaults that transformers has', async () => {
    const geometry = await geometryWith({
      num_key_value_heads: undefined,
      rms_norm_eps: undefined,
      rope_theta: undefined,
      max_position_embeddings: undefined,
      tie_word_embeddings: undefined,
      hidden_act: undefined,
      architectures: undefined,
      eos_token_id: null,
    });
    expect(geometry).toMatchObject({
      kvHeads: 9,
      headDim: 64,
      normEps: 1e-6,
      ropeTheta: 10000,
      ropeScaling: null,
      maxPosition: 2048,
      tied: false,
      eosIds: [],
    });
  });

  it('may have heads that are not as wide as the model together', async () => {
    expect(await geometryWith({ head_dim: 32 })).toMatchObject({ hidden: 576, heads: 9, headDim: 32 });
  });

  it('stops where generation_config.json says, before config.json', async () => {
    expect((await geometryWith({ eos_token_id: 7 }, { eos_token_id: 9 })).eosIds).toEqual([9]);
    expect((await geometryWith({ eos_token_id: 7 }, { temperature: 1 })).eosIds).toEqual([7]);
    expect((await geometryWith({}, { eos_token_id: [5, 6, 5] })).eosIds).toEqual([5, 6]);
  });
});

describe('what would compute something else is refused by name', () => {
  it.each<[string, object, string]>([
    ['another architecture', { architectures: ['MistralForCausalLM'], model_type: 'mistral' }, '"MistralForCausalLM"'],
    ['another type', { model_type: 'qwen2' }, '"qwen2"'],
    ['neither', { architectures: null, model_type: undefined }, 'model_type is missing'],
    ['activation', { hidden_act: 'gelu' }, 'hidden_act is "gelu"; expected "silu"'],
    ['attention bias', { attention_bias: true }, 'attention_bias is true; expected false'],
    ['MLP bias', { mlp_bias: true }, 'mlp_bias is true'],
    ['tensor-parallel pretraining', { pretraining_tp: 2 }, 'pretraining_tp is 2'],
    ['a sliding window', { sliding_window: 4096 }, 'sliding_window is 4096; expected null'],
    ['windowed layers', { layer_types: ['full_attention', 'sliding_attention'] }, '"sliding_attention"'],
    ['interleaved rotation', { rope_interleaved: true }, 'rope_interleaved is true'],
    ['partial rotation', { partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5'],
    ['quantized weights', { quantization_config: { quant_method: 'gptq' } }, 'quantization_config ("gptq")'],
    ['code of its own', { auto_map: { AutoModelForCausalLM: 'modeling_x.X' } }, '"modeling_x.X"'],
    ['linear scaling', { rope_scaling: { type: 'linear', factor: 2 } }, 'rope_type "linear" is not supported'],
    ['dynamic scaling', { rope_scaling: { rope_type: 'dynamic', factor: 2 } }, '"dynamic"'],
    ['YaRN', { rope_parameters: { rope_type: 'yarn', factor: 4 } }, 'rope_parameters: rope_type "yarn"'],
    ['scaling that is none', { rope_scaling: 8 }, 'rope_scaling is 8; expected an object or null'],
    ['half of llama3', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'rope_scaling.low_freq_factor is missing'],
    [
      'llama3 upside down',
      { rope_scaling: { ...LLAMA3_ROPE, rope_type: 'llama3', low_freq_factor: 8 } },
      'high_freq_factor 4 is below low_freq_factor 8',
    ],
    ['no width', { hidden_size: undefined }, 'hidden_size is missing; expected a whole number from 1'],
    ['half a layer', { num_hidden_layers: 1.5 }, 'num_hidden_layers is 1.5'],
    ['a text for a number', { vocab_size: '49152' }, 'vocab_size is "49152"'],
    ['heads that do not share evenly', { num_key_value_heads: 2 }, 'expected a divisor of num_attention_heads, 9'],
    ['heads too wide', { head_dim: 256 }, 'head_dim is 256; the kernels take multiples of 4 up to 128'],
    ['heads of odd width', { head_dim: 30 }, 'head_dim is 30'],
    ['heads that do not divide', { num_attention_heads: 10, num_key_value_heads: 5 }, 'hidden_size 576 is no multiple'],
    ['an odd width', { intermediate_size: 1537 }, 'intermediate_size is 1537; the kernels take multiples of 2'],
    ['no epsilon', { rms_norm_eps: 0 }, 'rms_norm_eps is 0; expected a number above 0'],
    ['ties of a third kind', { tie_word_embeddings: 'yes' }, 'tie_word_embeddings is "yes"'],
    [
      'an end past the vocabulary',
      { eos_token_id: 49152 },
      'eos_token_id has 49152; expected token ids from 0 to 49151',
    ],
    ['too many ends', { eos_token_id: [1, 2, 3, 4, 5] }, 'eos_token_id has 5 ids; expected at most 4'],
  ])('%s', async (_, config, words) => {
    const problems = await problemsOf(config);
    expect(problems.join('\n')).toContain(words);
    // Nothing that follows from the one mistake is told beside it.
    if (!words.includes('low_freq_factor is missing')) expect(problems).toHaveLength(1);
  });

  it('in generation_config.json too, with the file', async () => {
    expect(await problemsOf({}, { eos_token_id: [-1] })).toEqual([
      'generation_config.json: eos_token_id has -1; expected token ids from 0 to 49151',
    ]);
  });

  it('all at once', async () => {
    const problems = await problemsOf({
      hidden_act: 'relu',
      mlp_bias: true,
      head_dim: 256,
      rope_scaling: { type: 'x' },
    });
    expect(problems).toHaveLength(4);
  });
});
