import { describe, expect, it } from 'vitest';
import { configObject, type PeftConfig, peftConfig } from '../../../engine/adapter-files/peft-config.ts';
import { moduleName, targetsOf } from '../../../engine/adapter-files/peft-targets.ts';
import { MODULES } from '../../../engine/models/projections.ts';

const LORA = { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: ['q_proj', 'v_proj'] };

function good(fields: Record<string, unknown>): PeftConfig {
  const config = peftConfig(fields);
  if ('problems' in config) throw new Error(config.problems.join('; '));
  return config;
}

const targets = (fields: Record<string, unknown>, layers = 12) => targetsOf(good({ ...LORA, ...fields }), layers, true);
/** "3.q" of every targeted module. */
const keys = (fields: Record<string, unknown>, layers = 12): string[] =>
  targets(fields, layers).modules.map(({ layer, module }) => `${layer}.${module}`);
const inAll = (modules: readonly string[], layers: readonly number[]): string[] =>
  layers.flatMap((layer) => MODULES.filter((module) => modules.includes(module)).map((module) => `${layer}.${module}`));
const ALL = Array.from({ length: 12 }, (_, layer) => layer);

describe('rank, alpha and scale of a module', () => {
  const root = Math.sqrt;
  it.each<[string, Record<string, unknown>, number, number | null, number]>([
    ['alpha / r', { r: 8, lora_alpha: 16 }, 8, 16, 2],
    ["PEFT's defaults", { r: undefined, lora_alpha: undefined }, 8, 8, 1],
    ['rslora', { r: 16, lora_alpha: 8, use_rslora: true }, 16, 8, 8 / root(16)],
    ['a fraction', { r: 3, lora_alpha: 0.5 }, 3, 0.5, 0.5 / 3],
    ['a negative alpha', { r: 4, lora_alpha: -4 }, 4, -4, -1],
    ['rank_pattern by the end of the name', { rank_pattern: { q_proj: 4 } }, 4, 16, 4],
    ['rank_pattern of another module', { rank_pattern: { k_proj: 4 } }, 8, 16, 2],
    ['no match inside a part of the name', { rank_pattern: { proj: 4 } }, 8, 16, 2],
    ['alpha_pattern', { alpha_pattern: { 'self_attn.q_proj': 4 } }, 8, 4, 0.5],
    ['both patterns', { rank_pattern: { q_proj: 2 }, alpha_pattern: { q_proj: 3 } }, 2, 3, 1.5],
    ['patterns with rslora', { rank_pattern: { q_proj: 4 }, use_rslora: true }, 4, 16, 8],
    ['the first pattern that matches', { rank_pattern: { '.*attn.q_proj': 2, q_proj: 3 } }, 2, 16, 8],
    ['a whole name', { rank_pattern: { 'model.layers.0.self_attn.q_proj': 2 } }, 2, 16, 8],
    ["another layer's name", { rank_pattern: { 'model.layers.1.self_attn.q_proj': 2 } }, 8, 16, 2],
    ['a pattern with ^', { rank_pattern: { '^model\\.layers\\.0\\..*q_proj': 2 } }, 2, 16, 8],
    ['a pattern with alternatives', { rank_pattern: { 'k_proj|q_proj': 2 } }, 2, 16, 8],
    ['a pattern with ^ that begins amid the name', { rank_pattern: { '^self_attn.q_proj$': 2 } }, 8, 16, 2],
    ['a pattern with ^ and $', { rank_pattern: { '^model.layers\\.0.self_attn.q_proj$': 2 } }, 2, 16, 8],
    ['an escaped dot that is none', { rank_pattern: { 'self\\.attn.q_proj': 2 } }, 8, 16, 2],
    ['a dot for any character', { rank_pattern: { 'self.attn.q.proj': 2 } }, 2, 16, 8],
    ['VeRA, which has no alpha', { peft_type: 'VERA', r: 64 }, 64, null, 1],
  ])('%s', (_, fields, rank, alpha, scale) => {
    const [q] = targets(fields).modules;
    expect(q).toEqual({ layer: 0, module: 'q', rank, alpha, scale });
  });
});

describe('target_modules', () => {
  it.each<[string, Record<string, unknown>, string[]]>([
    ['a list of ends', {}, inAll(['q', 'v'], ALL)],
    ['a longer end', { target_modules: ['self_attn.q_proj'] }, inAll(['q'], ALL)],
    [
      'whole names',
      { target_modules: ['model.layers.3.mlp.up_proj', 'model.layers.11.mlp.up_proj'] },
      ['3.up', '11.up'],
    ],
    ['an end that begins with a layer', { target_modules: ['1.self_attn.k_proj'] }, ['1.k']],
    ['the start of a name, beside one that counts', { target_modules: ['q', 'o_proj'] }, inAll(['o'], ALL)],
    ['a regular expression', { target_modules: '.*\\.(?:1|10)\\..*[qk]_proj' }, inAll(['q', 'k'], [1, 10])],
    [
      'a regular expression is of the whole name',
      { target_modules: '.*\\.layers\\.2\\.mlp\\.(gate|up)_proj' },
      ['2.gate', '2.up'],
    ],
    ['all-linear, in any case', { target_modules: 'All-Linear' }, inAll(MODULES, ALL)],
    ['nothing given: as PEFT for Llama', { target_modules: null }, inAll(['q', 'v'], ALL)],
    ['exclude_modules by end', { exclude_modules: ['v_proj'] }, inAll(['q'], ALL)],
    ['exclude_modules by pattern', { exclude_modules: '.*layers\\.\\d\\..*' }, inAll(['q', 'v'], [10, 11])],
    ['layers_to_transform as a list', { layers_to_transform: [11, 0] }, inAll(['q', 'v'], [0, 11])],
    ['layers_to_transform as a number', { layers_to_transform: 5 }, inAll(['q', 'v'], [5])],
    ['an empty layers_to_transform', { layers_to_transform: [] }, inAll(['q', 'v'], ALL)],
    ['layers_pattern', { layers_to_transform: [2], layers_pattern: 'layers' }, inAll(['q', 'v'], [2])],
    ['a list of them', { layers_to_transform: [2], layers_pattern: ['h', 'layers'] }, inAll(['q', 'v'], [2])],
    // PEFT: a name that is in the list as a whole is not limited by layers_to_transform.
    [
      'layers_to_transform beside a whole name',
      { target_modules: ['model.layers.7.self_attn.q_proj', 'v_proj'], layers_to_transform: [1] },
      ['1.v', '7.q'],
    ],
  ])('%s', (_, fields, expected) => {
    expect(targets(fields).problems).toEqual([]);
    expect(keys(fields)).toEqual(expected);
  });

  it('says which entries mean nothing, and refuses when none means anything', () => {
    expect(targets({ target_modules: ['q_proj', 'c_attn'] }).notes).toEqual([expect.stringContaining('"c_attn"')]);
    expect(targets({ target_modules: ['c_attn', 'query_key_value'] }).problems).toEqual([
      expect.stringMatching(/means no projection of the base; expected names such as q_proj, k_proj/),
    ]);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['the output head', { target_modules: ['q_proj', 'lm_head'] }, /means lm_head: adapters on .* are not served/],
    ['the embeddings', { target_modules: '.*(q_proj|embed_tokens)' }, /means model\.embed_tokens/],
    ['a layer beyond the base', { layers_to_transform: [3, 12] }, /expected layers 0 to 11 of the base, found 12/],
    [
      'a name beyond the base',
      { target_modules: ['q_proj', 'layers.40.mlp.up_proj'] },
      /found "layers\.40\.mlp\.up_proj"/,
    ],
    ['a pattern that is none', { target_modules: '.*(q_proj' }, /the pattern ".*" has a "\(" without "\)"/],
    ['a pattern unbalanced the clever way', { rank_pattern: { 'a)|(b': 4 } }, /rank_pattern: the pattern "a\)\|\(b"/],
    [
      'a pattern that would take for ever',
      { target_modules: '(?:' + '(?:.*.*.*)*'.repeat(300) + ')*x' },
      /takes too long/,
    ],
  ])('refuses %s', (_, fields, message) => {
    expect(targets(fields).problems.join('\n')).toMatch(message);
  });
});

describe('patterns for each of the 560 projections of an 80-layer model', () => {
  const all = targets({ target_modules: 'all-linear' }, 80).modules;
  const withPatterns = (pattern: (name: string) => string) => {
    const entries = all.map(({ layer, module }, i) => [pattern(moduleName(layer, module)), i + 1]);
    return targets({ target_modules: 'all-linear', rank_pattern: Object.fromEntries(entries) }, 80);
  };

  it.each([
    ['names', (name: string) => name],
    ['escaped names', (name: string) => `^${name.replaceAll('.', '\\.')}$`],
  ])('are all told apart as %s', (_, pattern) => {
    expect(withPatterns(pattern).modules.map(({ rank }) => rank)).toEqual(all.map((_, i) => i + 1));
  });

  it('share one budget of steps where they are names too, layers as many as a file claims', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => [`x${i}_proj`, 1]);
    const { problems } = targets({ target_modules: 'all-linear', rank_pattern: Object.fromEntries(names) }, 4096);
    expect(problems).toEqual([expect.stringMatching(/^rank_pattern: the pattern .* takes too long to match/)]);
  });

  it('share one budget of steps', () => {
    const { problems } = withPatterns((name) => `(?:(?:${name})*.*.*.*)*x`);
    expect(problems).toEqual([expect.stringMatching(/^rank_pattern: the pattern .* takes too long to match/)]);
  });
});

describe('fields of adapter_config.json', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      'an unknown peft_type',
      { peft_type: 'IA3' },
      /peft_type: expected one of LORA, DORA, VERA, TIED_LORA, found "IA3"/,
    ],
    ['no peft_type', { peft_type: undefined }, /peft_type: expected one of .*, found nothing/],
    ['AdaLoRA', { peft_type: 'ADALORA' }, /found "ADALORA"/],
    ['bias', { bias: 'lora_only' }, /bias .* expected "none", found "lora_only"/],
    ['fan_in_fan_out', { fan_in_fan_out: true }, /fan_in_fan_out .* expected false, found true/],
    ['modules_to_save', { modules_to_save: ['lm_head'] }, /modules_to_save has whole modules .*\["lm_head"\]/],
    ['layer_replication', { layer_replication: [[0, 4]] }, /layer_replication/],
    ['target_parameters', { target_parameters: ['experts.up'] }, /target_parameters/],
    ['trainable_token_indices', { trainable_token_indices: { embed_tokens: [1] } }, /trainable_token_indices/],
    ['alora_invocation_tokens', { alora_invocation_tokens: [1, 2] }, /Activated LoRA/],
    ['use_qalora', { use_qalora: true }, /QALoRA/],
    ['use_bdlora', { use_bdlora: { nblocks: 2 } }, /BD-LoRA/],
    ['arrow_config', { arrow_config: { top_k: 3 } }, /Arrow/],
    ['kasa_config', { kasa_config: { beta: 1 } }, /KaSA/],
    [
      'PiSSA that was not converted',
      { init_lora_weights: 'pissa_niter_16' },
      /path_initial_model_for_weight_conversion/,
    ],
    ['OLoRA that was not converted', { init_lora_weights: 'olora' }, /init_lora_weights "olora"/],
    ['lora_bias with DoRA', { lora_bias: true, use_dora: true }, /lora_bias is not defined for DoRA/],
    ['a rank of 0', { r: 0 }, /r: expected a whole number, 1 or more, found 0/],
    ['a rank that is text', { r: '8' }, /r: expected a whole number, 1 or more, found "8"/],
    [
      'a fraction of a rank in a pattern',
      { rank_pattern: { q_proj: 1.5 } },
      /rank_pattern\.q_proj: expected .*found 1\.5/,
    ],
    ['an alpha of 0', { lora_alpha: 0 }, /lora_alpha: expected a number other than 0/],
    [
      'targets of the wrong type',
      { target_modules: 7 },
      /target_modules: expected a list of module names, or a regular/,
    ],
    ['no targets', { target_modules: [] }, /target_modules is empty/],
    ['an empty pattern', { target_modules: '' }, /target_modules is empty/],
    [
      'a negative layer',
      { layers_to_transform: [-1] },
      /layers_to_transform\.0: expected a layer, 0 or more, found -1/,
    ],
    [
      'layers beside a pattern',
      { target_modules: '.*q_proj', layers_to_transform: [1] },
      /beside a regular expression/,
    ],
    ['layers_pattern alone', { layers_pattern: 'layers' }, /layers_pattern needs layers_to_transform/],
    ['VeRA without its projections', { peft_type: 'VERA', save_projection: false }, /set save_projection to true/],
    ['VeRA with DoRA', { peft_type: 'VERA', use_dora: true }, /use_dora is not defined for VeRA/],
    ["NVlabs' magnitudes alone", { peft_type: 'DORA', Wdecompose_target_modules: ['o_proj'] }, /Wdecompose/],
  ])('refuses %s', (_, fields, message) => {
    const config = peftConfig({ ...LORA, ...fields });
    expect('problems' in config ? config.problems.join('\n') : 'accepted').toMatch(message);
  });

  it('shows a value that is nested without end', () => {
    const fields = configObject(
      `{"peft_type": "LORA", "odd": ${'['.repeat(1e6)}${']'.repeat(1e6)}, "modules_to_save": [[]]}`,
    );
    const config = typeof fields === 'string' ? fields : peftConfig(fields);
    expect(config).toMatchObject({ problems: [expect.stringContaining('modules_to_save')] });
  });

  it('tells all problems at once', () => {
    const config = peftConfig({ ...LORA, bias: 'all', use_qalora: true, r: -1, lora_alpha: 'x' });
    expect('problems' in config && config.problems).toHaveLength(4);
  });

  it('takes what PEFT 0.21 writes, and null for every default', () => {
    const config = good({
      alora_invocation_tokens: null,
      alpha_pattern: {},
      arrow_config: null,
      auto_mapping: null,
      base_model_name_or_path: 'meta-llama/Meta-Llama-3-8B',
      bias: 'none',
      corda_config: null,
      ensure_weight_tying: false,
      eva_config: null,
      exclude_modules: null,
      fan_in_fan_out: false,
      inference_mode: true,
      init_lora_weights: true,
      kasa_config: null,
      layer_replication: null,
      layers_pattern: null,
      layers_to_transform: null,
      loftq_config: {},
      lora_alpha: 32,
      lora_bias: false,
      lora_dropout: 0.05,
      lora_ga_config: null,
      megatron_config: null,
      megatron_core: 'megatron.core',
      modules_to_save: null,
      monteclora_config: null,
      peft_type: 'LORA',
      peft_version: '0.21.2',
      qalora_group_size: 16,
      r: 16,
      rank_pattern: {},
      revision: null,
      target_modules: ['v_proj', 'q_proj'],
      target_parameters: null,
      task_type: 'CAUSAL_LM',
      trainable_token_indices: null,
      use_bdlora: null,
      use_dora: false,
      use_qalora: false,
      use_rslora: false,
      velora_config: null,
    });
    expect(config).toEqual({
      kind: 'lora',
      base: 'meta-llama/Meta-Llama-3-8B',
      rank: 16,
      alpha: 32,
      rankPattern: [],
      alphaPattern: [],
      rankStabilized: false,
      hasBias: false,
      targets: ['v_proj', 'q_proj'],
      excluded: [],
      layers: null,
      layersPattern: [],
      notes: [],
    });
  });

  it('notes an unknown key that holds something, and no other', () => {
    expect(good({ ...LORA, use_novelty: 'deep', use_other: false, extra: null }).notes).toEqual([
      'unknown key "use_novelty" ignored: "deep"',
    ]);
  });

  it.each([
    ['{"r": 8', /is not JSON/],
    ['[1]', /is no object: .* found \[1\]/],
    ['null', /is no object/],
    ['{"lora_dropout": NaN}', /is not JSON/],
  ])('configObject of %s', (text, message) => {
    expect(configObject(text)).toMatch(message);
  });
});
