import { describe, expect, it } from 'vitest';
import { post, serving } from './serving.ts';

const load = (url: string, body: object) => post(`${url}/v1/load_lora_adapter`, body);
const unload = (url: string, body: object) => post(`${url}/v1/unload_lora_adapter`, body);

describe('adapters over HTTP, as vLLM has them', () => {
  it('load, serve and unload', async () => {
    const { url, client } = await serving();
    const loaded = await load(url, { lora_name: 'a', lora_path: 'synthetic:rank=16,seed=3' });
    expect([loaded.status, await loaded.text()]).toEqual([200, "Success: LoRA adapter 'a' added successfully."]);
    expect((await client.completions.create({ model: 'a', prompt: 'x', max_tokens: 1 })).model).toBe('a');
    const unloaded = await unload(url, { lora_name: 'a' });
    expect([unloaded.status, await unloaded.text()]).toEqual([200, "Success: LoRA adapter 'a' removed successfully."]);
    await expect(client.completions.create({ model: 'a', prompt: 'x' })).rejects.toMatchObject({ status: 404 });
  });

  it.each<[object, number, object]>([
    [
      { lora_path: 'synthetic:rank=16,seed=3' },
      400,
      { message: "Both 'lora_name' and 'lora_path' must be provided.", type: 'InvalidUserInput' },
    ],
    [
      { lora_name: 'b', lora_path: '' },
      400,
      { message: "Both 'lora_name' and 'lora_path' must be provided.", type: 'InvalidUserInput' },
    ],
    [
      { lora_name: 'a', lora_path: 'synthetic:rank=8,seed=1' },
      400,
      { message: "The lora adapter 'a' has already been loaded.", type: 'InvalidUserInput' },
    ],
    [{ lora_name: 'b', lora_path: '/nowhere' }, 400, { type: 'BadRequestError', code: 'bad_path' }],
    [
      { lora_name: 'b', lora_path: 'synthetic:rank=999,seed=1' },
      400,
      { type: 'BadRequestError', code: 'rank_too_big' },
    ],
    [{ lora_name: 'llama-3-8b', lora_path: 'synthetic:rank=8,seed=1' }, 400, { type: 'InvalidUserInput' }],
    [{ lora_name: 5, lora_path: 'x' }, 400, { param: 'lora_name' }],
    [{ lora_name: 'b', lora_path: 'x', load_inplace: true }, 400, { param: 'load_inplace' }],
  ])('loading %j is refused', async (body, status, error) => {
    const { url, core } = await serving();
    await core.loadAdapter('a', 'synthetic:rank=16,seed=3');
    const response = await load(url, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error });
    expect(core.adapters().map((adapter) => adapter.name)).toEqual(['a']);
  });

  it('refuses more than there are slots', async () => {
    const { url, core } = await serving();
    for (let i = 0; i < core.info.maxGpuLoras; i++) await core.loadAdapter(`a${i}`, 'synthetic:rank=8,seed=1');
    const response = await load(url, { lora_name: 'more', lora_path: 'synthetic:rank=8,seed=1' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'no_slot' } });
  });

  it.each<[object, number, object]>([
    [{ lora_name: 'zz' }, 404, { message: "The lora adapter 'zz' cannot be found.", type: 'NotFoundError' }],
    [{}, 400, { message: "'lora_name' needs to be provided to unload a LoRA adapter.", type: 'InvalidUserInput' }],
  ])('unloading %j is refused', async (body, status, error) => {
    const { url } = await serving();
    const response = await unload(url, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error });
  });
});
