/**
 * Whole forwards against the golden logits with the attention stages for GPUs in place of the portable one: prompts in chunks beside
 * others, and decodes that follow them. Everything else is as in golden.test.ts.
 */
import { expect, test } from 'vitest';
import type { Model } from '../../../engine/transformer/model.ts';
import type { Variant } from '../../../engine/transformer/variants.ts';
import { load, makeModel } from './generate.ts';
import { expectGoldenDecode, goldens } from './golden-logits.ts';

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

/** Of the larger one, whose heads have 128 elements; those of 64 are in the kernels' own tests. */
const golden = goldens.at(-1)!;

test(golden.geometry.name, async () => {
  const model = golden.geometry.name;
  const made = await makeModel({ model, seed: golden.seed, maxNumBatchedTokens: 512, kernels: KERNELS, profile: true });
  expect(made.variants).toEqual(['portable', ...KERNELS]);
  for (const adapter of golden.adapters) load(made, adapter);
  const used = kernelsIn(made);
  await expectGoldenDecode(made, golden);
  expect([...(await used())]).toEqual(expect.arrayContaining(['attention-split', 'attention-flash']));
});
