/** The flags of gate, calibrate, compare and baseline: argv in, what the commands are told out. */
import type { Argv } from 'yargs';
import type { ExitCode } from '../errors.ts';
import type { CompareArguments } from './compare.ts';
import type { GateArguments } from './gate-arguments.ts';
import type { CommandIo } from './io.ts';
import { otherArguments, otherFlagNames, otherFlags } from './other-flags.ts';
import {
  type MeasuringFlags,
  measuringArguments,
  measuringFlags,
  type ScenarioFlags,
  scenarioArguments,
  scenarioFlags,
} from './scenario-flags.ts';

const text = { type: 'string', requiresArg: true } as const;

export const GATE_FLAGS = [...otherFlagNames('against'), 'baseline', 'folder'];

export function gateFlags<T>(y: Argv<T>) {
  return measuringFlags(otherFlags(scenarioFlags(y), 'against', 'judge beside this server, run against run'))
    .option('baseline', { ...text, describe: 'judge by the sessions kept in this file (bench baseline list)' })
    .example('bench gate scenarios/gate.yaml --against base.yaml', 'against the target that a file names')
    .example(
      'bench gate scenarios/gate.yaml --baseline "reports/baselines/gate@1a2b3c4d.json"',
      'against kept sessions',
    );
}

type GateFlags = Awaited<ReturnType<typeof gateFlags>['argv']>;

export const gateArguments = (flags: GateFlags): GateArguments => ({
  ...scenarioArguments(flags),
  ...measuringArguments(flags),
  against: otherArguments(flags, 'against'),
  baseline: flags.baseline ?? null,
});

export const calibrateArguments = (flags: ScenarioFlags & MeasuringFlags): GateArguments => ({
  ...scenarioArguments(flags),
  ...measuringArguments(flags),
  against: null,
  baseline: null,
});

export function compareFlags<T>(y: Argv<T>) {
  return y
    .positional('a', {
      type: 'string',
      demandOption: true,
      describe: 'result.json, its folder, or a pattern in quotes',
    })
    .positional('b', { type: 'string', describe: 'likewise; left out, the two targets of A are compared' })
    .option('out', { ...text, describe: 'folder for compare.html, compare.md and compare.json' })
    .example('bench compare "reports/s/2026-11-*" reports/s/2026-12-01T10-00-00Z', 'a session against several');
}

type CompareFlags = Awaited<ReturnType<typeof compareFlags>['argv']>;

export const compareArguments = ({ a, b, out }: CompareFlags): CompareArguments => ({
  a,
  b: b ?? null,
  out: out ?? null,
});

type Once = (flags: Record<string, unknown>) => true;

export function baselineCommands(y: Argv, io: CommandIo, done: (code: ExitCode) => void, once: Once): Argv {
  const folder = { ...text, describe: 'where they are kept; reports/baselines if not given' } as const;
  return y
    .command(
      'add <files..>',
      'keep these results, each one session of an unchanged server',
      (sub) =>
        sub
          .positional('files', { type: 'string', array: true, demandOption: true, describe: 'folders of results' })
          .option('folder', folder)
          .check(once),
      async (flags) => done((await import('./baseline.ts')).baselineAdd(flags.files, flags.folder, io)),
    )
    .command(
      'list',
      'what is kept, and whether it is enough to judge by',
      (sub) => sub.option('folder', folder).check(once),
      async (flags) => done((await import('./baseline.ts')).baselineList(flags.folder, io)),
    )
    .demandCommand(1, 1, 'bench baseline: expected add or list');
}
