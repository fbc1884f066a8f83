/**
 * Which cells a threshold is of: `at`, read and applied. In: coordinates as a scenario names them, with the values they may have.
 * Out: the cells that have them, or what they have instead.
 */
import type { At, Cell } from '../plan/plan.ts';
import { didYouMean } from '../scenario/did-you-mean.ts';
import { ratePerSecond } from '../scenario/units.ts';

/** For each coordinate that is named, the values it may have. */
export type Selector = Partial<Record<keyof At, (string | number)[]>>;

/** Coordinates that a scenario calls otherwise than results do. */
const OTHER_NAMES: Readonly<Record<string, keyof At>> = {
  prompt_tokens: 'promptTokens',
  output_tokens: 'outputTokens',
};

type Value = string | number;

/** From `at` of the file, which its schema has let through. */
export function selectorOf(at: Readonly<Record<string, unknown>> = {}): Selector {
  const entries = Object.entries(at).map(([name, value]) => {
    const values = (Array.isArray(value) ? value : [value]) as Value[];
    const inSeconds = values.map((rate) => (typeof rate === 'string' ? (ratePerSecond(rate) ?? rate) : rate));
    return [OTHER_NAMES[name] ?? name, name === 'rate' ? inSeconds : values];
  });
  return Object.fromEntries(entries) as Selector;
}

export function selects(selector: Selector, { at }: Pick<Cell, 'at'>): boolean {
  return entriesOf(selector).every(([name, values]) => values.some((value) => isAt(at, name, value)));
}

/** A stand-in is meant by the name of what it stands for, too. */
const isAt = (at: At, name: keyof At, value: Value): boolean =>
  String(at[name]) === String(value) || (name === 'model' && at.model.split('@')[0] === value);

const entriesOf = (selector: Selector) => Object.entries(selector) as [keyof At, Value[]][];

/** Why no cell is selected: the coordinate that none has, and what they have; else that none has all of them. */
export function whyNone(selector: Selector, cells: readonly Cell[]): { name: string; text: string } | null {
  for (const [name, values] of entriesOf(selector)) {
    for (const value of values) {
      if (cells.some(({ at }) => isAt(at, name, value))) continue;
      const there = [...new Set(cells.map(({ at }) => String(at[name])))];
      const near = typeof value === 'string' ? didYouMean(value, there) : null;
      const meant = near === null ? '' : `; did you mean "${near}"?`;
      return {
        name: nameIn(name),
        text: `no cell has ${nameIn(name)} ${value}${meant}${meant === '' ? '; ' : ' '}in this plan: ${there.join(', ')}`,
      };
    }
  }
  return cells.some((cell) => selects(selector, cell))
    ? null
    : { name: '', text: `no cell has ${selectorText(selector)} together` };
}

const nameIn = (name: keyof At): string => Object.entries(OTHER_NAMES).find(([, own]) => own === name)?.[0] ?? name;

/** "adapters 32, concurrency 4 or 8". */
export const selectorText = (selector: Selector): string =>
  entriesOf(selector)
    .map(([name, values]) => `${nameIn(name)} ${values.join(' or ')}`)
    .join(', ');
