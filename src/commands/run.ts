/**
 * `bench run`, the main job: a scenario in, a folder with report and data out.
 *
 *   prepare   scenario, device or endpoint, plan; told before anything starts
 *   measure   runner/run-plan.ts; requests.jsonl grows as requests end, result.json is renewed after each run
 *   report    report.html, cells.csv, the summary
 *
 * Whatever ends the measurement early, what was measured is reported; the exit code says that it ended early.
 */
import { rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { describePlan } from '../plan/describe.ts';
import { continueRecordsFile, openRecordsFile } from '../recorder/records-file.ts';
import { createProgress } from '../report/progress.ts';
import { summaryTable } from '../report/terminal.ts';
import { writeReport } from '../report/write.ts';
import { newSession } from '../result/fingerprint.ts';
import type { Progress } from '../result/progress.ts';
import { readResult } from '../result/read.ts';
import type { Machine, Result } from '../result/schema.ts';
import { writeResult } from '../result/write.ts';
import { resultOf } from '../runner/result-of.ts';
import { type PlanOutcome, type RunPlanOptions, runPlan } from '../runner/run-plan.ts';
import type { DeviceProbe } from '../target/engine.ts';
import type { RunArguments } from './arguments.ts';
import { lockFolder } from './folder-lock.ts';
import { gravest } from './gravest.ts';
import type { CommandIo } from './io.ts';
import { outputFolder, refuseUsed } from './output-folder.ts';
import { type Prepared, prepare } from './prepare.ts';
import { type EarlierRuns, earlierRuns } from './resume.ts';
import { folderOf, standInBanner, tableStyle } from './show.ts';
import { tokenizersFor } from './tokenizers.ts';
import { tool } from './tool.ts';

type Measuring = Prepared & Pick<RunPlanOptions, 'tokenizerOf'> & { earlier: EarlierRuns | null };

export async function run(args: RunArguments, io: CommandIo): Promise<ExitCode> {
  const createdAt = new Date();
  if (args.out !== null && args.resume !== null) {
    throw new BenchError('USAGE', '--out and --resume both name a folder; give one of them');
  }
  if (args.out !== null) refuseUsed(args.out);
  if (args.resume !== null) readResult(args.resume); // before a device is looked for
  const resumed = args.resume === null ? null : folderOf(args.resume);
  const say = (line: string) => void (args.quiet || io.stderr.write(`${line}\n`));
  const prepared = await prepare(args, io, say);
  // Before a folder for results is made, and an engine started: a model without a tokenizer has nothing to be sent.
  const tokenizerOf = await tokenizersFor(prepared.scenario, prepared.folders);
  const { scenario, plan, device } = prepared;
  const earlier = resumed === null ? null : await earlierFor(resumed, prepared);
  const folder = resumed ?? outputFolder(args.out, scenario.name, createdAt);
  if (!args.quiet) io.stdout.write(`${describePlan(plan, scenario).join('\n')}\n`);
  // Also with --quiet: a figure of a stand-in must never be taken for the model's.
  const banner = device === null ? [] : standInBanner(plan, scenario, device);
  for (const line of banner) io.stderr.write(`${line}\n`);

  const identity = {
    tool: tool(),
    session: newSession(createdAt),
    createdAt,
    gpu: gpuOf(device),
    warnings: prepared.warnings,
  };
  const asResult = (outcome: PlanOutcome) => goneOn(resultOf(scenario, plan, outcome, identity), earlier);
  const outcome = await measure({ ...prepared, tokenizerOf, earlier }, folder, asResult, args, io);
  if (outcome.cells.length === 0) {
    if (earlier === null) forget(folder);
    throw gravest(outcome.failures) ?? new BenchError('NO_DATA', 'nothing was measured');
  }
  return report(asResult(outcome), outcome, folder, io);
}

function earlierFor(folder: string, { plan, device, scenario }: Prepared): Promise<EarlierRuns> {
  const models = [...new Set(plan.cells.map(({ at }) => at.model))];
  const { target } = scenario;
  const endpoint = target.kind === 'endpoint' && target.url !== null ? { url: target.url, models } : null;
  return earlierRuns({ folder, plan, scenarioHash: scenario.hash, gpu: gpuOf(device), endpoint });
}

/** A sweep that was resumed is the one that was begun, with those who went on with it. */
function goneOn(result: Result, earlier: EarlierRuns | null): Result {
  if (earlier === null) return result;
  const { createdAt, session, resumed = [], client, warnings } = earlier.result;
  return {
    ...result,
    warnings: [...new Set([...warnings, ...result.warnings])],
    createdAt,
    session,
    resumed: [...resumed, { session: result.session, at: result.createdAt }],
    client: result.client.selfCheck === null ? client : result.client,
  };
}

async function measure(
  { plan, source, tokenizerOf, earlier }: Measuring,
  folder: string,
  asResult: (outcome: PlanOutcome) => Result,
  { quiet, workers, selfCheck }: RunArguments,
  io: CommandIo,
): Promise<PlanOutcome> {
  const show = quiet ? silent : createProgress(io.stderr, { interactive: true, env: { ...io.env } });
  const unlock = lockFolder(folder);
  const path = join(folder, 'requests.jsonl');
  const records = earlier === null ? openRecordsFile(path) : continueRecordsFile(path);
  try {
    show.progress({ kind: 'plan', plan });
    return await runPlan({
      plan,
      source,
      tokenizerOf,
      records,
      workers,
      selfCheck,
      ...(earlier === null ? {} : { resume: earlier.resumed }),
      progress: show.progress,
      signal: io.signal,
      onRun: (outcome) => keepSoFar(join(folder, 'result.json'), asResult(outcome)),
    });
  } catch (error) {
    unlock();
    const empty = earlier === null && records.written === 0;
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

/** Writes what there is, as far as there is room, and says how it went. */
async function report(result: Result, outcome: PlanOutcome, folder: string, io: CommandIo): Promise<ExitCode> {
  const failures = [...outcome.failures];
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
  const reported = await attempt(() => writeReport(folder, result));
  const ok = result.cells.flatMap(({ runs }) => runs).reduce((sum, { counts }) => sum + counts.ok, 0);
  if (ok === 0 && failures.length === 0)
    failures.push(new BenchError('NO_DATA', 'no request succeeded; the report says why'));

  io.stdout.write(`\n${summaryTable(result, tableStyle(io.stdout, io.env))}\n\n`);
  for (const { message, hint } of failures) {
    io.stderr.write(`bench: ${message}\n`);
    if (hint !== undefined) io.stderr.write(`       ${hint}\n`);
  }
  io.stdout.write(reported ? `report  ${join(folder, 'report.html')}\n` : `data    ${folder}\n`);
  return gravest(failures)?.exitCode ?? EXIT.done;
}

/** Nothing was measured: no empty folder stays that would look like a result. Other people's files in it stay. */
function forget(folder: string): void {
  for (const file of ['requests.jsonl', 'result.json']) rmSync(join(folder, file), { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Not empty: it was there before.
  }
}

const gpuOf = (device: DeviceProbe | null): Machine['gpu'] =>
  device === null ? null : { name: device.name, driver: device.driver, software: device.software };
