/**
 * `--resume DIR`: a sweep goes on where it ended, however it ended. In: the folder, and what would be run now. Out: the
 * runs that are done, and how often each other was tried.
 *
 * A run counts as done when result.json has it as done; its numbers are kept as they are. Any other is measured anew, as a
 * further attempt, and stands until then: what was recorded of the earlier ones stays in requests.jsonl, under their own number. Runs of two
 * plans, machines or servers are never put into one result.
 */
import { join } from 'node:path';
import { BenchError } from '../errors.ts';
import type { Plan } from '../plan/plan.ts';
import { readRecords } from '../recorder/read-records.ts';
import { machineOf } from '../result/fingerprint.ts';
import { readResult } from '../result/read.ts';
import type { Machine, Result } from '../result/schema.ts';
import type { Resumed } from '../runner/run-plan.ts';

export interface EarlierRuns {
  /** As it was read. */
  result: Result;
  resumed: Resumed;
}

export interface ResumeOptions {
  folder: string;
  plan: Plan;
  /** Of the scenario as it was resolved. */
  scenarioHash: string;
  gpu: Machine['gpu'];
  /** An endpoint's URL and models; null for the engine, whose URL is new each time. */
  endpoint: { url: string; models: readonly string[] } | null;
}

/** @throws BenchError USAGE: no result there, or one of something else */
export async function earlierRuns(options: ResumeOptions): Promise<EarlierRuns> {
  const { folder } = options;
  const result = readResult(join(folder, 'result.json'));
  const other = differenceOf(result, options);
  if (other !== null) {
    throw new BenchError('USAGE', `${folder} cannot be resumed: ${other}`, {
      hint: 'leave out --resume to measure anew, in a folder of its own',
    });
  }
  return {
    result,
    resumed: { cells: result.cells, targets: result.targets, attempts: await attemptsIn(folder, result) },
  };
}

function differenceOf(result: Result, { plan, gpu, endpoint, scenarioHash }: ResumeOptions): string | null {
  if (result.cells.some(({ runs }) => runs.some(({ arm }) => arm !== null))) {
    return 'it holds pairs of runs, and half a comparison of another hour is none; only a sweep of one target goes on';
  }
  if (result.planHash !== plan.hash) {
    return 'it holds runs of another plan (the scenario, a --set, or the seed differs)';
  }
  // What shapes no load but the figures: limits, the API, the tokenizer, names.
  if (result.scenario.hash !== scenarioHash) return 'its scenario says something else (or a flag does)';
  const machine = machineOf(gpu);
  if (result.machine.id !== machine.id) {
    const shown = ({ cpu, cores, gpu: device }: Machine) => `${cpu}, ${cores} cores${device ? `, ${device.name}` : ''}`;
    return `it was measured on another machine (${shown(result.machine)}; this one is ${shown(machine)})`;
  }
  for (const target of result.targets) {
    if ((target.kind === 'endpoint') !== (endpoint !== null)) return `it measured ${named(target)}, not this target`;
    if (endpoint === null) continue;
    if (target.url !== endpoint.url || !endpoint.models.includes(target.model)) return `it measured ${named(target)}`;
  }
  return null;
}

const named = ({ kind, url, model }: Result['targets'][number]): string =>
  kind === 'engine' ? `the engine with ${model}` : `${model} at ${url}`;

/** The highest attempt of each run that anything is known of, by the run's name ("c3.0"). */
async function attemptsIn(folder: string, result: Result): Promise<Map<string, number>> {
  const attempts = new Map<string, number>();
  const note = (run: string, attempt: number) => attempts.set(run, Math.max(attempt, attempts.get(run) ?? 0));
  for await (const { run, attempt } of readRecords(join(folder, 'requests.jsonl'))) note(run, attempt);
  for (const cell of result.cells) {
    for (const { replicate, attempt } of cell.runs)
      if (replicate !== undefined) note(`${cell.id}.${replicate}`, attempt);
  }
  return attempts;
}
