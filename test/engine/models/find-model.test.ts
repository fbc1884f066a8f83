/** What --model may name, and what it says of names and folders that are none. */

import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { chdir, cwd } from 'node:process';
import { afterEach, describe, expect, it } from 'vitest';
import { findModel, looksLikeFolder } from '../../../engine/models/find-model.ts';
import { PRESETS } from '../../../engine/models/geometry.ts';
import { FileError } from '../../../engine/tensor-files/file-error.ts';
import { folderWith, LLAMA_CONFIG } from './folders.ts';

const started = cwd();
afterEach(() => chdir(started));

describe('findModel', () => {
  it('finds presets and stand-ins, under another name where one is given', async () => {
    expect(await findModel('llama-3-8b')).toEqual({ geometry: PRESETS['llama-3-8b'], folder: null });
    expect(await findModel('llama-3-8b@1/8', 'mine')).toMatchObject({
      geometry: { name: 'mine', layers: 4 },
      folder: null,
    });
  });

  it('finds a folder, under its own name or another', async () => {
    const folder = await folderWith({ 'config.json': LLAMA_CONFIG });
    expect(await findModel(`${folder}/`)).toMatchObject({ folder, geometry: { name: basename(folder), hidden: 576 } });
    expect((await findModel(folder, 'mine')).geometry.name).toBe('mine');
  });

  it('takes a preset before a folder of its name, unless it is written as a path', async () => {
    const parent = await folderWith({});
    await mkdir(join(parent, 'llama-3-8b'));
    await writeFile(join(parent, 'llama-3-8b', 'config.json'), JSON.stringify(LLAMA_CONFIG));
    await mkdir(join(parent, 'plain'));
    await writeFile(join(parent, 'plain', 'config.json'), JSON.stringify(LLAMA_CONFIG));
    chdir(parent);
    expect((await findModel('llama-3-8b')).folder).toBeNull();
    expect((await findModel('./llama-3-8b')).geometry).toMatchObject({ name: 'llama-3-8b', hidden: 576 });
    expect((await findModel('plain')).geometry).toMatchObject({ name: 'plain', hidden: 576 });
  });

  it.each([
    ['an unknown name', 'llama-4', /unknown model "llama-4"; expected a Hugging Face folder or one of llama-3-8b, /],
    ['a stand-in that cannot be', 'llama-3-8b@1/3', /3 does not divide the 8 KV heads.*llama-3-8b@1\/2/],
    ['a path to nothing', './nowhere/at-all', /there is no such folder; expected a Hugging Face folder.*llama-3-8b/],
    ['a name of the hub', 'meta-llama/Llama-3.2-1B', /there is no such folder; expected .* on this machine/],
  ])('refuses %s', async (_, name, words) => {
    const error = await findModel(name).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FileError);
    expect((error as FileError).message).toMatch(words);
  });

  it('refuses a file, a folder without config.json, and one that is no JSON object', async () => {
    const folder = await folderWith({ 'config.json': '[1]' });
    await expect(findModel(join(folder, 'config.json'))).rejects.toThrow(/is a file; expected the folder/);
    await expect(findModel(folder)).rejects.toThrow(/config\.json: expected a JSON object, found \[1\]/);
    await expect(findModel(await folderWith({}))).rejects.toThrow(/there is no config\.json/);
    await expect(findModel(await folderWith({ 'config.json': '{"a":' }))).rejects.toThrow(/is not valid JSON/);
    const huge = await folderWith({ 'config.json': `{"a": "${'x'.repeat(17 * 2 ** 20)}"}` });
    await expect(findModel(huge)).rejects.toThrow(/has \d+ bytes; expected at most 16 MiB/);
  });
});

describe('looksLikeFolder', () => {
  it.each(['/models/x', './x', '../x', '.', '..', 'a/b', 'models/llama-3-8b@1', 'x/'])('%s', (text) => {
    expect(looksLikeFolder(text)).toBe(true);
  });
  it.each(['llama-3-8b', 'llama-3-8b@1/8', 'anything', '.hidden'])('not %s', (text) => {
    expect(looksLikeFolder(text)).toBe(false);
  });
});
