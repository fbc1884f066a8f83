/**
 * Measuring into a folder: what every command has in common that runs a plan. In: the folder, and what drives the runner.
 * Out: its outcome; requests.jsonl has grown as requests ended, result.json was renewed after each run.
 */
import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { VerdictFile } from '../gate/verdict-file.ts';
import type { Plan } from '../plan/plan.ts';
import { continueRecordsFile, openRecordsFile } from '../recorder/records-file.ts';
import { createProgress } from '../report/progress.ts';
import { writeReport } from '../report/write.ts';
import type { Progress } from '../result/progress.ts';
import type { Result } from '../result/schema.ts';
import { writeResult } from '../result/write.ts';
import type { ConductOptions, PlanOutcome } from '../runner/conductor.ts';
import { lockFolder } from './folder-lock.ts';
import type { CommandIo } from './io.ts';

export interface Measuring<T extends PlanOutcome> {
  folder: string;
  /** As it is shown: every run that will be made. */
  plan: Plan;
  asResult: (outcome: T) => Result;
  /** It goes on with what is in the folder. */
  resumes: boolean;
  quiet: boolean;
}

export type Recording<T> = Pick<ConductOptions, 'records' | 'progress' | 'signal' | 'finish'> & {
  onRun: (outcome: T) => void;
};

/** @throws BenchError what the runner throws; a folder in which nothing was measured is taken away again */
export async function measureInto<T extends PlanOutcome>(
  { folder, plan, asResult, resumes, quiet }: Measuring<T>,
  io: CommandIo,
  drive: (recording: Recording<T>) => Promise<T>,
): Promise<T> {
  const show = quiet ? silent : createProgress(io.stderr, { interactive: true, env: { ...io.env } });
  const unlock = lockFolder(folder);
  const path = join(folder, 'requests.jsonl');
  const records = resumes ? continueRecordsFile(path) : openRecordsFile(path);
  try {
    show.progress({ kind: 'plan', plan });
    return await drive({
      records,
      progress: show.progress,
      signal: io.signal,
      ...(io.finish === undefined ? {} : { finish: io.finish }),
      onRun: (outcome) => keepSoFar(join(folder, 'result.json'), asResult(outcome)),
    });
  } catch (error) {
    unlock();
    const empty = !resumes && records.written === 0;
    if (empty && error instanceof BenchError && error.code !== 'BUG') forget(folder);
    throw error;
  } finally {
    show.close();
    records.close();
    unlock();
  }
}

const silent: { progress: Progress; close: () => void } = { progress: () => {}, close: () => {} };

/** A killed process leaves the runs that were done. No room for it is told when the whole result is written. */
function keepSoFar(path: string, result: Result): void {
  try {
    writeResult(path, result);
  } catch (error) {
    if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
  }
}

/** Nothing was measured: no empty folder stays that would look like a result. Other people's files in it stay. */
export function forget(folder: string): void {
  for (const file of ['requests.jsonl', 'result.json']) rmSync(join(folder, file), { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Not empty: it was there before.
  }
}

/** Writes result and report, as far as there is room. @returns what could not be written, and whether there is a report */
export async function writeOutputs(
  folder: string,
  result: Result,
  verdict: VerdictFile | null = null,
): Promise<{ failures: BenchError[]; reported: boolean }> {
  const failures: BenchError[] = [];
  const attempt = async (write: () => void | Promise<void>): Promise<boolean> => {
    try {
      await write();
      return true;
    } catch (error) {
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      failures.push(error);
      return false;
    }
  };
  await attempt(() => writeResult(join(folder, 'result.json'), result));
  const reported = await attempt(() => writeReport(folder, result, verdict));
  return { failures, reported };
}
