/** verdict.json of a folder, if a gate wrote one there: its report shows it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import { VERDICT_FORMAT, type VerdictFile } from '../gate/verdict-file.ts';

/** @throws BenchError USAGE for one that cannot be read: a report without it would look like one of a run */
export function readVerdict(folder: string): VerdictFile | null {
  const path = join(folder, 'verdict.json');
  if (!existsSync(path)) return null;
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as VerdictFile;
    if (file.format === VERDICT_FORMAT) return file;
    throw new Error(`expected the format "${VERDICT_FORMAT}"`);
  } catch (cause) {
    throw new BenchError('USAGE', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
