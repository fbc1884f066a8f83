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
      {
        message:
          "The lora adapter 'a' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.",
        type: 'InvalidUserInput',
      },
    ],
    [{ lora_name: 'b', lora_path: '/nowhere' }, 404, { type: 'NotFoundError', code: 'bad_path' }],
    [{ lora_name: 'b', lora_path: 'synthetic:rank=x' }, 400, { type: 'BadRequestError', code: 'bad_path' }],
    [
      { lora_name: 'b', lora_path: 'synthetic:rank=999,seed=1' },
      400,
      { type: 'BadRequestError', code: 'rank_too_big' },
    ],
    [{ lora_name: 'llama-3-8b', lora_path: 'synthetic:rank=8,seed=1' }, 400, { type: 'InvalidUserInput' }],
    [{ lora_name: 5, lora_path: 'x' }, 400, { param: 'lora_name' }],
    [{ lora_name: 'b', lora_path: 'x', load_inplace: 'yes' }, 400, { param: 'load_inplace' }],
  ])('loading %j is refused', async (body, status, error) => {
    const { url, core } = await serving();
    await core.loadAdapter('a', 'synthetic:rank=16,seed=3');
    const response = await load(url, body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error });
    expect(core.adapters().map((adapter) => adapter.name)).toEqual(['a']);
  });

  it('in place takes the name of the one that has it', async () => {
    const { url, core } = await serving();
    await core.loadAdapter('a', 'synthetic:rank=16,seed=3');
    const body = { lora_name: 'a', lora_path: 'synthetic:rank=8,seed=1', load_inplace: true };
    const response = await load(url, body);
    expect([response.status, await response.text()]).toEqual([200, "Success: LoRA adapter 'a' added successfully."]);
    expect(core.adapters()).toMatchObject([{ name: 'a', rank: 8 }]);
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
