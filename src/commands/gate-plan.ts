/**
 * A gate before it runs: its thresholds against the plan of the candidate, what it is judged against, how often it looks, and what it
 * can detect on this machine. In: arguments. Out: GatePlan; or an error, before any server is asked for more than what it is.
 */
import { BenchError } from '../errors.ts';
import {
  type Capability,
  capabilityOf,
  detectsText,
  type ThresholdCapability,
  twiceToleranceText,
} from '../gate/capability.ts';
import { checkPlan } from '../gate/check-plan.ts';
import type { BaselineSession, CheckedThreshold, GateMode } from '../gate/judgement.ts';
import { thresholdsOf } from '../gate/threshold.ts';
import { readBaseline } from '../result/baseline-file.ts';
import { readCalibration } from '../result/calibration-file.ts';
import { machineOf } from '../result/fingerprint.ts';
import { readScenario, resolveScenario } from '../scenario/load.ts';
import type { Scenario, ScenarioGate } from '../scenario/scenario.ts';
import { humanDuration } from '../scenario/units.ts';
import type { GateArguments } from './gate-arguments.ts';
import type { CommandIo } from './io.ts';
import { isEndpoint, prepare } from './prepare.ts';
import { prepareBoth } from './prepare-both.ts';
import type { Prepared } from './prepared.ts';
import { gpuOf } from './sides.ts';

export interface GatePlan {
  mode: GateMode;
  gate: ScenarioGate;
  candidate: Prepared;
  /** null where the candidate is measured alone. */
  reference: Prepared | null;
  baseline: readonly BaselineSession[];
  thresholds: readonly CheckedThreshold[];
  /** Pairs (without a reference: runs) after which is looked. */
  looks: readonly number[];
  /** The engine's work has to be counted. */
  exact: boolean;
  /** How the two are called in outputs. */
  words: { candidate: string; reference: string | null };
  /** For the plan as it is told. */
  lines: string[];
  warnings: string[];
}

/** @throws BenchError USAGE, SCENARIO_INVALID, PLAN_INVALID, and whatever preparing either target may throw */
export async function planGate(args: GateArguments, io: CommandIo, say: (line: string) => void): Promise<GatePlan> {
  if (args.against !== null && args.baseline !== null) {
    throw new BenchError('USAGE', '--against and --baseline both say what to judge by; give one of them');
  }
  const asWritten = scenarioOf(args); // before a device is looked for or a server asked
  const gate = gateOf(asWritten);
  const mode: GateMode = args.against !== null ? 'interleaved' : args.baseline !== null ? 'baseline' : 'absolute';
  const thresholds = thresholdsOf(asWritten);
  const baseline = args.baseline === null ? [] : readBaseline(args.baseline).sessions;
  const looks = mode === 'interleaved' ? looksOf(gate, thresholds) : null;
  const set = looks === null ? args.set : [...args.set, `measure.repeats=${looks.at(-1)}`];
  const { candidate, reference, warnings } = await prepared({ ...args, set }, io, say);
  try {
    const { file } = candidate.scenario;
    const checked = checkPlan(thresholds, candidate.plan, { mode, file });
    const repeats = Math.max(1, ...candidate.plan.runs.map(({ replicate }) => replicate + 1));
    const known = { mode, gate, looks: looks ?? [repeats], thresholds: checked.thresholds };
    const capability = calibrated(candidate, known);
    refuseUndetectable(capability, checked.thresholds);
    return {
      ...known,
      candidate,
      reference,
      baseline,
      exact: thresholds.some(({ rule }) => rule.kind === 'exact'),
      words: {
        candidate: targetWords(candidate),
        reference:
          reference === null
            ? args.baseline === null
              ? null
              : `${baseline.length} kept sessions`
            : targetWords(reference),
      },
      lines: [...gateLines(known, candidate, capability), ...checked.warnings.map((warning) => `Warning: ${warning}.`)],
      warnings: [...new Set([...warnings, ...checked.warnings])],
    };
  } catch (error) {
    await Promise.all([candidate.source.close?.(), reference?.source.close?.()]);
    throw error;
  }
}

/** The scenario's target against itself, in as many pairs as a gate may take. @throws as planGate does */
export async function planCalibration(
  args: GateArguments,
  io: CommandIo,
  say: (line: string) => void,
): Promise<GatePlan> {
  const asWritten = scenarioOf(args);
  const gate = gateOf(asWritten);
  const relative = thresholdsOf(asWritten).filter(({ rule }) => rule.kind === 'relative');
  if (relative.length === 0) {
    throw new BenchError('SCENARIO_INVALID', 'there is nothing to calibrate: no threshold compares with a reference', {
      hint: 'such as gate: {thresholds: [{metric: tpot.p50, max_increase: 5%}]}',
    });
  }
  const { looks } = gate;
  const candidate = await prepare({ ...args, set: [...args.set, `measure.repeats=${looks.at(-1)}`] }, io, say);
  try {
    const { thresholds, warnings } = checkPlan(relative, candidate.plan, {
      mode: 'interleaved',
      file: candidate.scenario.file,
    });
    const words = targetWords(candidate);
    return {
      ...{ mode: 'interleaved', gate, candidate, reference: null, baseline: [], thresholds, looks, exact: false },
      words: { candidate: words, reference: words },
      lines: [`Calibration: the target against itself, ${looks.at(-1)} pairs of runs a cell.`],
      warnings: [...new Set([...candidate.warnings, ...warnings])],
    };
  } catch (error) {
    await candidate.source.close?.();
    throw error;
  }
}

function scenarioOf(args: GateArguments): Scenario {
  const source = readScenario(args.scenario);
  const endpoint = isEndpoint(source, args);
  const url = args.endpoint === null ? {} : { url: args.endpoint };
  return resolveScenario(source, {
    withoutGpu: false,
    endpoint: endpoint && args.endpoint !== null,
    ...url,
    set: args.set,
  });
}

function gateOf({ gate, file, name }: Scenario): ScenarioGate {
  if (gate !== null) return gate;
  throw new BenchError('SCENARIO_INVALID', `${file ?? name} has no gate: there is nothing to judge by`, {
    hint: 'say what must hold, such as gate: {thresholds: [{metric: tpot.p50, max_increase: 5%}]}',
  });
}

/** Counters alone need one pair: there is no noise in them. */
const looksOf = ({ looks }: ScenarioGate, thresholds: ReturnType<typeof thresholdsOf>): readonly number[] =>
  thresholds.length > 0 && thresholds.every(({ rule }) => rule.kind === 'exact') ? [1] : looks;

async function prepared(args: GateArguments, io: CommandIo, say: (line: string) => void) {
  if (args.against === null) {
    const candidate = await prepare(args, io, say);
    return { candidate, reference: null, warnings: candidate.warnings };
  }
  const { own, other, warnings } = await prepareBoth(args, args.against, io, say);
  return { candidate: own, reference: other, warnings: [...warnings, ...own.warnings, ...other.warnings] };
}

function targetWords({ scenario: { target }, device }: Prepared): string {
  if (target.kind === 'engine') return device === null ? 'the engine' : `the engine on ${device.name}`;
  return target.url ?? 'the endpoint';
}

type Known = Pick<GatePlan, 'mode' | 'gate' | 'looks' | 'thresholds'>;

/** What this gate can detect here, by an earlier calibration of the same plan; null without one. */
function calibrated(candidate: Prepared, { mode, gate, looks, thresholds }: Known): Capability | null {
  if (mode !== 'interleaved') return null;
  const machineId = machineOf(gpuOf(candidate)).id;
  const { name } = candidate.scenario;
  const calibration = readCalibration({ scenario: name, planHash: candidate.plan.hash, machineId });
  if (calibration === null) return null;
  const spread = new Map(calibration.thresholds.map(({ id, sd }) => [id, sd]));
  return capabilityOf(thresholds, spread, { looks, alpha: gate.alpha }, 'calibration');
}

/** A tolerance that this machine cannot show would end as inconclusive, time after time, or promise what it does not hold. */
function refuseUndetectable(capability: Capability | null, thresholds: readonly CheckedThreshold[]): void {
  const lines = (capability?.thresholds ?? []).flatMap((able) => {
    const one = thresholds.find((checked) => checked.id === able.id);
    if (one?.gating !== true || able.pairsNeeded === null) return [];
    const differ = `pairs of one server differ by ${(100 * able.sd).toFixed(1)}% here`;
    const twice = `${twiceToleranceText(able)} would take ${able.pairsNeeded}`;
    const detected = `${capability?.pairs} of them detect ${detectsText(able)}, and ${twice}`;
    return [`${one.threshold.text} in ${one.cell}: ${differ}, so that ${detected}`];
  });
  if (lines.length === 0) return;
  throw new BenchError('PLAN_INVALID', `this machine cannot show what the gate asks for:\n  ${lines.join('\n  ')}`, {
    hint: 'widen the tolerance (bench calibrate says which holds), make runs longer, give more pairs (gate.looks), or only show it: severity: report',
  });
}

function gateLines(
  { mode, gate, looks, thresholds }: Known,
  { plan }: Prepared,
  capability: Capability | null,
): string[] {
  const gating = thresholds.filter(({ gating: is }) => is).length;
  const shown = thresholds.length - gating;
  const level = `${Number((100 * gate.alpha).toPrecision(2))}%`;
  const { seconds } = plan.estimate;
  const worst = mode !== 'interleaved' || seconds === null ? '' : `, ${humanDuration(2 * seconds * 1000)} at most`;
  const how =
    mode === 'interleaved'
      ? `pairs of runs, looked at after ${looks.join(', ')}${worst}`
      : mode === 'baseline'
        ? 'kept sessions, one look'
        : 'limits alone';
  return [
    `Gate: ${gating} thresholds x cells${shown === 0 ? '' : ` and ${shown} that ${shown === 1 ? 'is' : 'are'} only shown`}, by ${how}; an unchanged candidate fails with ${level} probability at most.`,
    ...(capability === null
      ? uncalibrated(mode, thresholds)
      : capability.thresholds.map((one) => capabilityLine(one, thresholds))),
  ];
}

const uncalibrated = (mode: GateMode, thresholds: readonly CheckedThreshold[]): string[] =>
  mode === 'interleaved' && thresholds.some(({ threshold }) => threshold.rule.kind === 'relative')
    ? ['What it can detect here is not known before: bench calibrate finds out; the verdict tells it by its own runs.']
    : [];

function capabilityLine(able: ThresholdCapability, thresholds: readonly CheckedThreshold[]): string {
  const one = thresholds.find(({ id }) => id === able.id);
  return `  ${one?.threshold.text} in ${one?.cell}: detects ${detectsText(able)} in four of five gates.`;
}
