/**
 * Whole forwards against the golden logits with the attention stages for GPUs in place of the portable one: prompts in one batch
 * with others, prompts in chunks, and decodes that follow them. Everything else is as in golden.test.ts.
 */
import { expect, test } from 'vitest';
import type { Model } from '../../../engine/transformer/model.ts';
import type { Variant } from '../../../engine/transformer/variants.ts';
import { load, makeModel } from './generate.ts';
import { expectGoldenDecode, expectGoldenPrefill, goldens } from './golden-logits.ts';

/** Which kernels the model's steps were made of, by its own profile. */
function kernelsIn(model: Model): () => Promise<Set<string>> {
  const steps: Promise<{ kernel: string }[]>[] = [];
  const submit = model.submit.bind(model);
  model.submit = (step) => {
    const submitted = submit(step);
    if (submitted.profile) steps.push(submitted.profile.times());
    return submitted;
  };
  return async () => new Set((await Promise.all(steps)).flat().map(({ kernel }) => kernel));
}

const KERNELS: readonly Variant[] = ['split-kv', 'flash'];

test.each(goldens)('$geometry.name', async (golden) => {
  const model = golden.geometry.name;
  const made = await makeModel({ model, seed: golden.seed, maxNumBatchedTokens: 512, kernels: KERNELS, profile: true });
  expect(made.variants).toEqual(['portable', ...KERNELS]);
  for (const adapter of golden.adapters) load(made, adapter);
  const used = kernelsIn(made);
  if (golden === goldens[0]) await expectGoldenPrefill(made, golden);
  await expectGoldenDecode(made, golden);
  expect([...(await used())]).toEqual(expect.arrayContaining(['attention-split', 'attention-flash']));
});
