/**
 * `bench gate`: measure, judge, and fail a build when it got worse, and only then.
 *
 *   thresholds  parsed and checked against the plan before anything runs; what they can detect is told
 *   measure     pairs of runs with a reference (--against), or the candidate alone (--baseline, or limits only)
 *   judge       gate/judge.ts, at looks that were fixed before; it may end the measurement early
 *   tell        verdict.json, junit.xml, summary.md, the report; annotations and a summary where GitHub runs it
 *
 * The scenario's own target is the candidate. The exit code is the verdict's: nothing that is missing, broken or undecided is a pass.
 */
import { join } from 'node:path';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { candidateAlone } from '../gate/candidate-alone.ts';
import { type VerdictFile, verdictFile } from '../gate/verdict-file.ts';
import { describePair, describePlan } from '../plan/describe.ts';
import { pairedPlan } from '../plan/pairs.ts';
import { annotations, writeJobSummary } from '../report/gate/github.ts';
import { junitXml } from '../report/gate/junit.ts';
import { summaryMarkdown } from '../report/gate/markdown.ts';
import { verdictText } from '../report/gate/terminal.ts';
import { newSession } from '../result/fingerprint.ts';
import type { Result } from '../result/schema.ts';
import { writeWhole } from '../result/write.ts';
import { resultOf } from '../runner/result-of.ts';
import { type PairsOutcome, runPairs } from '../runner/run-pairs.ts';
import { runPlan } from '../runner/run-plan.ts';
import type { GateArguments } from './gate-arguments.ts';
import { GateJudge } from './gate-judge.ts';
import { type GatePlan, planGate } from './gate-plan.ts';
import type { CommandIo } from './io.ts';
import { forget, measureInto, writeOutputs } from './measure.ts';
import { outputFolder, refuseUsed } from './output-folder.ts';
import { standInBanner, tableStyle } from './show.ts';
import { gpuOf, sideOf } from './sides.ts';
import { tool } from './tool.ts';

export async function gate(args: GateArguments, io: CommandIo): Promise<ExitCode> {
  const createdAt = new Date();
  if (args.out !== null) refuseUsed(args.out);
  const say = (line: string) => void (args.quiet || io.stderr.write(`${line}\n`));
  const planned = await planGate(args, io, say);
  try {
    return await gateOn(planned, createdAt, args, io);
  } finally {
    await Promise.all([planned.candidate.source.close?.(), planned.reference?.source.close?.()]);
  }
}

async function gateOn(planned: GatePlan, createdAt: Date, args: GateArguments, io: CommandIo): Promise<ExitCode> {
  const { candidate, reference, exact, looks } = planned;
  const { scenario } = candidate;
  const [b, a] = [await sideOf(candidate), reference === null ? null : await sideOf(reference)];
  tellPlan(planned, args, io);
  const folder = outputFolder(args.out, scenario.name, createdAt);
  const identity = {
    tool: tool(),
    session: newSession(createdAt),
    createdAt,
    gpu: gpuOf(candidate) ?? gpuOf(reference),
    warnings: planned.warnings,
  };
  const standIn = candidate.plan.standIn ?? reference?.plan.standIn ?? null;
  const asResult = (outcome: PairsOutcome) => resultOf(scenario, { ...candidate.plan, standIn }, outcome, identity);
  const judging = new GateJudge(planned);
  const plan = reference === null ? candidate.plan : pairedPlan(candidate.plan);
  const { workers, selfCheck, quiet } = args;
  const outcome = await measureInto<PairsOutcome>(
    { folder, plan, asResult, resumes: false, quiet },
    io,
    async (recording) => {
      const options = { ...recording, workers, selfCheck, exact };
      if (a !== null) return runPairs({ ...options, a, b, looks, judge: (pairs, look) => judging.look(pairs, look) });
      return asPairs(await runPlan({ ...options, ...b, onRun: (measured) => recording.onRun(asPairs(measured)) }));
    },
  );
  if (outcome.cells.length === 0) forget(folder);
  return conclude({ planned, judging, outcome, result: asResult(outcome), folder }, io);
}

interface Concluding {
  planned: GatePlan;
  judging: GateJudge;
  outcome: PairsOutcome;
  result: Result;
  folder: string;
}

/** The candidate alone, as pairs without a reference. */
const asPairs = (outcome: Awaited<ReturnType<typeof runPlan>>): PairsOutcome => ({
  ...outcome,
  pairs: candidateAlone(outcome.cells),
  sides: {
    A: { failures: [], deaths: 0, lost: null },
    B: { failures: outcome.failures, deaths: 0, lost: deathOf(outcome.failures) },
  },
  decidedAtLook: null,
});

const deathOf = (failures: readonly BenchError[]): string | null =>
  failures.find(({ code }) => code === 'TARGET_DIED' || code === 'TARGET_UNREACHABLE')?.message ?? null;

async function conclude({ planned, judging, outcome, result, folder }: Concluding, io: CommandIo): Promise<ExitCode> {
  const judgement = judging.conclude(outcome);
  const interrupted = outcome.failures.some(({ code }) => code === 'INTERRUPTED');
  const bug = outcome.failures.find(({ code }) => code === 'BUG');
  if (bug !== undefined) throw bug;
  const file = verdictFile({
    judgement,
    ...(interrupted ? { exitCode: EXIT.interrupted } : {}),
    plannedCells: planned.candidate.plan.cells,
    tool: { name: result.tool.name, version: result.tool.version },
    scenario: { name: result.scenario.name, file: planned.candidate.scenario.file },
    session: result.session,
    createdAt: result.createdAt,
    mode: planned.mode,
    candidate: planned.words.candidate,
    reference: planned.words.reference,
    result: folder,
    planHash: result.planHash,
    alpha: planned.gate.alpha,
    looks: [...planned.looks],
    onInconclusive: planned.gate.onInconclusive,
    warnings: [...new Set([...planned.warnings, ...outcome.warnings])],
    capability: judging.capability(outcome.pairs),
  });
  return tell(file, result, outcome, folder, io);
}

async function tell(
  file: VerdictFile,
  result: Result,
  outcome: PairsOutcome,
  folder: string,
  io: CommandIo,
): Promise<ExitCode> {
  const failures = [...outcome.failures];
  let reported = false;
  if (outcome.cells.length > 0) {
    const written = await writeOutputs(folder, result, file);
    failures.push(...written.failures);
    reported = written.reported;
    failures.push(...writeVerdict(folder, file));
  }
  io.stdout.write(`\n${verdictText(file, tableStyle(io.stdout, io.env))}\n\n`);
  if (io.env['GITHUB_ACTIONS'] === 'true') {
    for (const line of annotations(file)) io.stdout.write(`${line}\n`);
    writeJobSummary(file, io.env['GITHUB_STEP_SUMMARY']);
  }
  for (const { message, hint } of failures) {
    io.stderr.write(`bench: ${message}\n`);
    if (hint !== undefined) io.stderr.write(`       ${hint}\n`);
  }
  if (reported) io.stdout.write(`report  ${join(folder, 'report.html')}\n`);
  if (outcome.cells.length > 0) io.stdout.write(`verdict ${join(folder, 'verdict.json')}\n`);
  // What could not be written is no pass either: whoever reads the files finds none.
  const unwritten = failures.find(({ code }) => code === 'OUTPUT_DISK_FULL' || code === 'OUTPUT_NOT_WRITABLE');
  return file.exitCode === EXIT.done && unwritten !== undefined ? unwritten.exitCode : file.exitCode;
}

function writeVerdict(folder: string, file: VerdictFile): BenchError[] {
  const files: [string, string][] = [
    ['verdict.json', `${JSON.stringify(file, null, 2)}\n`],
    ['junit.xml', junitXml(file)],
    ['summary.md', summaryMarkdown(file)],
  ];
  return files.flatMap(([name, text]) => {
    try {
      writeWhole(join(folder, name), text);
      return [];
    } catch (error) {
      if (error instanceof BenchError && error.code !== 'BUG') return [error];
      throw error;
    }
  });
}

function tellPlan(planned: GatePlan, { quiet }: GateArguments, io: CommandIo): void {
  const { candidate, reference } = planned;
  const { plan: own, scenario: written } = candidate;
  const lines =
    reference === null
      ? describePlan(own, written)
      : describePair(pairedPlan(own), written, reference, 'A, the reference; the target above is B, the candidate');
  if (!quiet) io.stdout.write(`${[...lines, ...planned.lines].join('\n')}\n`);
  // Both may be the same engine on the same device, and then have the same to say.
  const banners = [candidate, reference].flatMap((prepared) =>
    prepared === null || prepared.device === null
      ? []
      : standInBanner(prepared.plan, prepared.scenario, prepared.device),
  );
  for (const line of new Set(banners)) io.stderr.write(`${line}\n`);
}
