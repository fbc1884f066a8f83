/**
 * A path -> the adapter it holds, whatever its format: finds out what is there and hands it to the reader of that.
 *
 * Known: a PEFT folder, one sub-folder that is one (PEFT saves adapters of any name but "default" so), a Tied-LoRA folder, a
 * NeMo 1.x archive or the folder of one. Everything else is refused with what would be accepted. Only files of fixed names
 * in the given folder, or of a name its listing gave, are opened: no name comes from inside a file, so that no file can
 * point out of its folder. (The files may be symbolic links that whoever owns the folder made, as in Hugging Face's cache.)
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Geometry } from '../models/geometry.ts';
import { isFile } from '../tensor-files/byte-source.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { quoted } from '../tensor-files/problems.ts';
import type { AdapterFile, AdapterFormat } from './adapter.ts';
import { readNemo, refuseNemo2 } from './nemo.ts';
import { CONFIG_NAME, type ConfigText, readPeft, SAFETENSORS_NAME, TORCH_NAME } from './peft.ts';
import { configObject } from './peft-config.ts';
import { readTiedLora } from './tied-lora.ts';

const ACCEPTED = `a folder with ${CONFIG_NAME} and ${SAFETENSORS_NAME} (Hugging Face PEFT), or a .nemo archive (NeMo 1.x)`;
/** A configuration of 20,000 patterns takes 2 MiB. */
const LONGEST_CONFIG = 8 * 2 ** 20;

/**
 * Checks the adapter whole, without reading its weights.
 * @param geometry of the base it is for; null checks what can be checked without
 * @throws FileError with every problem
 */
export async function readAdapter(path: string, geometry: Geometry | null): Promise<AdapterFile> {
  const found = await findAdapter(path);
  if (found.format === 'nemo') return readNemo(found.path, geometry);
  const text = await readConfig(found.path);
  const read = text.fields['peft_type'] === 'TIED_LORA' ? readTiedLora : readPeft;
  return read(found.path, text, geometry);
}

/** What is at a path: the folder or archive to read, and its format ("peft" also for what may be Tied-LoRA). */
export async function findAdapter(
  path: string,
): Promise<{ path: string; format: Exclude<AdapterFormat, 'tied-lora'> }> {
  try {
    return await atPath(path);
  } catch (error) {
    if (error instanceof FileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const gone = code === 'ENOENT' || code === 'ENOTDIR';
    const why = gone ? 'there is no such file or folder' : `cannot be read (${code ?? String(error)})`;
    throw new FileError(path, `${why}; expected ${ACCEPTED}`, { cause: error });
  }
}

async function atPath(path: string): Promise<{ path: string; format: 'peft' | 'nemo' }> {
  const facts = await stat(path);
  if (facts.isDirectory()) return inFolder(path);
  if (!facts.isFile()) throw new FileError(path, `expected ${ACCEPTED}, found neither a file nor a folder`);
  if (path.endsWith('.nemo') || (await isTar(path))) return { path, format: 'nemo' };
  const name = basename(path);
  const inside = [CONFIG_NAME, SAFETENSORS_NAME, TORCH_NAME].includes(name) ? ': give the folder it is in' : '';
  const gguf = name.endsWith('.gguf') ? ': GGUF adapters are not read; convert from, or export to, PEFT' : '';
  throw new FileError(path, `expected ${ACCEPTED}, found the file ${quoted(name)}${inside}${gguf}`);
}

async function inFolder(path: string): Promise<{ path: string; format: 'peft' | 'nemo' }> {
  const entries = (await readdir(path)).sort();
  const archives = entries.filter((name) => name.endsWith('.nemo'));
  if (entries.includes(CONFIG_NAME)) {
    if (archives.length === 0) return { path, format: 'peft' };
    throw new FileError(
      path,
      `expected one adapter, found ${CONFIG_NAME} and ${quoted(archives[0]!)}: move one of them away`,
    );
  }
  if (archives.length > 0) return { path, format: 'nemo' };

  const folders: string[] = [];
  for (const name of entries) if (await isFile(join(path, name, CONFIG_NAME))) folders.push(name);
  if (folders.length === 1) return { path: join(path, folders[0]!), format: 'peft' };
  if (folders.length > 1) {
    const some =
      folders.slice(0, 8).map(quoted).join(', ') + (folders.length > 8 ? ` and ${folders.length - 8} more` : '');
    throw new FileError(path, `expected one adapter, found ${folders.length} in its sub-folders: give one of ${some}`);
  }
  if (entries.includes('weights') && entries.includes('context')) throw refuseNemo2(path);
  throw new FileError(path, `expected ${ACCEPTED}, found ${held(entries)}`);
}

function held(entries: string[]): string {
  if (entries.length === 0) return 'an empty folder';
  if (entries.includes(SAFETENSORS_NAME) || entries.includes(TORCH_NAME)) return `weights without ${CONFIG_NAME}`;
  if (entries.includes('config.json')) return 'a model (config.json), not an adapter';
  return `a folder with ${entries.slice(0, 5).map(quoted).join(', ')}${entries.length > 5 ? ', ..' : ''}`;
}

/** POSIX tar has its name at byte 257 of the first header; a NeMo archive need not be called .nemo. */
async function isTar(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(5), 0, 5, 257);
    return bytesRead === 5 && Buffer.from(buffer).toString('latin1') === 'ustar';
  } finally {
    await file.close();
  }
}

/** adapter_config.json of a folder, as far as it is a JSON object. @throws FileError */
export async function readConfig(folder: string): Promise<ConfigText> {
  const path = join(folder, CONFIG_NAME);
  const facts = await stat(path).catch(() => undefined);
  if (!facts?.isFile()) throw new FileError(folder, `expected ${CONFIG_NAME} to be a file`);
  if (facts.size > LONGEST_CONFIG) {
    throw new FileError(folder, `${CONFIG_NAME}: expected at most ${LONGEST_CONFIG} bytes, found ${facts.size}`);
  }
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw new FileError(folder, `${CONFIG_NAME} cannot be read (${error.code})`, { cause: error });
  });
  const fields = configObject(bytes.toString('utf8'));
  if (typeof fields === 'string') throw new FileError(folder, `${CONFIG_NAME} ${fields}`);
  return { fields, bytes: bytes.length };
}
