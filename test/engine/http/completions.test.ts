import { describe, expect, it } from 'vitest';
import { serving } from './serving.ts';

const BASE = 'llama-3-8b';

describe('completions, by the openai package', () => {
  it('answers a text prompt with text and exact counts', async () => {
    const { client, core, tokenizer } = await serving();
    const prompt = 'one two three';
    const answer = await client.completions.create({ model: BASE, prompt, max_tokens: 5, temperature: 0, seed: 7 });
    expect(answer.choices).toEqual([
      { index: 0, text: 'one two threeone two', logprobs: null, finish_reason: 'length' },
    ]);
    expect(answer.usage).toEqual({ prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 });
    expect(answer).toMatchObject({ object: 'text_completion', model: BASE });
    expect(core.submitted[0]).toEqual({
      prompt: tokenizer.encode(prompt),
      adapter: null,
      maxTokens: 5,
      minTokens: 0,
      ignoreEos: false,
      temperature: 0,
      topP: 1,
      topK: 0,
      seed: 7,
    });
  });

  it('takes token ids as they are, and a list of one prompt as that one', async () => {
    const { client, core } = await serving();
    const prompt = [9906, 1917, 128009];
    await client.completions.create({ model: BASE, prompt });
    await client.completions.create({ model: BASE, prompt: ['Hello world'] });
    const [first, second] = core.submitted;
    expect([...first!.prompt]).toEqual(prompt);
    expect(first!.maxTokens).toBe(16);
    expect([...second!.prompt]).toEqual([9906, 1917]);
  });

  it('folds ids for a smaller vocabulary and counts the real tokens', async () => {
    const { client, core } = await serving({ model: 'llama-3-8b@1/8' });
    const answer = await client.completions.create({ model: 'llama-3-8b@1/8', prompt: [128009, 3], max_tokens: 1 });
    expect([...core.submitted[0]!.prompt]).toEqual([128009 % 16032, 3]);
    expect(answer.usage?.prompt_tokens).toBe(2);
  });

  it('passes sampling on as asked', async () => {
    const { client, core } = await serving();
    const extra = { min_tokens: 4, ignore_eos: true, top_k: 40 };
    await client.completions.create({
      model: BASE,
      prompt: 'x',
      max_tokens: 4,
      temperature: 0.5,
      top_p: 0.9,
      ...extra,
    });
    await client.completions.create({ model: BASE, prompt: 'x', max_tokens: 1, seed: -1 });
    expect(core.submitted[0]).toMatchObject({ minTokens: 4, ignoreEos: true, topK: 40, temperature: 0.5, topP: 0.9 });
    expect(core.submitted[1]).toMatchObject({ temperature: 1, seed: 2 ** 32 - 1 });
  });

  it('gives requests without a seed different ones', async () => {
    const { client, core } = await serving();
    for (let i = 0; i < 4; i++) await client.completions.create({ model: BASE, prompt: 'x', max_tokens: 1 });
    expect(new Set(core.submitted.map((s) => s.seed)).size).toBeGreaterThan(1);
  });

  it('says stop when the model ends, without the end in text or count', async () => {
    const { client } = await serving({ script: () => ({ ids: [9906, 1917], eos: true }) });
    const answer = await client.completions.create({ model: BASE, prompt: 'x', max_tokens: 50 });
    expect(answer.choices[0]).toMatchObject({ text: 'Hello world', finish_reason: 'stop' });
    expect(answer.usage?.completion_tokens).toBe(2);
  });

  it('ends at a stop string inside a token, and stops the sequence', async () => {
    const { client, core } = await serving({ stepMs: 2 });
    const answer = await client.completions.create({
      model: BASE,
      prompt: 'one two three four',
      max_tokens: 500,
      stop: 'wo thr',
    });
    expect(answer.choices[0]).toMatchObject({ text: 'one t', finish_reason: 'stop' });
    expect(answer.usage?.completion_tokens).toBe(3);
    expect(core.cancelled).toBe(1);
    expect(core.live).toBe(0);
  });

  it('serves an adapter by its name', async () => {
    const { client, core } = await serving();
    await core.loadAdapter('support', 'synthetic:rank=16,seed=1');
    const answer = await client.completions.create({ model: 'support', prompt: 'x', max_tokens: 1 });
    expect(answer.model).toBe('support');
    expect(core.submitted[0]!.adapter).toBe('support');
    expect(answer).toHaveProperty('timings.adapter_tier', 'device');
  });

  it('adds BOS to text only where it is asked for', async () => {
    const { client, core } = await serving();
    await client.completions.create({ model: BASE, prompt: 'Hello', max_tokens: 1, ...{ add_special_tokens: true } });
    expect([...core.submitted[0]!.prompt]).toEqual([128000, 9906]);
  });
});

describe('chat completions, by the openai package', () => {
  it('applies the template and answers with a message', async () => {
    const { client, core, tokenizer } = await serving({
      script: ({ maxTokens }) => ({ ids: Array(maxTokens).fill(9906) }),
    });
    const answer = await client.chat.completions.create({
      model: BASE,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Hello ' },
            { type: 'text', text: 'world!' },
          ],
        },
      ],
      max_completion_tokens: 2,
    });
    expect(answer.object).toBe('chat.completion');
    expect(answer.choices[0]).toMatchObject({
      message: { role: 'assistant', content: 'HelloHello' },
      finish_reason: 'length',
    });
    expect(answer.usage).toEqual({ prompt_tokens: 13, completion_tokens: 2, total_tokens: 15 });
    expect([...core.submitted[0]!.prompt].slice(0, 3)).toEqual([128000, 128006, tokenizer.encode('user')[0]]);
  });

  it('may fill the context where no limit is named', async () => {
    const { client, core } = await serving({ maxModelLen: 64 });
    await client.chat.completions.create({ model: BASE, messages: [{ role: 'user', content: 'Hello world!' }] });
    expect(core.submitted[0]!.maxTokens).toBe(64 - 13);
  });
});

describe('models, by the openai package', () => {
  it('lists the base model and its adapters with their parent', async () => {
    const { client, core } = await serving();
    await core.loadAdapter('support', 'synthetic:rank=16,seed=1');
    const { data } = await client.models.list();
    expect(data).toMatchObject([
      { id: BASE, object: 'model', root: BASE, parent: null, max_model_len: 2048 },
      { id: 'support', object: 'model', root: 'synthetic:rank=16,seed=1', parent: BASE, lora_rank: 16 },
    ]);
  });

  it('retrieves one, also where its name has a slash', async () => {
    const { client } = await serving({ model: 'llama-3-8b@1/8' });
    expect((await client.models.retrieve('llama-3-8b@1/8')).id).toBe('llama-3-8b@1/8');
    await expect(client.models.retrieve('other')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });
});
