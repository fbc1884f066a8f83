/**
 * What --model means: a preset, a stand-in of one, or a Hugging Face folder. Text in, geometry and folder out.
 *
 * A preset's name wins over a folder of the same name in the working folder; "./name" means the folder.
 */
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { FileError } from '../tensor-files/file-error.ts';
import { type Geometry, geometryOf, isGeometry, PRESETS } from './geometry.ts';
import { readGeometry } from './hf-config.ts';

export interface FoundModel {
  /** Under the name the base model is served by. */
  geometry: Geometry;
  /** Where its weights and tokenizer are; null for a preset, which has random weights. */
  folder: string | null;
}

/** Whether the text can only mean a folder: it is written as a path, and is no stand-in ("llama-3-8b@1/8"). */
export const looksLikeFolder = (text: string): boolean =>
  isAbsolute(text) || /^(\.{1,2}|~)([/\\]|$)/.test(text) || (/[/\\]/.test(text) && !/@1\/\d+$/.test(text));

/**
 * @param servedName the name in requests; null: the preset's, or the folder's base name
 * @throws FileError no such model (with what is accepted), or a folder whose config.json cannot be served
 */
export async function findModel(nameOrFolder: string, servedName: string | null = null): Promise<FoundModel> {
  const known = geometryOf(nameOrFolder);
  if (isGeometry(known)) return { geometry: { ...known, name: servedName ?? known.name }, folder: null };
  const entry = await stat(nameOrFolder).catch(() => null);
  if (entry?.isDirectory()) {
    const folder = resolve(nameOrFolder);
    return { geometry: await readGeometry(folder, servedName ?? (basename(folder) || folder)), folder };
  }
  if (entry !== null) throw new FileError(nameOrFolder, 'is a file; expected the folder that holds config.json');
  if (looksLikeFolder(nameOrFolder)) {
    throw new FileError(
      nameOrFolder,
      `there is no such folder; expected a Hugging Face folder on this machine, or a preset: ${Object.keys(PRESETS).join(', ')}`,
    );
  }
  throw new FileError(
    nameOrFolder,
    `${known.message}; expected a Hugging Face folder or ${known.accepted.length === 1 ? '' : 'one of '}${known.accepted.join(', ')}`,
  );
}
