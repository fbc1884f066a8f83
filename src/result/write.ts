/**
 * result.json onto the disk: whole or not at all.
 *
 * In: a Result and its path. Out: the file, written beside its place and renamed into it, so that a reader or a full disk
 * never meets half of one. A number that JSON can't hold would silently become null, so it is a bug instead.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { BenchError } from '../errors.ts';
import { writeError } from '../recorder/disk-full.ts';
import type { Result } from './schema.ts';

/** @throws BenchError OUTPUT_DISK_FULL, OUTPUT_NOT_WRITABLE, BUG */
export function writeResult(path: string, result: Result): void {
  writeWhole(path, `${JSON.stringify(result, finite, 2)}\n`);
}

/**
 * Any output file, whole or not at all: a temporary file in the same folder, flushed, then renamed.
 * @throws BenchError OUTPUT_DISK_FULL, OUTPUT_NOT_WRITABLE
 */
export function writeWhole(path: string, content: string | Buffer): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const descriptor = openSync(temporary, 'w');
    try {
      writeFileSync(descriptor, content);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw writeError(cause, path, 'What had been written before is kept.');
  }
}

/** With those above it. @throws BenchError OUTPUT_DISK_FULL, OUTPUT_NOT_WRITABLE */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw writeError(cause, folder, 'What had been written before is kept.');
  }
}

function finite(this: unknown, key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new BenchError('BUG', `result.json can't hold ${value} (at "${key}").`);
}
