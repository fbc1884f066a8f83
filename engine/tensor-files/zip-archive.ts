/**
 * The entries of a zip whose entries are stored, not compressed, as torch.save writes it: each is a range of the file, so
 * nothing is unpacked and no entry can be larger than the file (a zip bomb needs compression, or entries that overlap).
 *
 * The format is read by yauzl over a ByteSource. Entries' CRC-32 is checked whenever one is read whole; 0 means that
 * torch was told not to compute it (torch.serialization.set_crc32_options).
 */
import { crc32 } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';
import { type ByteSource, rangeOf } from './byte-source.ts';
import { FileError } from './file-error.ts';
import { quoted, told } from './problems.ts';

const ENTRIES = 65_536;
/** The central directory is read in pieces of this size, not in two small reads an entry. */
const WINDOW_BYTES = 65_536;

export interface ZipArchive {
  entries: ReadonlyMap<string, ByteSource>;
}

/** @throws FileError when it is no zip, or one with entries that are compressed, encrypted, overlapping or misnamed */
export async function openZip(source: ByteSource): Promise<ZipArchive> {
  const yauzl = (await import('yauzl')).default;
  const reader = readerOf(yauzl.RandomAccessReader, source);
  const inside = listEntries(yauzl, reader, source);
  try {
    return { entries: await Promise.race([inside, reader.failed]) };
  } catch (error) {
    inside.catch(() => {});
    if (error instanceof FileError) throw error;
    const { message } = error as Error;
    throw new FileError(source.path, `expected a zip as torch.save writes it: ${message}`, { cause: error });
  }
}

type Yauzl = typeof import('yauzl');
type Reader = ReturnType<typeof readerOf>;

/** yauzl's reads, served by the source. An exception in a callback of yauzl's rejects `failed` instead of the process. */
function readerOf(Base: Yauzl['RandomAccessReader'], source: ByteSource) {
  const { promise: failed, reject } = withRejection();
  let window: { at: number; bytes: Uint8Array } | null = null;
  class SourceReader extends Base {
    readonly failed = failed;
    /** Read ahead while the central directory is read; not while local headers are, which are far apart. */
    readAhead = true;

    override read(
      into: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null, bytes?: number) => void,
    ): void {
      this.bytesAt(position, length)
        .then(
          (bytes) => {
            into.set(bytes, offset);
            callback(null, length);
          },
          (error: Error) => callback(error),
        )
        .catch(reject);
    }

    private async bytesAt(position: number, length: number): Promise<Uint8Array> {
      if (!this.readAhead || length > WINDOW_BYTES || position + length > source.bytes) {
        return source.read(position, length);
      }
      if (!window || position < window.at || position + length > window.at + window.bytes.length) {
        const count = Math.min(WINDOW_BYTES, source.bytes - position);
        window = { at: position, bytes: await source.read(position, count) };
      }
      return window.bytes.subarray(position - window.at, position - window.at + length);
    }
  }
  return new SourceReader();
}

function withRejection(): { promise: Promise<never>; reject: (error: unknown) => void } {
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<never>((_, fail) => {
    reject = fail;
  });
  promise.catch(() => {});
  return { promise, reject };
}

async function listEntries(yauzl: Yauzl, reader: Reader, source: ByteSource): Promise<Map<string, ByteSource>> {
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, source.bytes, { autoClose: false });
  zip.on('error', () => {}); // told by the iteration already; without a listener it would end the process
  if (zip.entryCount > ENTRIES) {
    throw new FileError(source.path, `expected at most ${ENTRIES} entries in the zip, found ${zip.entryCount}`);
  }
  const entries: Entry[] = [];
  for await (const entry of zip.eachEntry()) entries.push(entry);
  reader.readAhead = false;
  const problems = entries.flatMap(entryProblems);
  const names = new Set(entries.map((entry) => entry.fileName));
  if (names.size !== entries.length) problems.push('two entries of the zip have the same name');
  if (problems.length > 0) throw new FileError(source.path, told(problems));
  return rangesOf(zip, entries, source);
}

function entryProblems(entry: Entry): string[] {
  const name = `zip entry ${quoted(entry.fileName)}`;
  if (entry.isEncrypted()) return [`${name}: expected plain bytes, found it encrypted`];
  if (entry.compressionMethod !== 0) {
    return [`${name}: expected it stored, as torch.save does, found it compressed (method ${entry.compressionMethod})`];
  }
  if (entry.compressedSize !== entry.uncompressedSize) {
    return [`${name}: expected ${entry.compressedSize} bytes as stored, found ${entry.uncompressedSize} declared`];
  }
  return [];
}

async function rangesOf(zip: ZipFile, entries: readonly Entry[], source: ByteSource): Promise<Map<string, ByteSource>> {
  const ranges: { entry: Entry; from: number; to: number }[] = [];
  for (const entry of entries) {
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    ranges.push({
      entry,
      from: entry.relativeOffsetOfLocalHeader,
      to: fileDataStart + entry.uncompressedSize,
    });
  }
  let before: (typeof ranges)[number] | undefined;
  for (const range of ranges.toSorted((a, b) => a.from - b.from)) {
    if (before && range.from < before.to) {
      const names = `${quoted(before.entry.fileName)} and ${quoted(range.entry.fileName)}`;
      throw new FileError(source.path, `zip entries ${names} overlap`);
    }
    before = range;
  }
  return new Map(
    ranges.map(({ entry, to }) => {
      const size = entry.uncompressedSize;
      const path = `${source.path}!${entry.fileName}`;
      return [entry.fileName, checked(rangeOf(source, to - size, size, path), entry.crc32)];
    }),
  );
}

/** The source, its checksum compared when all of it is read at once. */
function checked(source: ByteSource, expected: number): ByteSource {
  if (expected === 0) return source;
  return {
    ...source,
    async read(at, count) {
      const bytes = await source.read(at, count);
      if (count === source.bytes && crc32(bytes) !== expected) {
        const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
        const found = `found ${hex(crc32(bytes))}: the file is damaged`;
        throw new FileError(source.path, `expected a CRC-32 of ${hex(expected)}, ${found}`);
      }
      return bytes;
    },
  };
}
