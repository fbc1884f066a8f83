/**
 * `bench adapters make`: random adapters that fit a base model, so that nobody needs trained ones to measure a server.
 * In: what is wanted. Out: a folder for each adapter below --out, and the command lines with which servers load them.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ADAPTER_KINDS, type AdapterKind } from '../../engine/adapter-files/adapter.ts';
import {
  DEFAULT_SCALE,
  MAKE_FORMATS,
  type MadeAdapter,
  type MakeFormat,
  type MakeOptions,
  makeAdapter,
  makeProblems,
  parametersOf,
} from '../../engine/adapter-files/make-adapter.ts';
import { type BaseNorms, openBaseNorms } from '../../engine/adapter-files/make-base-norms.ts';
import { NEMO_DEFAULT_MODULES } from '../../engine/adapter-files/make-nemo.ts';
import { type FoundModel, findModel } from '../../engine/models/find-model.ts';
import { MODULES, type ModuleName } from '../../engine/models/projections.ts';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { humanSize } from '../scenario/units.ts';
import type { CommandIo } from './io.ts';
import { loadCommands } from './load-commands.ts';
import { asPlanError } from './models.ts';

export { ADAPTER_KINDS, DEFAULT_SCALE, MAKE_FORMATS };

export interface MakeArguments {
  /** A preset, a stand-in, or a Hugging Face folder. */
  base: string;
  rank: number;
  count: number;
  format: MakeFormat;
  kind: AdapterKind;
  /** null: what every server takes. */
  modules: string | null;
  scale: number;
  seed: number;
  /** What the names begin with, before a number; null: by rank and kind, such as "r16-a". */
  names: string | null;
  out: string;
}

/** Adapters of one --seed never share a seed with those of another. */
const SEEDS_PER_RUN = 2 ** 16;
const BYTES_PER_PARAMETER = 2;

export async function makeAdapters(args: MakeArguments, { stdout, stderr, signal }: CommandIo): Promise<ExitCode> {
  const { kind, format, rank, count, scale, seed, out } = args;
  const modules = modulesOf(args);
  const problems = makeProblems({ kind, format, rank, modules, scale });
  if (count > SEEDS_PER_RUN - 1) problems.push(`count: expected at most ${SEEDS_PER_RUN - 1}, found ${count}`);
  if (problems.length > 0) throw new BenchError('USAGE', problems.join('; '));
  const names = namesOf(args);
  refuseTaken(out, names);
  const base = await modelOf(args.base);

  const size = BYTES_PER_PARAMETER * parametersOf({ geometry: base.geometry, kind, format, rank, modules });
  stderr.write(`making ${count} in ${out}, about ${humanSize(size)} each\n`);
  const norms = await openNorms(base);
  const made: MadeAdapter[] = [];
  try {
    for (const [i, name] of names.entries()) {
      if (signal.aborted) throw interrupted(made.length, count);
      const options = { ...base, kind, format, rank, modules, scale, norms, out: join(out, name) };
      made.push(await makeOne({ ...options, seed: seed * SEEDS_PER_RUN + i + 1 }));
      stderr.write(`made ${name} (${i + 1} of ${count})\n`);
    }
  } finally {
    await norms.close();
  }
  const one = made[0]!;
  const what = `rank ${rank}, ${kind}, ${modules.length === MODULES.length ? 'all modules' : modules.join(',')}`;
  stdout.write(
    [
      `made  ${names.length === 1 ? names[0] : `${names[0]} to ${names.at(-1)}`} in ${out}`,
      `      ${what}; each ${humanSize(one.bytes)}: ${one.files.join(', ')}`,
      `      each projection changes by ${Number((100 * scale).toPrecision(3))}% of itself (--scale ${scale}), seed ${seed}`,
      '',
      'Load them:',
      ...loadCommands({ ...base, kind, format, rank, names, folder: resolve(out), baseFolder: base.folder }),
      '',
    ].join('\n'),
  );
  return EXIT.done;
}

/** @throws BenchError USAGE for a name that is no module */
function modulesOf({ modules, format }: MakeArguments): readonly ModuleName[] {
  if (modules === null) return format === 'nemo' ? NEMO_DEFAULT_MODULES : MODULES;
  if (modules === 'all') return MODULES;
  const asked = modules.split(',').map((name) => name.trim());
  for (const name of asked) {
    if ((MODULES as readonly string[]).includes(name)) continue;
    const near = didYouMean(name.replace(/_proj$/, ''), MODULES);
    throw new BenchError(
      'USAGE',
      `--modules: "${name}" is no module${near === null ? '' : `; did you mean ${near}?`} Accepted: all, or some of ${MODULES.join(',')}`,
    );
  }
  return MODULES.filter((name) => asked.includes(name));
}

/** Names are folders', and servers' names of models. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

function namesOf({ names, rank, kind, count }: MakeArguments): string[] {
  const prefix = names ?? `r${rank}${kind === 'lora' ? '' : `-${kind}`}-a`;
  if (!NAME.test(prefix)) {
    const expected = 'letters, digits, dots, dashes and underscores, the first a letter or digit';
    throw new BenchError('USAGE', `--names: expected ${expected}; found "${prefix}"`);
  }
  return Array.from({ length: count }, (_, i) => `${prefix}${i + 1}`);
}

/** Before anything is written: half a set would be taken for a whole one. */
function refuseTaken(out: string, names: readonly string[]): void {
  const taken = names.filter((name) => existsSync(join(out, name)));
  if (taken.length === 0) return;
  const which = taken.length > 3 ? `${taken.slice(0, 3).join(', ')} and ${taken.length - 3} more` : taken.join(', ');
  throw new BenchError('OUTPUT_NOT_WRITABLE', `${out} holds ${which} already`, {
    hint: 'nothing is ever overwritten: give another folder with --out, or other names with --names',
  });
}

async function modelOf(base: string): Promise<FoundModel> {
  try {
    return await findModel(base);
  } catch (error) {
    throw asPlanError(error, '--base');
  }
}

async function openNorms({ geometry, folder }: FoundModel): Promise<BaseNorms> {
  try {
    return await openBaseNorms(geometry, folder);
  } catch (error) {
    throw asPlanError(error, '--base');
  }
}

async function makeOne(options: MakeOptions): Promise<MadeAdapter> {
  try {
    return await makeAdapter(options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string') throw asPlanError(error, 'adapters');
    throw new BenchError('OUTPUT_NOT_WRITABLE', `cannot write ${options.out}: ${message}`, { cause: error });
  }
}

const interrupted = (made: number, count: number): BenchError =>
  new BenchError('INTERRUPTED', `interrupted; ${made} of ${count} adapters are whole and stay`);
