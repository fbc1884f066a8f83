/**
 * Tells whether an adapter's file or folder is still what it was: names, sizes and times of change of the files in it. Cheap
 * enough to be asked before every read, and on every rescan of a folder of adapters.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** @throws the error of node:fs when the path cannot be looked at */
export async function fingerprintOf(path: string): Promise<string> {
  const own = await stat(path);
  if (!own.isDirectory()) return `${own.size} ${own.mtimeMs}`;
  const names = (await readdir(path)).sort();
  const lines = await Promise.all(
    names.map(async (name) => {
      const inside = await stat(join(path, name));
      return `${name} ${inside.isDirectory() ? 'folder' : inside.size} ${inside.mtimeMs}`;
    }),
  );
  return lines.join('\n');
}
