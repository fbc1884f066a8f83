/** The flags of `bench adapters make` and `bench adapters inspect`: argv in, what the commands are told out. */
import type { Argv } from 'yargs';
import { BenchError, type ExitCode } from '../errors.ts';
import type { InspectArguments } from './adapters-inspect.ts';
import type { MakeArguments } from './adapters-make.ts';
import type { CommandIo } from './io.ts';

const text = { type: 'string', requiresArg: true } as const;
const BASE = 'preset (llama-3-8b), stand-in (llama-3-8b@1/8), or Hugging Face folder';

export const ADAPTERS_FLAGS = [
  ...['base', 'rank', 'count', 'format', 'kind', 'modules', 'scale', 'seed', 'names', 'out', 'json'],
];

export function adaptersCommands(y: Argv, io: CommandIo, done: (code: ExitCode) => void, once: Once): Argv {
  return y
    .command(
      'make',
      'write random adapters that fit a base model, and say how servers load them',
      (sub) => makeFlags(sub).check(once),
      async (flags) => done(await (await import('./adapters-make.ts')).makeAdapters(makeArguments(flags), io)),
    )
    .command(
      'inspect <files..>',
      'say what adapters hold and whether they would load: exit 0 when all would, 2 when not',
      (sub) => inspectFlags(sub).check(once),
      async (flags) => done(await (await import('./adapters-inspect.ts')).inspectAdapters(inspectArguments(flags), io)),
    )
    .demandCommand(1, 1, 'bench adapters: expected make or inspect');
}

type Once = (flags: Record<string, unknown>) => true;

function makeFlags<T>(y: Argv<T>) {
  return y
    .option('base', { ...text, demandOption: true, describe: `model that they fit: ${BASE}` })
    .option('out', { ...text, demandOption: true, describe: 'folder that gets a folder for each adapter' })
    .option('rank', { ...text, default: '16', describe: 'rank of each' })
    .option('count', { ...text, default: '1', describe: 'how many' })
    .option('format', { ...text, choices: ['peft', 'nemo'] as const, default: 'peft' as const, describe: 'of files' })
    .option('kind', {
      ...text,
      choices: ['lora', 'dora', 'vera', 'tied'] as const,
      default: 'lora' as const,
      describe: 'of adapter; nemo holds lora only',
    })
    .option('modules', {
      ...text,
      describe: 'projections they change, such as q,v; all if not given (q,k,v for nemo, which every server takes)',
    })
    .option('scale', {
      ...text,
      default: '0.1',
      describe: 'how much of each projection they change, as a share of it; higher ones drown the model',
    })
    .option('seed', { ...text, default: '1', describe: 'the same seed gives the same files' })
    .option('names', { ...text, describe: 'what names begin with, before a number; such as r16-a if not given' })
    .example('bench adapters make --base llama-3-8b --rank 16 --count 32 --out adapters', 'for vLLM, SGLang, NIM')
    .example('bench adapters make --base ./my-model --format nemo --out adapters', 'sized by a real model, for NIM');
}

function inspectFlags<T>(y: Argv<T>) {
  return y
    .positional('files', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'adapter folders or .nemo files',
    })
    .option('base', { ...text, describe: `model that they should fit: ${BASE}` })
    .option('json', { type: 'boolean', default: false, describe: 'the reports as a JSON array' })
    .example('bench adapters inspect adapters/*', 'what they hold')
    .example('bench adapters inspect my-lora --base llama-3-8b', 'and whether it fits that model');
}

type MakeFlags = Awaited<ReturnType<typeof makeFlags>['argv']>;
type InspectFlags = Awaited<ReturnType<typeof inspectFlags>['argv']>;

const makeArguments = (flags: MakeFlags): MakeArguments => ({
  base: flags.base,
  rank: whole('rank', flags.rank, 1),
  count: whole('count', flags.count, 1),
  format: flags.format,
  kind: flags.kind,
  modules: flags.modules ?? null,
  scale: share(flags.scale),
  seed: whole('seed', flags.seed, 0),
  names: flags.names ?? null,
  out: flags.out,
});

const inspectArguments = (flags: InspectFlags): InspectArguments => ({
  files: flags.files,
  base: flags.base ?? null,
  json: flags.json,
});

/** Seeds and counts of nine digits are plenty, and stay exact. */
function whole(name: string, given: string, least: number): number {
  if (/^\d{1,9}$/.test(given) && Number(given) >= least) return Number(given);
  throw new BenchError('USAGE', `--${name}: expected a whole number of at least ${least}, found "${given}"`);
}

function share(given: string): number {
  const value = Number(given);
  if (given.trim() !== '' && Number.isFinite(value) && value > 0 && value <= 100) return value;
  throw new BenchError('USAGE', `--scale: expected a number above 0, such as 0.1, found "${given}"`);
}
