/**
 * Whole forwards against the golden logits with the attention stages for GPUs in place of the portable one: prompts in one batch
 * with others, prompts in chunks, and decodes that follow them. Everything else is as in golden.test.ts.
 */
import { expect, test, vi } from 'vitest';
import {
  ATTENTION_VARIANTS,
  type AttentionVariant,
  attentionStages,
  attentionTakes,
} from '../../../engine/transformer/attention-stages.ts';
import type * as Portable from '../../../engine/transformer/portable-stages.ts';
import type { StageBinder, StageContext } from '../../../engine/transformer/stage.ts';
import { load, makeModel } from './generate.ts';
import { expectGoldenDecode, expectGoldenPrefill, goldens } from './golden-logits.ts';

let variant: AttentionVariant;
const encoded = new Map<string, number>();

/** The variant where it takes a step, the portable stage where it does not; each counts its steps. */
function counted(name: AttentionVariant, chosen: StageBinder, portable: StageBinder): StageBinder {
  return (layer) => {
    const stages = { [name]: chosen(layer), portable: portable(layer) };
    return {
      encode: (run, step) => {
        const taken = attentionTakes(name, step) ? name : 'portable';
        encoded.set(taken, (encoded.get(taken) ?? 0) + 1);
        stages[taken]?.encode(run, step);
      },
    };
  };
}

vi.mock('../../../engine/transformer/portable-stages.ts', async (original) => {
  const portable = await original<typeof Portable>();
  return {
    ...portable,
    portableStages: async (context: StageContext) => {
      const [stages, attention] = await Promise.all([portable.portableStages(context), attentionStages(context)]);
      return { ...stages, attention: counted(variant, attention[variant], stages.attention) };
    },
  };
});

/** Both together on either model, each alone on the smaller one. */
const CASES = goldens.flatMap((golden, i) =>
  ATTENTION_VARIANTS.filter((name) => i === 0 || name === 'split-kv+flash').map((name) => ({
    name,
    model: golden.geometry.name,
    golden,
  })),
);

test.each(CASES)('$name, $model', async ({ name, model, golden }) => {
  variant = name;
  const made = await makeModel({ model, seed: golden.seed, maxNumBatchedTokens: 512 });
  for (const adapter of golden.adapters) load(made, adapter);
  encoded.clear(); // of warming up
  if (golden === goldens[0]) await expectGoldenPrefill(made, golden);
  await expectGoldenDecode(made, golden);
  expect(encoded.get(name)).toBeGreaterThanOrEqual(made.geometry.layers);
  expect(encoded.has('portable')).toBe(name === 'split-kv');
});
