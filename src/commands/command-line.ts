/**
 * argv to a command and its exit code. In: the arguments after `bench`. Out: the exit code of the command that ran.
 *
 * A scenario file alone means `run`. What is not known here is refused with the nearest name that is: a flag that was
 * ignored would be a wrong measurement. Commands are loaded when they run, so that help does not wait for charts.
 */
import { existsSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { ADAPTERS_FLAGS, adaptersCommands } from './adapters-flags.ts';
import {
  baselineCommands,
  calibrateArguments,
  compareArguments,
  compareFlags,
  GATE_FLAGS,
  gateArguments,
  gateFlags,
} from './gate-flags.ts';
import type { CommandIo } from './io.ts';
import { otherFlagNames } from './other-flags.ts';
import {
  measuringFlags,
  once,
  runArguments,
  runFlags,
  scenarioArguments,
  scenarioFlags,
  workersOf,
} from './scenario-flags.ts';
import { version } from './tool.ts';

const COMMANDS = [
  ...([
    'run',
    'gate',
    'compare',
    'calibrate',
    'baseline',
    'validate',
    'report',
    'serve',
    'adapters',
    'doctor',
  ] as const),
] as const;

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
    .example('bench scenarios/llama8b-rank16.yaml --endpoint URL --compare URL', 'two servers, in one report')
    .example('bench gate scenarios/gate.yaml --against http://host:8001/v1', 'fail when it got slower than that server')
    .example('bench adapters make --base llama-3-8b --count 32 --out adapters', 'random adapters for any server')
    .example('bench validate scenarios/nim-lora.yaml', 'what would be run, and how long it takes')
    .epilogue(
      'Exit codes: 0 done or passed, 1 gate failed, 2 usage or plan error, 3 inconclusive or no data, 4 measurement invalid, 5 target died, 70 a bug of ours, 130 interrupted.',
    )
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
    .command(
      'compare <a> [b]',
      'two results side by side, with intervals; or the two targets of one',
      (y) => compareFlags(y).check(once),
      async (flags) => done(await (await import('./compare.ts')).compare(compareArguments(flags), io)),
    )
    .command(
      'gate <scenario>',
      'measure and judge: exit 0 when nothing got worse, 1 when something did',
      (y) => gateFlags(y),
      async (flags) => done(await (await import('./gate.ts')).gate(gateArguments(flags), io)),
    )
    .command(
      'calibrate <scenario>',
      "measure a target against itself: what this machine's noise can hide",
      (y) => measuringFlags(scenarioFlags(y)),
      async (flags) => done(await (await import('./calibrate.ts')).calibrate(calibrateArguments(flags), io)),
    )
    .command('baseline', 'keep sessions to judge later ones against, or list them', (y) =>
      baselineCommands(y, io, done, once),
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

const FLAGS = [
  ...['endpoint', 'model', 'adapters', 'allow-fewer', 'api', 'api-key-env', 'device', 'set', 'out', 'quiet'],
  ...['resume', 'workers', 'self-check', 'exact', 'json', 'client', 'adapter-path'],
  ...otherFlagNames('compare'),
  ...ADAPTERS_FLAGS,
  ...GATE_FLAGS,
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
