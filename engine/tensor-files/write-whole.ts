/**
 * Writes a file whole or not at all: under another name beside it, renamed when it is complete, so that nobody who watches
 * the folder (an adapter store) reads half of one.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';

/** `write` gets the open file. What was at `path` stays as it was when anything fails. */
export async function writeWhole(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    const file = await open(part, 'w');
    try {
      await write(file);
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** Writes all of the bytes: a single call of the system may take fewer. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(bytes.length - done, 2 ** 30), at + done);
    done += bytesWritten;
  }
}
