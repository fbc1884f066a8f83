import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findAdapter, readAdapter } from '../../../engine/adapter-files/read-adapter.ts';
import { newFolder, pairs, problemsOf, SMALL, writeAdapter } from './write-adapter.ts';

const LORA = { peft_type: 'LORA', r: 4, target_modules: ['q_proj'] };
const adapter = () => writeAdapter(LORA, pairs(['q'], 4));

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await newFolder();
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

describe('findAdapter', () => {
  it('takes a folder with adapter_config.json', async () => {
    const path = await adapter();
    expect(await findAdapter(path)).toEqual({ path, format: 'peft' });
  });

  it('takes the one sub-folder that is an adapter, as PEFT names them', async () => {
    const folder = await folderOf({ 'README.md': '', 'logs/run.txt': '' });
    await rename(await adapter(), join(folder, 'poems'));
    expect(await findAdapter(folder)).toEqual({ path: join(folder, 'poems'), format: 'peft' });
    const file = await readAdapter(folder, SMALL);
    expect(file.path).toBe(join(folder, 'poems'));
    await file.close();
  });

  it('takes a .nemo file, a tar of another name, and a folder of one', async () => {
    const folder = await folderOf({ 'math.nemo': 'x' });
    expect(await findAdapter(join(folder, 'math.nemo'))).toEqual({ path: join(folder, 'math.nemo'), format: 'nemo' });
    expect(await findAdapter(folder)).toEqual({ path: folder, format: 'nemo' });
    const tar = join(folder, 'math.tar');
    await writeFile(tar, Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\0'), Buffer.alloc(249)]));
    expect(await findAdapter(tar)).toEqual({ path: tar, format: 'nemo' });
  });

  it("takes files that are symbolic links, as in Hugging Face's cache", async () => {
    const [from, to] = [await adapter(), await newFolder()];
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      await symlink(join(from, name), join(to, name));
    const file = await readAdapter(to, SMALL);
    expect(file.modules).toHaveLength(3);
    await file.close();
  });

  it.each<[string, () => Promise<string>, RegExp]>([
    [
      'nothing',
      async () => join(await newFolder(), 'x'),
      /^there is no such file or folder; expected a folder with adapter_config\.json/,
    ],
    [
      'a path below a file',
      async () => join(await adapter(), 'adapter_config.json', 'x'),
      /there is no such file or folder/,
    ],
    ['an empty folder', newFolder, /found an empty folder$/],
    ['another folder', () => folderOf({ a: '', b: '' }), /found a folder with "a", "b"$/],
    [
      'a model',
      () => folderOf({ 'config.json': '{}', 'model.safetensors': '' }),
      /found a model \(config\.json\), not an adapter/,
    ],
    [
      'weights alone',
      () => folderOf({ 'adapter_model.safetensors': '' }),
      /found weights without adapter_config\.json/,
    ],
    [
      'a config alone',
      () => folderOf({ 'adapter_config.json': JSON.stringify(LORA) }),
      /expected adapter_model\.safetensors or adapter_model\.bin beside/,
    ],
    [
      'a Tied-LoRA config alone',
      () => folderOf({ 'adapter_config.json': '{"peft_type":"TIED_LORA","r":1,"target_modules":["q_proj"]}' }),
      /expected adapter_model\.safetensors beside/,
    ],
    [
      'several adapters',
      () => folderOf({ 'a/adapter_config.json': '{}', 'b/adapter_config.json': '{}' }),
      /found 2 in its sub-folders: give one of "a", "b"/,
    ],
    [
      'both formats',
      () => folderOf({ 'adapter_config.json': '{}', 'x.nemo': '' }),
      /found adapter_config\.json and "x\.nemo"/,
    ],
    ["the weights' file", async () => join(await adapter(), 'adapter_model.safetensors'), /give the folder it is in/],
    [
      'a GGUF file',
      async () => join(await folderOf({ 'lora.gguf': 'GGUF' }), 'lora.gguf'),
      /GGUF adapters are not read/,
    ],
    [
      'another file',
      async () => join(await folderOf({ 'notes.txt': 'x' }), 'notes.txt'),
      /found the file "notes\.txt"/,
    ],
    ['a device', async () => '/dev/null', /found neither a file nor a folder/],
    [
      'a config that is a folder',
      () => folderOf({ 'adapter_config.json/x': '' }),
      /expected adapter_config\.json to be a file/,
    ],
    [
      'a config that is no JSON',
      () => folderOf({ 'adapter_config.json': '{"r":' }),
      /^adapter_config\.json is not JSON/,
    ],
    [
      'a config that is no object',
      () => folderOf({ 'adapter_config.json': '[]' }),
      /^adapter_config\.json is no object/,
    ],
    [
      'a huge config',
      () => folderOf({ 'adapter_config.json': ' '.repeat(8 * 2 ** 20 + 1) }),
      /expected at most 8388608 bytes, found 8388609/,
    ],
    ['a NeMo 2 checkpoint', () => folderOf({ 'weights/metadata.json': '{}', 'context/model.yaml': '' }), /export_ckpt/],
  ])('refuses %s', async (_, path, message) => {
    expect((await problemsOf(readAdapter(await path(), SMALL))).join('\n')).toMatch(message);
  });

  it('does not wait on a pipe in the place of a file', async () => {
    const folder = await adapter();
    const copy = await newFolder();
    await copyFile(join(folder, 'adapter_config.json'), join(copy, 'adapter_config.json'));
    execFileSync('mkfifo', [join(copy, 'adapter_model.safetensors')]);
    expect(await problemsOf(readAdapter(copy, SMALL))).toEqual([expect.stringMatching(/found neither$/)]);
    expect(basename(copy)).not.toBe(basename(folder));
  });
});
