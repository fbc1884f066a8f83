/** The flags of commands that take a scenario, and of those that measure it: argv in, what the commands are told out. */
import type { Argv } from 'yargs';
import { BenchError } from '../errors.ts';
import type { WorkersOption } from '../runner/workers.ts';
import type { RunArguments, ScenarioArguments } from './arguments.ts';
import { listed, otherArguments, otherFlags } from './other-flags.ts';

/** Each has a heap of its own; more than this are no use to anybody. */
const MOST_WORKERS = 64;

const text = { type: 'string', requiresArg: true } as const;

export function scenarioFlags<T>(y: Argv<T>) {
  return y
    .positional('scenario', { type: 'string', demandOption: true, describe: 'scenario file (YAML)' })
    .option('endpoint', { ...text, describe: 'measure this server instead: base URL, such as http://host:8000/v1' })
    .option('model', { ...text, describe: "the endpoint's model; its only one if not given" })
    .option('adapters', { ...text, describe: "the endpoint's adapters to use, separated by commas" })
    .option('allow-fewer', {
      type: 'boolean',
      default: false,
      describe: 'leave out cells with more adapters than it has',
    })
    .option('api', { ...text, choices: ['chat', 'completions'] as const, describe: "which of the endpoint's APIs" })
    .option('adapter-path', {
      ...text,
      describe: "folder on the endpoint's file system: adapters that it lacks are loaded from FOLDER/NAME",
    })
    .option('api-key-env', { ...text, describe: 'environment variable that holds its API key' })
    .option('set', {
      ...text,
      array: true,
      nargs: 1,
      default: [],
      describe: 'path=value, over the file; may be repeated',
    })
    .check(once);
}

/** How it is measured, whatever is done with it afterwards. */
export function measuringFlags<T>(y: Argv<T>) {
  return y
    .option('device', { ...text, describe: "the engine's device: gpu, lavapipe, llvmpipe, swiftshader" })
    .option('out', { ...text, describe: 'folder for the results; reports/NAME/TIME if not given' })
    .option('workers', {
      ...text,
      default: 'auto',
      describe: 'threads that measure: a number, or auto (100 streams each)',
    })
    .option('self-check', {
      type: 'boolean',
      default: true,
      describe: 'find out first what this client adds to times (two seconds); --no-self-check leaves it out',
    })
    .option('quiet', { type: 'boolean', default: false, describe: 'no progress, only the outcome' });
}

export function runFlags<T>(y: Argv<T>) {
  return measuringFlags(otherFlags(scenarioFlags(y), 'compare', 'measure another server beside it, run against run'))
    .option('resume', { ...text, describe: 'folder of a sweep that ended early: measures what is missing in it' })
    .option('exact', {
      type: 'boolean',
      default: false,
      describe: "count the engine's work too: dispatches, bytes and padding of a fixed set of requests in each cell",
    })
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'one JSON document on stdout at the end, and nothing else there; progress stays on stderr',
    })
    .example('bench run s.yaml --json | jq .cells[].costOfAdapters', 'figures for a script')
    .example('bench run s.yaml --set load.concurrency=[1,8] --out results/now', 'change the sweep, choose the folder');
}

export type ScenarioFlags = Awaited<ReturnType<typeof scenarioFlags>['argv']>;
type RunFlags = Awaited<ReturnType<typeof runFlags>['argv']>;
export type MeasuringFlags = Awaited<ReturnType<typeof measuringFlags>['argv']>;

export const scenarioArguments = (flags: ScenarioFlags): ScenarioArguments => ({
  scenario: flags.scenario,
  endpoint: flags.endpoint ?? null,
  model: flags.model ?? null,
  adapters: listed(flags.adapters),
  allowFewer: flags['allow-fewer'],
  api: (flags.api as 'chat' | 'completions' | undefined) ?? null,
  apiKeyEnv: flags['api-key-env'] ?? null,
  adapterPath: flags['adapter-path'] ?? null,
  set: flags.set,
});

export const measuringArguments = (flags: MeasuringFlags) => ({
  device: flags.device ?? null,
  out: flags.out ?? null,
  workers: workersOf(flags.workers),
  selfCheck: flags['self-check'],
  quiet: flags.quiet,
});

export const runArguments = (flags: RunFlags): RunArguments => ({
  ...scenarioArguments(flags),
  ...measuringArguments(flags),
  compare: otherArguments(flags, 'compare'),
  resume: flags.resume ?? null,
  exact: flags.exact,
  json: flags.json,
});

/** @throws BenchError USAGE */
export function workersOf(text: string): WorkersOption {
  if (text === 'auto') return 'auto';
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_WORKERS) return count;
  throw new BenchError('USAGE', `--workers ${text}: expected auto, or a number of threads from 1 to ${MOST_WORKERS}`);
}

/** yargs makes a list of a flag that is given twice; whichever was meant, the other would be lost. */
export function once(flags: Record<string, unknown>): true {
  const lists = ['set', 'files', '_'];
  const twice = Object.entries(flags).find(([key, value]) => Array.isArray(value) && !lists.includes(key));
  if (twice) throw new BenchError('USAGE', `--${twice[0]} is given twice`);
  return true;
}
