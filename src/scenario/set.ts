/**
 * `--set path=value`: one value of the scenario changed from the command line. The path is checked against the format,
 * the value is YAML (`load.concurrency=[1, 8]`), and what comes of it is validated like the file itself.
 *
 * What a flag of its own gives (--endpoint, --adapters, ..) goes the same way, as plain data: messages name that flag, and
 * never repeat its value, which may hold a secret.
 */
import { Document, LineCounter, parseDocument } from 'yaml';
import { BenchError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';
import { knownKeysAt } from './known-keys.ts';
import { type Located, type LocatedMap, locatedOf, type Place } from './located.ts';

/** The text of a --set, a value that another flag gives, or one of another file, whose place it keeps. */
export type Setting = string | FlagSetting | { path: readonly string[]; located: Located };
export interface FlagSetting {
  flag: string;
  path: readonly string[];
  value: unknown;
}

/** Applies the settings in order. Throws USAGE for one that cannot be read or names no key of the format. */
export function withSettings(tree: LocatedMap, settings: readonly Setting[]): LocatedMap {
  return settings.reduce((changed, setting, index) => {
    // The file's places sort by offset; settings come after all of them, in the order given.
    const order = Number.MAX_SAFE_INTEGER - settings.length + index;
    if (typeof setting !== 'string' && 'located' in setting) {
      return put(changed, setting.path, setting.located, setting.located.at) as LocatedMap;
    }
    if (typeof setting !== 'string') {
      const place: Place = { label: setting.flag, order };
      return put(
        changed,
        setting.path,
        locatedOf(new Document(setting.value), () => place),
        place,
      ) as LocatedMap;
    }
    const shown = withoutSecrets(setting);
    const place: Place = { label: `--set ${shown}`, order };
    const equals = setting.indexOf('=');
    if (equals < 1) {
      throw new BenchError('USAGE', `--set ${shown}: expected path=value, such as load.concurrency=[1,8]`);
    }
    const path = knownPath(setting.slice(0, equals).trim(), shown);
    return put(changed, path, settingValue(setting.slice(equals + 1), shown, place), place) as LocatedMap;
  }, tree);
}

/** A URL with a user name or a query may hold a password or a key. */
const withoutSecrets = (setting: string): string => setting.replace(/(https?:\/\/)[^\s"',}]*[@?][^\s"',}]*/gi, '$1***');

/** Splits at dots and checks each step against the format. */
function knownPath(text: string, setting: string): PropertyKey[] {
  const path: PropertyKey[] = [];
  for (const step of text.split('.')) {
    const { names, anyName } = knownKeysAt(path);
    const isIndex = /^\d+$/.test(step) && names.length === 0 && !anyName;
    if (!isIndex && !names.includes(step) && !anyName) {
      const near = didYouMean(step, names);
      const where = path.length === 0 ? 'a scenario' : `"${path.join('.')}"`;
      const accepted = names.length === 0 ? 'nothing below it can be set' : `accepted: ${names.join(', ')}`;
      throw new BenchError(
        'USAGE',
        `--set ${setting}: ${where} has no key "${step}"${near === null ? '' : `; did you mean "${near}"?`} (${accepted})`,
      );
    }
    path.push(isIndex ? Number(step) : step);
  }
  if (path[0] === 'without_gpu') {
    throw new BenchError('USAGE', `--set ${setting}: set the key itself; --set applies after without_gpu`);
  }
  return path;
}

function settingValue(text: string, setting: string, place: Place): Located {
  const document = parseDocument(text, { lineCounter: new LineCounter() });
  const fault = document.errors[0] ?? document.warnings[0];
  if (fault) {
    const what = fault.message.split('\n')[0]?.replace(/ at line .*$/, '');
    throw new BenchError('USAGE', `--set ${setting}: the value is not YAML: ${what}`);
  }
  return locatedOf(document, () => place);
}

/** The tree with the value at the path; maps on the way are made where there is none. */
function put(tree: Located | undefined, path: readonly PropertyKey[], value: Located, place: Place): Located {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (tree?.kind === 'list' && typeof key === 'number') {
    const items = [...tree.items];
    items[Math.min(key, items.length)] = put(items[key], rest, value, place);
    return { ...tree, items };
  }
  const entries = new Map(tree?.kind === 'map' ? tree.entries : []);
  const under = entries.get(String(key));
  entries.set(String(key), { keyAt: place, value: put(under?.value, rest, value, place) });
  return { kind: 'map', at: tree?.kind === 'map' ? tree.at : place, entries };
}
