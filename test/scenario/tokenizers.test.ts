import { expect, it } from 'vitest';
import { isLlama3, knowsTokenizer, TOKENIZER_PRESETS } from '../../src/scenario/tokenizers.ts';

it.each(['llama-3-8b', 'llama-3.2-1b@1/8', 'meta-llama/Meta-Llama-3.1-8B-Instruct', 'llama3:8b', 'Llama3'])(
  '%s uses the tokenizer of Llama 3',
  (name) => expect(isLlama3(name)).toBe(true),
);

it.each(['codellama-34b', 'llama-30b', 'llama-2-7b', 'open-llama-3b', 'tinyllama-3', 'smollm2-135m', 'mistral-7b'])(
  '%s is not taken for it',
  (name) => expect(isLlama3(name)).toBe(false),
);

it('is known by the name of the model, or by what the scenario says', () => {
  expect(knowsTokenizer(null, 'llama-3-8b')).toBe(true);
  expect(knowsTokenizer(null, 'my-model')).toBe(false);
  expect(knowsTokenizer('llama-3-8b', 'my-model')).toBe(true);
  expect(TOKENIZER_PRESETS).toEqual(['llama-3-8b', 'llama-3-70b', 'llama-3.1-8b', 'llama-3.2-1b', 'llama-3.2-3b']);
});
