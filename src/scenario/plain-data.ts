/** Looking into a scenario that may have failed the schema: plain data in, what stands at a path out; nothing is taken for granted. */
import type { Path } from './problems.ts';

export type Plain = Record<string, unknown>;

export const isObject = (value: unknown): value is Plain =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** The values of an axis with their paths: the entries of a list, or the one value. */
export function axisValues(plain: Plain, path: readonly string[]): { path: Path; value: unknown }[] {
  const value = path.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), plain);
  if (value === undefined) return [];
  return Array.isArray(value) ? value.map((item, i) => ({ path: [...path, i], value: item })) : [{ path, value }];
}
