/**
 * Writes a report's files: report.html, cells.csv, and AIPerf's form of the result.
 *
 * A folder that exists and a result in; nothing out. Each file appears whole or not at all, because a half report that
 * looks like one is worse than none.
 */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VerdictFile } from '../gate/verdict-file.ts';
import { writeError } from '../recorder/disk-full.ts';
import { writeAiperf } from '../result/aiperf-files.ts';
import type { Result } from '../result/schema.ts';
import { cellsCsv } from './csv.ts';
import { htmlReport } from './html/page.ts';

/** @throws BenchError OUTPUT_DISK_FULL when there is no room, OUTPUT_NOT_WRITABLE when the folder can't be written to */
export async function writeReport(dir: string, result: Result, verdict: VerdictFile | null = null): Promise<void> {
  await writeWhole(join(dir, 'cells.csv'), cellsCsv(result));
  await writeWhole(join(dir, 'report.html'), await htmlReport(result, verdict));
  writeAiperf(dir, result);
}

async function writeWhole(file: string, text: string): Promise<void> {
  const unfinished = `${file}.partial`;
  try {
    await writeFile(unfinished, text);
    await rename(unfinished, file);
  } catch (cause) {
    // The error to tell is the first one; a leftover that can't be removed changes nothing about it.
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw writeError(
      cause,
      file,
      'What was measured is kept in result.json and requests.jsonl, as far as they were written.',
    );
  }
}
