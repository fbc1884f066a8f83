/**
 * Matches module names against the regular expressions of adapter files, which are Python's (`re.fullmatch`).
 *
 * The patterns come from files that anyone may have written, so that handing them to a backtracking engine could hang
 * the server: here the set of all ends of a match is computed, remembered for each part and position, in time polynomial
 * in the name's length, and within a budget of steps. Whether a repetition is greedy plays no part in a whole-name match.
 * Semantics: Python's library reference, "re"; names are ASCII, so that its Unicode classes are the ASCII ones.
 */
import { PatternError, type PatternNode, parsePattern } from './peft-pattern-parser.ts';

/** Steps left for all patterns of a file together: about a second. Unsloth's pattern takes 25,000 for each name. */
export interface StepBudget {
  left: number;
}
export const newBudget = (): StepBudget => ({ left: 100_000_000 });

/** @throws PatternError when there is not so much left */
export function spend(budget: StepBudget, steps: number): void {
  budget.left -= steps;
  if (budget.left < 0) throw new PatternError('takes too long to match; write it more simply, or list the modules');
}

export interface NamePattern {
  /** Whether the whole of the name matches. @throws PatternError when the budget is spent */
  matches(name: string): boolean;
}

/** @throws PatternError when it is no pattern, or uses what is not supported */
export function namePattern(source: string, budget: StepBudget = newBudget()): NamePattern {
  const { root, nodes } = parsePattern(source);
  return {
    matches(name) {
      spend(budget, nodes * (name.length + 1));
      const known = new Array<Uint8Array | undefined>(nodes * (name.length + 1));
      return endsOf(root, 0, { name, known, budget })[name.length] === 1;
    },
  };
}

interface Match {
  name: string;
  /** By node and start: which ends are possible, one byte a position. */
  known: (Uint8Array | undefined)[];
  budget: StepBudget;
}

const isWord = (character: string | undefined): boolean => character !== undefined && /\w/.test(character);

/** One byte for each position of the name: 1 where a match of the node that begins at `start` can end. */
function endsOf(node: PatternNode, start: number, match: Match): Uint8Array {
  const index = node.id * (match.name.length + 1) + start;
  const before = match.known[index];
  if (before) return before;
  spend(match.budget, match.name.length + 1);
  const ends = new Uint8Array(match.name.length + 1);
  match.known[index] = ends;
  fillEnds(node, start, match, ends);
  return ends;
}

function fillEnds(node: PatternNode, start: number, match: Match, ends: Uint8Array): void {
  const { name } = match;
  switch (node.kind) {
    case 'character': {
      const character = name[start];
      if (character !== undefined && node.accepts(character)) ends[start + 1] = 1;
      return;
    }
    case 'sequence': {
      let reached = at(start, name.length);
      for (const part of node.parts) reached = step(part, reached, match);
      ends.set(reached);
      return;
    }
    case 'either':
      for (const choice of node.choices) unite(ends, endsOf(choice, start, match));
      return;
    case 'repeat':
      ends.set(repeated(node.part, node.least, node.most, start, match));
      return;
    case 'anchor':
      if (holds(node.where, start, name)) ends[start] = 1;
      return;
    case 'look': {
      const found = node.behind
        ? Array.from({ length: start + 1 }, (_, from) => endsOf(node.part, from, match)[start]).includes(1)
        : endsOf(node.part, start, match).includes(1);
      if (found !== node.negative) ends[start] = 1;
      return;
    }
  }
}

function holds(where: 'start' | 'end' | 'boundary' | 'inside', start: number, name: string): boolean {
  if (where === 'start') return start === 0;
  if (where === 'end') return start === name.length;
  const boundary = isWord(name[start - 1]) !== isWord(name[start]);
  return boundary === (where === 'boundary');
}

/**
 * Ends after `least` to `most` repetitions. After more repetitions than the name has characters the set of ends no longer
 * changes (a path that long has a repetition that took nothing, which can be left out or added), so counts are cut there.
 */
function repeated(part: PatternNode, least: number, most: number, start: number, match: Match): Uint8Array {
  const settled = match.name.length + 1;
  let reached = at(start, match.name.length);
  for (let count = 0; count < Math.min(least, settled); count++) reached = step(part, reached, match);
  const ends = reached.slice();
  for (let count = least; count < Math.min(most, least + settled); count++) {
    reached = step(part, reached, match);
    if (!unite(ends, reached)) break;
  }
  return ends;
}

function step(part: PatternNode, from: Uint8Array, match: Match): Uint8Array {
  const to = new Uint8Array(from.length);
  spend(match.budget, from.length);
  for (let position = 0; position < from.length; position++) {
    if (from[position]) unite(to, endsOf(part, position, match));
  }
  return to;
}

function at(position: number, length: number): Uint8Array {
  const only = new Uint8Array(length + 1);
  only[position] = 1;
  return only;
}

/** Adds the second set to the first; whether that added anything. */
function unite(into: Uint8Array, from: Uint8Array): boolean {
  let grew = false;
  for (let position = 0; position < from.length; position++) {
    if (from[position] && !into[position]) {
      into[position] = 1;
      grew = true;
    }
  }
  return grew;
}
