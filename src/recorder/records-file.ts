/**
 * requests.jsonl: every request that was issued, once, a line as it ends.
 *
 * In: RequestRecords. Out: lines that are with the operating system when `append` returns, so that killing the process
 * loses at most the requests in flight. read-records.ts reads them back; a later invocation may go on in the same file.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { BenchError } from '../errors.ts';
import type { RequestRecord } from '../result/schema.ts';
import { writeError } from './disk-full.ts';

export interface RecordsFile {
  readonly path: string;
  /** Lines that are in the file. */
  readonly written: number;
  /** Records that are not, because the disk was full. */
  readonly lost: number;
  /**
   * Writes one line. The first time there is no room it throws, afterwards it only counts what is lost: the run still ends
   * properly and its numbers are still made, from memory.
   * @throws BenchError OUTPUT_DISK_FULL (once), OUTPUT_NOT_WRITABLE (once)
   */
  append(record: RequestRecord): void;
  /** May be called twice. */
  close(): void;
}

/** Creates the file. @throws BenchError OUTPUT_NOT_WRITABLE (also when it exists), OUTPUT_DISK_FULL */
export function openRecordsFile(path: string): RecordsFile {
  try {
    return recordsFile(path, openSync(path, 'wx'), 0);
  } catch (cause) {
    throw writeError(cause, path, 'Nothing was measured yet.');
  }
}

/**
 * Goes on in a file that exists: what a killed process left of its last line is taken away first, since nothing may follow
 * half a line.
 * @throws BenchError OUTPUT_NOT_WRITABLE, OUTPUT_DISK_FULL
 */
export function continueRecordsFile(path: string): RecordsFile {
  try {
    const descriptor = openSync(path, 'r+');
    const end = endOfLastLine(descriptor);
    ftruncateSync(descriptor, end);
    return recordsFile(path, descriptor, end);
  } catch (cause) {
    throw writeError(cause, path, 'What was measured before is kept.');
  }
}

const TAIL_BYTES = 64 * 1024;

/** Bytes up to and with the last newline. */
function endOfLastLine(descriptor: number): number {
  const tail = Buffer.alloc(TAIL_BYTES);
  for (let end = fstatSync(descriptor).size; end > 0; end = Math.max(0, end - TAIL_BYTES)) {
    const start = Math.max(0, end - TAIL_BYTES);
    const read = readSync(descriptor, tail, 0, end - start, start);
    const place = tail.subarray(0, read).lastIndexOf('\n');
    if (place !== -1) return start + place + 1;
  }
  return 0;
}

function recordsFile(path: string, opened: number, size: number): RecordsFile {
  let descriptor: number | null = opened;
  let bytes = size;
  let written = 0;
  let lost = 0;
  return {
    path,
    get written() {
      return written;
    },
    get lost() {
      return lost;
    },
    append(record) {
      if (descriptor === null) throw new BenchError('BUG', `${path} was appended to after it had been closed.`);
      if (lost > 0) {
        lost++;
        return;
      }
      const line = Buffer.from(`${JSON.stringify(record)}\n`);
      let offset = 0;
      try {
        // A write may be short: at a limit the part that fits is taken, and the next call fails.
        while (offset < line.length) {
          offset += writeSync(descriptor, line, offset, line.length - offset, bytes + offset);
        }
      } catch (cause) {
        lost++;
        if (offset > 0) removeTail(descriptor, bytes);
        throw writeError(cause, path, `The ${written} records written so far are kept.`);
      }
      bytes += line.length;
      written++;
    },
    close() {
      if (descriptor !== null) closeSync(descriptor);
      descriptor = null;
    },
  };
}

function removeTail(descriptor: number, length: number): void {
  try {
    ftruncateSync(descriptor, length);
  } catch {
    // Then the torn line stays, and the reader skips it.
  }
}
