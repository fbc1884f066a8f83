/**
 * A JSON object of a model's folder: file name in, its fields out, or a FileError that says what is wrong with the file.
 *
 * Files are read whole, so their size is bounded before they are: a folder may come from anywhere.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FileError } from '../tensor-files/file-error.ts';

export type JsonObject = Record<string, unknown>;

const MIB = 2 ** 20;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as a message may show it: short, and never a line break. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Text of a file of the folder; null when there is none. @throws FileError larger than `most` bytes, or not readable */
export async function readText(folder: string, name: string, most: number): Promise<string | null> {
  const path = join(folder, name);
  try {
    const { size } = await stat(path);
    if (size > most) {
      throw new FileError(path, `has ${size} bytes; expected at most ${most / MIB} MiB`);
    }
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new FileError(path, `cannot be read: ${message}`, { cause });
  }
}

/** The file's object; null when there is no such file. @throws FileError too large, not JSON, or not an object */
export async function readJsonObject(folder: string, name: string, most = 16 * MIB): Promise<JsonObject | null> {
  const text = await readText(folder, name, most);
  if (text === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FileError(join(folder, name), `is not valid JSON: ${(cause as Error).message}`, { cause });
  }
  if (isObject(value)) return value;
  throw new FileError(join(folder, name), `expected a JSON object, found ${shown(value)}`);
}
