/** How problems with a file are put into words: names from files are quoted and cut, long lists end in a count. */

const NAME_CHARACTERS = 160;
const PROBLEMS_TOLD = 20;

/** A name out of a file, quoted, with control characters escaped and the middle of a very long one left out. */
export function quoted(name: string): string {
  const half = NAME_CHARACTERS / 2;
  return JSON.stringify(name.length > NAME_CHARACTERS ? `${name.slice(0, half)}...${name.slice(-half)}` : name);
}

export const shapeText = (shape: readonly number[]): string =>
  shape.length > 8 ? `[${shape.slice(0, 8).join(', ')}, ... ${shape.length} sizes]` : `[${shape.join(', ')}]`;

/** The first problems, and how many more there are. */
export function told(problems: readonly string[]): string[] {
  const more = problems.length - PROBLEMS_TOLD;
  return more > 0 ? [...problems.slice(0, PROBLEMS_TOLD), `and ${more} more problems`] : [...problems];
}

/** What a parsed value is, in words, for "found ..". */
export function valueText(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'a mapping';
  return String(value);
}
