/**
 * argv to a command and its exit code. In: the arguments after `bench`. Out: the exit code of the command that ran.
 *
 * A scenario file alone means `run`. What is not known here is refused with the nearest name that is: a flag that was
 * ignored would be a wrong measurement. Commands are loaded when they run, so that help does not wait for charts.
 */
import { existsSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import type { WorkersOption } from '../runner/workers.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { ADAPTERS_FLAGS, adaptersCommands } from './adapters-flags.ts';
import type { RunArguments, ScenarioArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';
import { version } from './tool.ts';

/** Each has a heap of its own; more than this are no use to anybody. */
const MOST_WORKERS = 64;

const COMMANDS = ['run', 'validate', 'report', 'serve', 'adapters', 'doctor'] as const;

export async function runCommandLine(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const [first] = argv;
  // The engine reads its own flags, --help included.
  if (first === 'serve') return (await import('./serve.ts')).serve(argv.slice(1), io);
  if (argv.length === 0) {
    throw new BenchError('USAGE', 'nothing to do: give a scenario file or a command', {
      hint: 'bench --help lists them',
    });
  }
  return parse(withCommand(argv), io);
}

/** `bench FILE ..` as `bench run FILE ..`. @throws BenchError when the first word is neither a command nor a file */
function withCommand(argv: readonly string[]): string[] {
  const first = argv[0]!;
  if ((COMMANDS as readonly string[]).includes(first) || /^(--help|-h|--version)$/.test(first)) return [...argv];
  if (first.startsWith('-') || /[./\\]/.test(first) || existsSync(first)) return ['run', ...argv];
  const meant = didYouMean(first, COMMANDS);
  throw new BenchError('USAGE', `"${first}" is neither a command nor a scenario file`, {
    hint: meant === null ? `commands: ${COMMANDS.join(', ')}` : `did you mean ${meant}?`,
  });
}

async function parse(argv: string[], io: CommandIo): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  let shown = '';
  const parser = commands(yargs(argv), io, (code) => {
    exitCode = code;
  })
    .scriptName('bench')
    .usage('bench SCENARIO | COMMAND\n\nMeasures what LoRA adapters cost an LLM server.')
    .example('bench scenarios/llama8b-rank16.yaml', 'measure the bundled engine, write a report')
    .example('bench scenarios/llama8b-rank16.yaml --endpoint http://host:8000/v1', 'measure a server instead')
    .example('bench adapters make --base llama-3-8b --count 32 --out adapters', 'random adapters for any server')
    .example('bench validate scenarios/nim-lora.yaml', 'what would be run, and how long it takes')
    .epilogue('Exit codes: 0 done, 2 usage or plan error, 3 no data, 5 target died, 70 a bug of ours, 130 interrupted.')
    .parserConfiguration({ 'camel-case-expansion': false, 'parse-numbers': false, 'parse-positional-numbers': false })
    .version(version())
    .help()
    .alias('help', 'h')
    .strict()
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(Math.min(110, io.stdout.columns || 110))
    .fail((message: string | null, error: Error | undefined) => {
      // yargs hands over what commands throw, without a message, and its own complaints, with one.
      if (error !== undefined && (message === null || error instanceof BenchError)) throw error;
      throw usageError(message ?? 'the arguments cannot be read');
    });
  await parser.parseAsync(argv, {}, (_error: unknown, _argv: unknown, output: string) => {
    shown = output;
  });
  if (shown !== '') io.stdout.write(`${shown}\n`);
  return exitCode;
}

function commands(parser: Argv, io: CommandIo, done: (code: ExitCode) => void): Argv {
  return parser
    .command(
      'run <scenario>',
      'measure every cell of a scenario and write a report (the word "run" may be left out)',
      (y) => runFlags(y),
      async (flags) => done(await (await import('./run.ts')).run(runArguments(flags), io)),
    )
    .command(
      'validate <scenario>',
      'explain a scenario in words: cells, requests, time, warnings',
      (y) => scenarioFlags(y),
      async (flags) => done(await (await import('./validate.ts')).validate(scenarioArguments(flags), io)),
    )
    .command(
      'report <folder>',
      'rebuild the report of a folder from its recorded data',
      (y) =>
        y.positional('folder', { type: 'string', demandOption: true, describe: 'where result.json is' }).check(once),
      async (flags) => done(await (await import('./report.ts')).report(flags.folder, io)),
    )
    .command('serve [flags..]', 'the engine alone; `bench serve --help` lists its flags', (y) => y)
    .command('adapters', 'make adapters for a base model, or say what adapter files hold', (y) =>
      adaptersCommands(y, io, done, once),
    )
    .command(
      'doctor',
      'measure what the device the engine would run on can do, or what the client can (--client)',
      (y) =>
        y
          .option('device', { ...text, describe: 'try this one only' })
          .option('client', { type: 'boolean', default: false, describe: 'what the client adds to times, by load' })
          .option('workers', { ...text, default: 'auto', describe: 'with --client: threads that measure' })
          .check(once),
      async (flags) =>
        done(
          flags.client
            ? await (await import('./doctor-client.ts')).doctorClient(workersOf(flags.workers), io)
            : await (await import('./doctor.ts')).doctor(flags.device, io),
        ),
    );
}

const text = { type: 'string', requiresArg: true } as const;

function scenarioFlags<T>(y: Argv<T>) {
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

function runFlags<T>(y: Argv<T>) {
  return scenarioFlags(y)
    .option('device', { ...text, describe: "the engine's device: gpu, lavapipe, llvmpipe, swiftshader" })
    .option('out', { ...text, describe: 'folder for the results; reports/NAME/TIME if not given' })
    .option('resume', { ...text, describe: 'folder of a sweep that ended early: measures what is missing in it' })
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
    .option('quiet', { type: 'boolean', default: false, describe: 'no progress, only the outcome' })
    .example('bench run s.yaml --set load.concurrency=[1,8] --out results/now', 'change the sweep, choose the folder');
}

type ScenarioFlags = Awaited<ReturnType<typeof scenarioFlags>['argv']>;
type RunFlags = Awaited<ReturnType<typeof runFlags>['argv']>;

const scenarioArguments = (flags: ScenarioFlags): ScenarioArguments => ({
  scenario: flags.scenario,
  endpoint: flags.endpoint ?? null,
  model: flags.model ?? null,
  adapters:
    flags.adapters
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '') ?? null,
  allowFewer: flags['allow-fewer'],
  api: (flags.api as 'chat' | 'completions' | undefined) ?? null,
  apiKeyEnv: flags['api-key-env'] ?? null,
  adapterPath: flags['adapter-path'] ?? null,
  set: flags.set,
});

const runArguments = (flags: RunFlags): RunArguments => ({
  ...scenarioArguments(flags),
  device: flags.device ?? null,
  out: flags.out ?? null,
  resume: flags.resume ?? null,
  workers: workersOf(flags.workers),
  selfCheck: flags['self-check'],
  quiet: flags.quiet,
});

/** @throws BenchError USAGE */
function workersOf(text: string): WorkersOption {
  if (text === 'auto') return 'auto';
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_WORKERS) return count;
  throw new BenchError('USAGE', `--workers ${text}: expected auto, or a number of threads from 1 to ${MOST_WORKERS}`);
}

/** yargs makes a list of a flag that is given twice; whichever was meant, the other would be lost. */
function once(flags: Record<string, unknown>): true {
  const lists = ['set', 'files', '_'];
  const twice = Object.entries(flags).find(([key, value]) => Array.isArray(value) && !lists.includes(key));
  if (twice) throw new BenchError('USAGE', `--${twice[0]} is given twice`);
  return true;
}

const FLAGS = [
  ...['endpoint', 'model', 'adapters', 'allow-fewer', 'api', 'api-key-env', 'device', 'set', 'out', 'quiet'],
  ...['resume', 'workers', 'self-check', 'client', 'adapter-path'],
  ...ADAPTERS_FLAGS,
  ...['help', 'version'],
];

function usageError(message: string): BenchError {
  const unknown = /^Unknown arguments?: (?<names>.+)$/.exec(message)?.groups?.['names'];
  if (unknown === undefined) return new BenchError('USAGE', message, { hint: 'see bench --help' });
  const names = unknown.split(', ');
  const meant = names.map((name) => didYouMean(name, FLAGS)).find((name) => name !== null);
  const hint =
    meant === undefined || meant === null ? 'bench COMMAND --help lists what is known' : `did you mean --${meant}?`;
  return new BenchError('USAGE', `unknown: ${names.join(', ')}`, { hint });
}
