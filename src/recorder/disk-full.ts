/**
 * The one meaning of "no more room": a full disk, a quota, or a file-size limit (`ulimit -f`) while writing output.
 *
 * In: an error of node:fs and the file it concerns. Out: BenchError OUTPUT_DISK_FULL, or OUTPUT_NOT_WRITABLE for the rest.
 */
import { BenchError } from '../errors.ts';

const FULL: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file-size limit (ulimit -f) is reached',
};

/** @param kept what the reader of the message still has, a sentence */
export function writeError(cause: unknown, file: string, kept: string): BenchError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = FULL[code ?? ''];
  return why === undefined
    ? new BenchError('OUTPUT_NOT_WRITABLE', `Could not write ${file}: ${message}.`, { cause })
    : new BenchError('OUTPUT_DISK_FULL', `Could not write ${file}: ${why}. ${kept}`, {
        cause,
        hint: 'Free some space, or write elsewhere with --out DIR.',
      });
}
