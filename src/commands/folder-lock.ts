/**
 * One process a folder of results: two that write into one would each destroy what the other measures.
 *
 * In: the folder. Out: a lock that lasts until it is released, or its process is gone: a killed one leaves its file, which
 * the next takes over.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import { writeError } from '../recorder/disk-full.ts';

const LOCK_FILE = '.bench.lock';

/** @returns releases it; may be called twice. @throws BenchError OUTPUT_NOT_WRITABLE when another process measures into it */
export function lockFolder(folder: string): () => void {
  const path = join(folder, LOCK_FILE);
  const holder = holderOf(path);
  if (holder !== null) {
    throw new BenchError('OUTPUT_NOT_WRITABLE', `another bench (process ${holder}) is measuring into ${folder}`, {
      hint: `wait for it, or choose another folder; if that process is no bench, remove ${path}`,
    });
  }
  rmSync(path, { force: true });
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
  } catch (cause) {
    throw writeError(cause, path, 'Nothing was measured yet.');
  }
  return () => rmSync(path, { force: true });
}

/** The process that holds it and is alive; null when there is none. */
function holderOf(path: string): number | null {
  let pid: number;
  try {
    pid = Number(readFileSync(path, 'utf8'));
  } catch {
    return null;
  }
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : null;
  }
}
