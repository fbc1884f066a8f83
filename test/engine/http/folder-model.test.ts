/** A folder's model over HTTP: its own ids, name, template and special tokens. */
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';
import { byteLevelTokenizer, CHATML, folderWith, ID, LLAMA_CONFIG, metaspaceTokenizer } from '../models/folders.ts';
import { post, serving } from './serving.ts';

const [START, END] = [301, 302];
const VOCAB = 304;

/** @param files beside config.json and tokenizer.json */
async function servingFolder(
  files: Record<string, unknown> = {},
  tokenizer: object = byteLevelTokenizer(),
  vocab = VOCAB,
) {
  const config = { ...LLAMA_CONFIG, vocab_size: vocab, eos_token_id: 2 };
  const folder = await folderWith({ 'config.json': config, 'tokenizer.json': tokenizer, ...files });
  return { ...(await serving({ folder })), model: basename(folder) };
}

const errorOf = async (response: Response) => ({
  status: response.status,
  ...((await response.json()) as { error: { message: string; param: string; code: string } }).error,
});

describe('completions', () => {
  it('are of its own ids, unfolded, under its own name', async () => {
    const { client, core, model } = await servingFolder();
    const answer = await client.completions.create({ model, prompt: 'hello world', max_tokens: 3 });
    expect([...core.submitted[0]!.prompt]).toEqual([ID.hello, ID._wo, ID.rld]);
    expect(answer).toMatchObject({ model, choices: [{ text: 'hello world' }], usage: { prompt_tokens: 3 } });
    expect((await client.models.list()).data[0]).toMatchObject({ id: model });
  });

  it('stream a character that lies in two tokens once it is whole', async () => {
    const { client, model } = await servingFolder();
    const stream = await client.completions.create({ model, prompt: '🦙', max_tokens: 3, stream: true });
    const texts: string[] = [];
    for await (const chunk of stream) texts.push(chunk.choices[0]!.text);
    expect(texts).toEqual(['', '', '🦙']);
  });

  it('keep the space that a word begins with', async () => {
    const { client, model } = await servingFolder({}, metaspaceTokenizer(), 400);
    const answer = await client.completions.create({ model, prompt: 'hello world', max_tokens: 2 });
    expect(answer.choices[0]!.text).toBe(' hello world');
  });

  it('begin as the tokenizer does where special tokens are asked for, and with nothing where it adds none', async () => {
    const asked = { prompt: 'wor', max_tokens: 1, add_special_tokens: true };
    const one = await servingFolder({}, metaspaceTokenizer(), 400);
    await one.client.completions.create({ model: one.model, ...asked });
    expect(one.core.submitted[0]!.prompt[0]).toBe(1);
    const tokenized = await post(`${one.url}/tokenize`, { prompt: 'wor', add_special_tokens: true });
    expect(await tokenized.json()).toMatchObject({ count: 2, tokens: [1, expect.any(Number)] });
    const none = await servingFolder();
    await none.client.completions.create({ model: none.model, ...asked, prompt: 'hello' });
    expect([...none.core.submitted[0]!.prompt]).toEqual([ID.hello]);
  });

  it('take any id that the model has an embedding for, and no other', async () => {
    const { url, core, model } = await servingFolder({}, byteLevelTokenizer(), 320);
    await post(`${url}/v1/completions`, { model, prompt: [319], max_tokens: 1 });
    expect([...core.submitted[0]!.prompt]).toEqual([319]);
    expect(await errorOf(await post(`${url}/v1/completions`, { model, prompt: [320] }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('token id 320 is outside the vocabulary, 0 to 319'),
    });
  });

  it('that cannot fit are refused before they are tokenized', async () => {
    const { url, model } = await servingFolder();
    const prompt = 'x'.repeat(2048 * '<think>'.length + 1);
    expect(await errorOf(await post(`${url}/v1/completions`, { model, prompt }))).toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    });
  });
});

describe('chats', () => {
  const chatml = { 'tokenizer_config.json': { chat_template: CHATML } };

  it("are written by the folder's template", async () => {
    const { client, core, model, tokenizer, url } = await servingFolder(chatml);
    const messages = [{ role: 'user' as const, content: 'hello<|im_end|>' }];
    const answer = await client.chat.completions.create({ model, messages, max_tokens: 1 });
    const prompt = [...core.submitted[0]!.prompt];
    expect(prompt.filter((id) => id === START)).toHaveLength(3);
    expect(prompt.filter((id) => id === END)).toHaveLength(2);
    expect(tokenizer.decode(prompt)).toBe('system\nBe kind.\nuser\nhello<|im_end|>\nassistant\n');
    expect(answer.usage?.prompt_tokens).toBe(prompt.length);
    const tokenized = await post(`${url}/tokenize`, { messages, add_special_tokens: true });
    expect(await tokenized.json()).toMatchObject({ tokens: prompt }); // nothing is doubled
  });

  it('are refused with what the template says', async () => {
    const source = "{{ raise_exception('Only questions, please.') }}";
    const { url, model } = await servingFolder({ 'chat_template.jinja': source });
    const body = { model, messages: [{ role: 'user', content: 'hi' }] };
    for (const path of ['/v1/chat/completions', '/tokenize']) {
      expect(await errorOf(await post(`${url}${path}`, body))).toMatchObject({
        status: 400,
        param: 'messages',
        code: 'chat_template',
        message: expect.stringContaining('Only questions, please.'),
      });
    }
  });

  it('are refused where there is no template, and completions are not', async () => {
    const { url, client, model } = await servingFolder();
    const body = { model, messages: [{ role: 'user', content: 'hi' }] };
    for (const path of ['/v1/chat/completions', '/tokenize']) {
      expect(await errorOf(await post(`${url}${path}`, body))).toMatchObject({
        status: 400,
        code: 'no_chat_template',
        message: expect.stringContaining(`${model}, has no chat template`),
      });
    }
    await client.completions.create({ model, prompt: 'hi', max_tokens: 1 });
  });

  it('of more messages than fit are refused by their number', async () => {
    const { url, model } = await servingFolder(chatml);
    const messages = Array.from({ length: 1025 }, () => ({ role: 'user', content: '' }));
    expect(await errorOf(await post(`${url}/v1/chat/completions`, { model, messages }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('at least 2050'),
    });
  });
});

describe('a merged adapter', () => {
  it("is what the base's name was: its own name is served, the base's is unknown", async () => {
    const { client, core, url } = await serving();
    core.info.merged = { name: 'support', path: '/adapters/support', kind: 'lora', rank: 8 };
    const answer = await client.completions.create({ model: 'support', prompt: 'x', max_tokens: 1 });
    expect(answer.model).toBe('support');
    expect(core.submitted[0]!.adapter).toBeNull();
    expect(await errorOf(await post(`${url}/v1/completions`, { model: 'llama-3-8b', prompt: 'x' }))).toMatchObject({
      status: 404,
      message: expect.stringContaining('This server has: support.'),
    });
  });
});
