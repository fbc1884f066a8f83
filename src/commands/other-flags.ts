/**
 * The flags that name another target: `--compare URL|FILE` of `run`, `--against URL|FILE` of `gate`, and what goes with
 * them. In: a command's flags. Out: OtherArguments, or null where there is no other target.
 */
import type { Argv } from 'yargs';
import { BenchError } from '../errors.ts';
import type { OtherArguments } from '../scenario/target-file.ts';

const text = { type: 'string', requiresArg: true } as const;
const MORE = ['model', 'adapters', 'api-key-env'] as const;

/** Names of the flags, without dashes. */
export const otherFlagNames = (name: string): string[] => [name, ...MORE.map((more) => `${name}-${more}`)];

/** @param what it is used for, in a few words: "measure this server too" */
export function otherFlags<T>(y: Argv<T>, name: string, what: string): Argv<T> {
  y.option(name, { ...text, describe: `${what}: base URL, or a YAML file with a target block` })
    .option(`${name}-model`, {
      ...text,
      describe: 'its model; the same as on the first, or its only one, if not given',
    })
    .option(`${name}-adapters`, {
      ...text,
      describe: 'its adapters, separated by commas; those of the scenario, or its own, if not given',
    })
    .option(`${name}-api-key-env`, { ...text, describe: 'environment variable that holds its API key' });
  return y; // the same object; what is known of these flags' types otherArguments says
}

/** @throws BenchError USAGE when something is said of a target that is not named */
export function otherArguments(flags: Readonly<Record<string, unknown>>, name: string): OtherArguments | null {
  const given = (more: string) => flags[`${name}-${more}`] as string | undefined;
  const target = flags[name] as string | undefined;
  if (target === undefined) {
    const lost = MORE.find((more) => given(more) !== undefined);
    if (lost === undefined) return null;
    throw new BenchError('USAGE', `--${name}-${lost} says something of a target that --${name} does not name`);
  }
  return {
    flag: `--${name}`,
    target,
    model: given('model') ?? null,
    adapters: listed(given('adapters')),
    apiKeyEnv: given('api-key-env') ?? null,
  };
}

/** "a, b" as two names; null where nothing was given. */
export const listed = (names: string | undefined): string[] | null =>
  names
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '') ?? null;
