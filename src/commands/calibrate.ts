/**
 * `bench calibrate`: what this machine's noise can hide. The scenario's own target is measured against itself, in the pairs and by the
 * order a gate would use, and judged as a gate judges.
 *
 * Out, for each threshold: how much pairs of the same server differ, whether coming second matters, what a gate would detect after
 * each look, and the tolerance it could hold; and how often a gate would have failed this unchanged server. Kept beside the
 * baselines, where `bench gate` finds it and refuses what the machine cannot show.
 */
import { join } from 'node:path';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { capabilityOf, type ThresholdCapability } from '../gate/capability.ts';
import type { CheckedThreshold, PairedRuns } from '../gate/judgement.ts';
import { falseAlarmsBySwapping } from '../gate/sign-flipped.ts';
import { differencesOf, LEAST_FOR_SPREAD, spreadOf } from '../gate/spread.ts';
import { changeText } from '../gate/words.ts';
import { describePlan } from '../plan/describe.ts';
import { pairedPlan } from '../plan/pairs.ts';
import {
  CALIBRATION_FORMAT,
  type CalibratedThreshold,
  type CalibrationFile,
  writeCalibration,
} from '../result/calibration-file.ts';
import { newSession } from '../result/fingerprint.ts';
import type { Result } from '../result/schema.ts';
import { resultOf } from '../runner/result-of.ts';
import { type PairsOutcome, runPairs } from '../runner/run-pairs.ts';
import { meanBounds } from '../stats/one-sided.ts';
import type { GateArguments } from './gate-arguments.ts';
import { factsOf } from './gate-judge.ts';
import { type GatePlan, planCalibration } from './gate-plan.ts';
import type { CommandIo } from './io.ts';
import { forget, measureInto, writeOutputs } from './measure.ts';
import { outputFolder, refuseUsed } from './output-folder.ts';
import { standInBanner } from './show.ts';
import { gpuOf, sideOf } from './sides.ts';
import { tool } from './tool.ts';

/** Of the two-sided interval of the bias. */
const BIAS_LEVEL = 0.005;

export async function calibrate(args: GateArguments, io: CommandIo): Promise<ExitCode> {
  const createdAt = new Date();
  if (args.out !== null) refuseUsed(args.out);
  const say = (line: string) => void (args.quiet || io.stderr.write(`${line}\n`));
  const planned = await planCalibration(args, io, say);
  try {
    return await calibrateOn(planned, createdAt, args, io);
  } finally {
    await planned.candidate.source.close?.();
  }
}

async function calibrateOn(planned: GatePlan, createdAt: Date, args: GateArguments, io: CommandIo): Promise<ExitCode> {
  const { candidate } = planned;
  const { scenario, device } = candidate;
  const side = await sideOf(candidate);
  const plan = pairedPlan(candidate.plan);
  if (!args.quiet) io.stdout.write(`${[...describePlan(plan, scenario), ...planned.lines].join('\n')}\n`);
  for (const line of device === null ? [] : standInBanner(plan, scenario, device)) io.stderr.write(`${line}\n`);
  const folder = outputFolder(args.out, scenario.name, createdAt);
  const identity = {
    tool: tool(),
    session: newSession(createdAt),
    createdAt,
    gpu: gpuOf(candidate),
    warnings: planned.warnings,
  };
  const asResult = (outcome: PairsOutcome) => resultOf(scenario, candidate.plan, outcome, identity);
  const { workers, selfCheck, quiet } = args;
  const outcome = await measureInto<PairsOutcome>({ folder, plan, asResult, resumes: false, quiet }, io, (recording) =>
    runPairs({ ...recording, workers, selfCheck, a: side, b: null }),
  );
  if (outcome.cells.length === 0) {
    forget(folder);
    throw outcome.failures[0] ?? new BenchError('NO_DATA', 'nothing was measured');
  }
  const result = asResult(outcome);
  const { failures, reported } = await writeOutputs(folder, result);
  const [gravest] = [...outcome.failures, ...failures];
  if (gravest !== undefined) throw gravest; // half a calibration would promise what was not seen
  const file = calibrationOf(planned, result, outcome.pairs);
  io.stdout.write(`\n${linesOf(file).join('\n')}\n\nkept in ${writeCalibration(file)}\n`);
  if (reported) io.stdout.write(`report  ${join(folder, 'report.html')}\n`);
  return EXIT.done;
}

/** @throws BenchError NO_DATA where too few pairs could be used to say anything */
function calibrationOf(planned: GatePlan, result: Result, pairs: readonly PairedRuns[]): CalibrationFile {
  const { gate, looks, thresholds, candidate } = planned;
  const relative = thresholds.filter(({ threshold }) => threshold.rule.kind === 'relative');
  const spread = spreadOf(relative, pairs);
  const able = capabilityOf(thresholds, spread, { looks, alpha: gate.alpha }, 'these runs');
  const calibrated = relative.flatMap((checked) => {
    const capable = able.thresholds.find(({ id }) => id === checked.id);
    return capable === undefined ? [] : [calibratedThreshold(checked, pairs, capable)];
  });
  if (calibrated.length === 0) {
    throw new BenchError('NO_DATA', `fewer than ${LEAST_FOR_SPREAD} pairs have a figure for any relative threshold`);
  }
  const facts = factsOf(candidate);
  const { share, times } = falseAlarmsBySwapping({
    mode: 'interleaved',
    thresholds,
    pairs,
    down: { A: null, B: null },
    arms: { A: facts, B: facts },
    look: 0,
    looks,
    alpha: gate.alpha,
    final: true,
    onInconclusive: 'fail',
  });
  return {
    format: CALIBRATION_FORMAT,
    scenario: result.scenario.name,
    planHash: result.planHash,
    machineId: result.machine.id,
    createdAt: result.createdAt,
    session: result.session,
    alpha: gate.alpha,
    looks: [...looks],
    falseAlarms: { share, gates: times },
    thresholds: calibrated,
  };
}

function calibratedThreshold(
  checked: CheckedThreshold,
  pairs: readonly PairedRuns[],
  { sd, tolerance, detects, byLook, leastTolerance }: ThresholdCapability,
): CalibratedThreshold {
  const { id, cell, threshold } = checked;
  const differences = differencesOf(checked, pairs.map(secondAsB));
  const { mean, lower, upper } = meanBounds(differences, BIAS_LEVEL);
  return {
    id,
    threshold: threshold.text,
    cell,
    pairs: differences.length,
    sd,
    bias: mean,
    biasInterval: [lower, upper],
    tolerance,
    detects,
    byLook,
    suggested: roundedUp(leastTolerance),
  };
}

/** In half of the pairs A came second: for what coming second does, whichever came second is B. */
const secondAsB = (pair: PairedRuns): PairedRuns => {
  const { a, b } = pair;
  return a !== null && b !== null && a.order > b.order ? { ...pair, a: b, b: a } : pair;
};

/** To a whole percent, as people write tolerances; below one, to a tenth. */
const roundedUp = (share: number): number =>
  share < 0.01 ? Math.ceil(1000 * share) / 1000 : Math.ceil(100 * share) / 100;

function linesOf({ thresholds, falseAlarms, looks, alpha }: CalibrationFile): string[] {
  const rows = thresholds.map(({ threshold, cell, sd, bias, biasInterval, tolerance, byLook, suggested }) => {
    const biased = biasInterval[0] > 0 || biasInterval[1] < 0;
    const holds = suggested <= tolerance;
    return [
      threshold,
      cell,
      `${(100 * sd).toFixed(2)}%`,
      `${changeText(Math.expm1(bias))}${biased ? ' (coming second matters)' : ''}`,
      byLook.map(({ detects }) => `${(100 * detects).toFixed(detects < 0.1 ? 1 : 0)}%`).join(', '),
      `${Number((100 * suggested).toPrecision(3))}%`,
      holds ? 'holds' : 'too tight for this machine',
    ];
  });
  const detects = `detects by ${looks.join(', ')} pairs`;
  const heads = ['threshold', 'cell', 'pairs differ by', 'order bias', detects, 'least tolerance', 'as written'];
  const table = [heads, ...rows];
  const widths = heads.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  return [
    ...table.map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    '',
    `Of ${falseAlarms.gates} gates on this unchanged server (pairs swapped at random, looks after ${looks.join(', ')}), ${(100 * falseAlarms.share).toFixed(1)}% failed; ${Number((100 * alpha).toPrecision(2))}% may.`,
    'What is detected fails in four of five gates. The least tolerance is the one of which twice as much is detected.',
  ];
}
