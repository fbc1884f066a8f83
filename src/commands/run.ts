/**
 * `bench run`, the main job: a scenario in, a folder with report and data out. With --compare the scenario's target is A
 * and another one is B; every run is then a pair, and one report has both.
 *
 *   prepare   scenario, device or endpoint, plan; told before anything starts
 *   measure   runner/run-plan.ts, or runner/run-pairs.ts for two targets
 *   report    report.html, cells.csv, the summary
 *
 * Whatever ends the measurement early, what was measured is reported; the exit code says that it ended early.
 */
import { join } from 'node:path';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { describePair, describePlan } from '../plan/describe.ts';
import { pairedPlan } from '../plan/pairs.ts';
import { errorJson, summaryJson } from '../report/json.ts';
import { summaryTable } from '../report/terminal.ts';
import { newSession } from '../result/fingerprint.ts';
import { readResult } from '../result/read.ts';
import type { Result } from '../result/schema.ts';
import { resultOf } from '../runner/result-of.ts';
import { runPairs } from '../runner/run-pairs.ts';
import { type PlanOutcome, runPlan } from '../runner/run-plan.ts';
import type { RunArguments } from './arguments.ts';
import { gravest } from './gravest.ts';
import type { CommandIo } from './io.ts';
import { forget, measureInto, writeOutputs } from './measure.ts';
import { outputFolder, refuseUsed } from './output-folder.ts';
import { type Prepared, prepare } from './prepare.ts';
import { prepareBoth } from './prepare-both.ts';
import { type EarlierRuns, earlierRuns } from './resume.ts';
import { folderOf, standInBanner, tableStyle } from './show.ts';
import { gpuOf, sideOf } from './sides.ts';
import { tool } from './tool.ts';

/** The scenario's own target, and the other one of a comparison. */
interface Targets {
  own: Prepared;
  other: Prepared | null;
  warnings: string[];
}

export async function run(args: RunArguments, io: CommandIo): Promise<ExitCode> {
  try {
    return await measureAndReport(args, io);
  } catch (error) {
    // Who reads JSON gets it whatever happens; people read the sentence on stderr.
    if (args.json && error instanceof BenchError) {
      io.stdout.write(`${JSON.stringify({ exitCode: error.exitCode, error: errorJson(error) }, null, 2)}\n`);
    }
    throw error;
  }
}

async function measureAndReport(args: RunArguments, io: CommandIo): Promise<ExitCode> {
  const createdAt = new Date();
  refuseTogether(args);
  if (args.out !== null) refuseUsed(args.out);
  if (args.resume !== null) readResult(args.resume); // before a device is looked for
  const say = (line: string) => void (args.quiet || io.stderr.write(`${line}\n`));
  const targets = await prepareTargets(args, io, say);
  try {
    return await runOn(targets, createdAt, args, io);
  } finally {
    // A server that a command starts is up before there is a folder for results.
    await Promise.all([targets.own.source.close?.(), targets.other?.source.close?.()]);
  }
}

function refuseTogether({ out, resume, compare }: RunArguments): void {
  if (out !== null && resume !== null) {
    throw new BenchError('USAGE', '--out and --resume both name a folder; give one of them');
  }
  if (compare !== null && resume !== null) {
    throw new BenchError(
      'USAGE',
      '--resume goes on with a sweep of one target; a comparison (--compare) is begun anew',
    );
  }
}

async function prepareTargets(args: RunArguments, io: CommandIo, say: (line: string) => void): Promise<Targets> {
  if (args.compare === null) {
    const own = await prepare(args, io, say);
    return { own, other: null, warnings: own.warnings };
  }
  const { own, other, warnings } = await prepareBoth(args, args.compare, io, say);
  return { own, other, warnings: [...new Set([...warnings, ...own.warnings, ...other.warnings])] };
}

async function runOn({ own, other, warnings }: Targets, createdAt: Date, args: RunArguments, io: CommandIo) {
  // Before a folder for results is made, and an engine started: a model without a tokenizer has nothing to be sent.
  const [a, b] = [await sideOf(own), other === null ? null : await sideOf(other)];
  const { scenario } = own;
  const resumed = args.resume === null ? null : folderOf(args.resume);
  const earlier = resumed === null ? null : await earlierFor(resumed, own);
  const folder = resumed ?? outputFolder(args.out, scenario.name, createdAt);
  const plan = other === null ? own.plan : pairedPlan(own.plan);
  tellPlan({ own, other, warnings }, args, io);

  const identity = {
    tool: tool(),
    session: newSession(createdAt),
    createdAt,
    gpu: gpuOf(own) ?? gpuOf(other),
    warnings,
  };
  // A figure of either stand-in must never be taken for the model's.
  const planned = { ...own.plan, standIn: own.plan.standIn ?? other?.plan.standIn ?? null };
  const asResult = (outcome: PlanOutcome) => goneOn(resultOf(scenario, planned, outcome, identity), earlier);
  const { workers, selfCheck, exact, quiet } = args;
  const outcome = await measureInto({ folder, plan, asResult, resumes: earlier !== null, quiet }, io, (recording) => {
    const options = { ...recording, workers, selfCheck, exact };
    if (b !== null) return runPairs({ ...options, a, b });
    return runPlan({ ...options, ...a, ...(earlier === null ? {} : { resume: earlier.resumed }) });
  });
  if (outcome.cells.length === 0) {
    if (earlier === null) forget(folder);
    throw gravest(outcome.failures) ?? new BenchError('NO_DATA', 'nothing was measured');
  }
  return report(asResult(outcome), outcome, folder, { ...io, json: args.json });
}

function tellPlan({ own, other }: Targets, { quiet, json }: RunArguments, io: CommandIo): void {
  const lines =
    other === null ? describePlan(own.plan, own.scenario) : describePair(pairedPlan(own.plan), own.scenario, other);
  if (!quiet) (json ? io.stderr : io.stdout).write(`${lines.join('\n')}\n`);
  // Also with --quiet: a figure of a stand-in must never be taken for the model's.
  for (const { device, plan, scenario } of [own, ...(other === null ? [] : [other])]) {
    for (const line of device === null ? [] : standInBanner(plan, scenario, device)) io.stderr.write(`${line}\n`);
  }
}

function earlierFor(folder: string, prepared: Prepared): Promise<EarlierRuns> {
  const { plan, scenario } = prepared;
  const models = [...new Set(plan.cells.map(({ at }) => at.model))];
  const { target } = scenario;
  const endpoint = target.kind === 'endpoint' && target.url !== null ? { url: target.url, models } : null;
  return earlierRuns({ folder, plan, scenarioHash: scenario.hash, gpu: gpuOf(prepared), endpoint });
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

/** Writes what there is, as far as there is room, and says how it went. */
async function report(
  result: Result,
  outcome: PlanOutcome,
  folder: string,
  { stdout, stderr, env, json }: CommandIo & { json: boolean },
): Promise<ExitCode> {
  const written = await writeOutputs(folder, result);
  const failures = [...outcome.failures, ...written.failures];
  if (failures.length === 0) failures.push(...withoutAnswer(result));
  const exitCode = gravest(failures)?.exitCode ?? EXIT.done;
  const page = written.reported ? join(folder, 'report.html') : null;

  if (!json) stdout.write(`\n${summaryTable(result, tableStyle(stdout, env))}\n\n`);
  for (const { message, hint } of failures) {
    stderr.write(`bench: ${message}\n`);
    if (hint !== undefined) stderr.write(`       ${hint}\n`);
  }
  if (json)
    stdout.write(`${JSON.stringify(summaryJson(result, { exitCode, folder, report: page, failures }), null, 2)}\n`);
  else stdout.write(page === null ? `data    ${folder}\n` : `report  ${page}\n`);
  return exitCode;
}

/** One target, or either of two, that gave no answer at all was not measured. */
function withoutAnswer({ cells, targets }: Result): BenchError[] {
  const okOf = (among: Result['cells']) =>
    among.flatMap(({ runs }) => runs).reduce((sum, { counts }) => sum + counts.ok, 0);
  if (okOf(cells) === 0) return [new BenchError('NO_DATA', 'no request succeeded; the report says why')];
  const arms = new Map(targets.flatMap(({ id, arm }) => (arm === undefined ? [] : [[id, arm] as const])));
  return [...new Set(arms.values())]
    .filter((arm) => okOf(cells.filter(({ target }) => arms.get(target) === arm)) === 0)
    .map((arm) => new BenchError('NO_DATA', `no request succeeded on ${arm}; the report says why`));
}
