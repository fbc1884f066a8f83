/**
 * The other target of a comparison: `--compare URL|FILE`, `--against URL|FILE`. In: what the flag says, and the scenario as
 * it is run on its own target. Out: the same scenario for the other target: whatever shapes the load is taken over
 * as it stands, so that both get the same.
 *
 * A file holds a `target` block as a scenario has it, and where needed what goes with another server: `models`, `engine`,
 * `adapters: {names: ..}`. Which API is driven and which tokenizer counts are those of the scenario's target unless the
 * other says otherwise; a key never is.
 */
import { readFileSync } from 'node:fs';
import { Document } from 'yaml';
import { BenchError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';
import { resolveScenario, treeOf } from './load.ts';
import { childOf, type Located, type LocatedMap, locatedOf } from './located.ts';
import { without } from './merge.ts';
import { type Problem, scenarioError } from './problems.ts';
import type { Scenario } from './scenario.ts';
import type { FlagSetting, Setting } from './set.ts';

/** What the command line says of it. */
export interface OtherArguments {
  /** "--compare" or "--against": what messages name, and the beginning of the other flags. */
  flag: string;
  /** A URL, or a file with a `target` block. */
  target: string;
  model: string | null;
  adapters: readonly string[] | null;
  apiKeyEnv: string | null;
}

export interface OtherTarget {
  kind: 'engine' | 'endpoint';
  settings: Setting[];
}

const KEYS = ['target', 'engine', 'models', 'adapters'];
const EXPECTED = 'expected a mapping with target, such as target: {url: http://host:8000/v1}';

const isUrl = (text: string): boolean => /^https?:\/\//i.test(text);

/** @throws BenchError USAGE, or SCENARIO_INVALID with file:line:column */
export function otherTarget({ flag, target, model, adapters, apiKeyEnv }: OtherArguments): OtherTarget {
  const { kind, settings } = isUrl(target)
    ? { kind: 'endpoint' as const, settings: [{ flag, path: ['target'], value: { url: target } }] }
    : fromFile(target, flag);
  const given: (FlagSetting | null)[] = [
    model === null ? null : { flag: `${flag}-model`, path: ['models'], value: [model] },
    adapters === null ? null : { flag: `${flag}-adapters`, path: ['adapters', 'names'], value: [...adapters] },
    apiKeyEnv === null ? null : { flag: `${flag}-api-key-env`, path: ['target', 'api_key_env'], value: apiKeyEnv },
  ];
  const named = given.filter((setting) => setting !== null);
  const [first] = named;
  if (kind === 'engine' && first !== undefined) {
    throw new BenchError('USAGE', `${first.flag} is for endpoints, and the target in ${target} is the engine`);
  }
  return { kind, settings: [...settings, ...named] };
}

function fromFile(file: string, flag: string): OtherTarget {
  const tree = treeOf(textOf(file, flag), file, EXPECTED);
  const problems = [
    ...unknownIn(tree, KEYS, ''),
    ...unknownIn(childOf(tree, 'adapters')?.value, ['names'], 'adapters.'),
  ];
  const target = childOf(tree, 'target')?.value;
  if (target === undefined) problems.push({ place: tree.at, text: `target: is missing; ${EXPECTED}` });
  if (problems.length > 0 || target === undefined) throw scenarioError(file, problems);
  const paths = [['target'], ['engine'], ['models'], ['adapters', 'names']];
  const settings = paths.flatMap((path): Setting[] => {
    const located = path.reduce<Located | undefined>((node, key) => childOf(node, key)?.value, tree);
    return located === undefined ? [] : [{ path, located }];
  });
  return { kind: target.kind === 'map' ? 'endpoint' : 'engine', settings };
}

function textOf(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : message;
    throw new BenchError('USAGE', `${flag}: cannot read ${file}: ${why}`, {
      cause,
      hint: 'give a URL such as http://host:8000/v1, or a file with a target block',
    });
  }
}

function unknownIn(tree: Located | undefined, known: readonly string[], under: string): Problem[] {
  if (tree?.kind !== 'map') return [];
  return [...tree.entries].flatMap(([key, { keyAt }]) => {
    if (known.includes(key)) return [];
    const near = didYouMean(key, known);
    const meant = near === null ? ` Accepted: ${known.join(', ')}` : `; did you mean "${near}"?`;
    const text = `${under}${key}: the load is the scenario's; a file for another target says nothing of it${meant}`;
    return [{ place: keyAt, text }];
  });
}

/**
 * The scenario for the other target, with the load of the first: what `without_gpu` and `--set` made of it included.
 * @throws BenchError SCENARIO_INVALID with the place in the file
 */
export function scenarioForOther(own: Scenario, { kind, settings }: OtherTarget): Scenario {
  const place = { label: own.file ?? 'scenario', order: 0 };
  const resolved = locatedOf(new Document(own.resolved), () => place) as LocatedMap;
  const dropped = kind === 'endpoint' ? ['target', 'models', 'weights', 'engine'] : ['target'];
  const taken = kind === 'endpoint' ? takenOver(own, settings) : [];
  const scenario = resolveScenario(
    { file: own.file, text: own.text, tree: without(resolved, dropped) },
    { withoutGpu: false, endpoint: kind === 'endpoint', set: [...settings, ...taken] },
  );
  return { ...scenario, withoutGpu: own.withoutGpu };
}

/** How the scenario's own target is spoken to, where nothing is said of the other. */
function takenOver({ target }: Scenario, settings: readonly Setting[]): Setting[] {
  if (target.kind !== 'endpoint') return [];
  const said = settings.flatMap((setting) => {
    if (typeof setting === 'string' || setting.path[0] !== 'target') return [];
    return 'located' in setting && setting.located.kind === 'map' ? [...setting.located.entries.keys()] : [];
  });
  const { api, tokenizer } = target;
  return Object.entries({ api, tokenizer })
    .filter(([key, value]) => value !== null && !said.includes(key))
    .map(([key, value]) => ({ flag: 'the scenario', path: ['target', key], value }));
}
