/**
 * Random access to bytes that lie in a file, in memory, or in a part of either, so that the parsers of formats that nest
 * (a torch zip inside a tar) are written once and read only what they need.
 *
 * Every read is checked against the source's size: a parser that believes a lying length gets a FileError, not an
 * allocation. Pure: no device, no HTTP.
 */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { FileError } from './file-error.ts';

export interface ByteSource {
  /** For messages: the file's path, with "!entry" appended for what lies inside an archive. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** A fresh array of bytes at .. at + count - 1. @throws FileError when they are not all there */
  read(at: number, count: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** One read of the system is at most this long: Node refuses more than 2^31 - 1 bytes. */
const READ_BYTES = 2 ** 30;

/** @throws FileError when the range leaves the source; checked before anything is allocated */
function checkRange(path: string, bytes: number, at: number, count: number): void {
  const sane = Number.isSafeInteger(at) && Number.isSafeInteger(count) && at >= 0 && count >= 0;
  if (!sane || at + count > bytes) {
    throw new FileError(path, `expected ${count} bytes at ${at}, found the end at ${bytes}: the file is cut short`);
  }
}

async function readFully(handle: FileHandle, path: string, at: number, count: number) {
  const into = new Uint8Array(count);
  for (let done = 0; done < count; ) {
    const { bytesRead } = await handle.read(into, done, Math.min(count - done, READ_BYTES), at + done);
    if (bytesRead === 0) {
      throw new FileError(path, `expected ${count} bytes at ${at}, found ${done}: the file was cut short meanwhile`);
    }
    done += bytesRead;
  }
  return into;
}

/** Pipes and devices are none: opening one could wait for ever. */
export const isFile = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isFile() === true;

/** @throws FileError when there is no such file, it is not a plain one, or it cannot be read */
export async function openFileSource(path: string): Promise<ByteSource> {
  let handle: FileHandle | undefined;
  try {
    // Before it is opened: opening a pipe waits for somebody to write to it.
    const facts = await stat(path);
    if (!facts.isFile()) {
      throw new FileError(path, `expected a file, found ${facts.isDirectory() ? 'a folder' : 'a device or a pipe'}`);
    }
    handle = await open(path, 'r');
    return fileSource(handle, path, (await handle.stat()).size);
  } catch (error) {
    await handle?.close();
    if (error instanceof FileError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : `cannot be read (${code ?? String(error)})`;
    throw new FileError(path, why, { cause: error });
  }
}

function fileSource(handle: FileHandle, path: string, bytes: number): ByteSource {
  let closed: Promise<void> | undefined;
  return {
    path,
    bytes,
    async read(at, count) {
      checkRange(path, bytes, at, count);
      try {
        return await readFully(handle, path, at, count);
      } catch (error) {
        if (error instanceof FileError) throw error;
        throw new FileError(path, `cannot be read at ${at} (${(error as Error).message})`, { cause: error });
      }
    },
    close() {
      closed ??= handle.close();
      return closed;
    },
  };
}

/** Bytes that are in memory already; reads copy, so that what a reader does to them stays its own. */
export function bufferSource(path: string, content: Uint8Array): ByteSource {
  return {
    path,
    bytes: content.length,
    async read(at, count) {
      checkRange(path, content.length, at, count);
      return new Uint8Array(content.subarray(at, at + count));
    },
    async close() {},
  };
}

/** A part of a source, as a source. Closing it closes the whole. @throws FileError when the part leaves the whole */
export function rangeOf(whole: ByteSource, at: number, bytes: number, path = whole.path): ByteSource {
  checkRange(path, whole.bytes, at, bytes);
  return {
    path,
    bytes,
    async read(first, count) {
      checkRange(path, bytes, first, count);
      return whole.read(at + first, count);
    },
    close: () => whole.close(),
  };
}
