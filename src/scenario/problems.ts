/**
 * What is wrong with a scenario, told all at once: zod's issues and our own rules become sentences with file:line:column,
 * what was expected, what was found, and the name that was probably meant.
 */
import type { z } from 'zod';
import { BenchError } from '../errors.ts';
import { didYouMean } from './did-you-mean.ts';
import { knownKeysAt } from './known-keys.ts';
import { type Located, type Place, placeOf, placeOfKey } from './located.ts';

export interface Problem {
  place: Place;
  text: string;
  /** The key or value is known but this version does not do it yet. */
  unsupported?: boolean;
}

export type Path = readonly PropertyKey[];

export const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`),
    '',
  );

/** A problem with the value at a path (or with its absence). */
export const problemAt = (tree: Located, path: Path, text: string): Problem => ({
  place: placeOf(tree, path),
  text: path.length === 0 ? text : `${pathText(path)}: ${text}`,
});

/** A value as messages quote it. */
export function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}...` : json;
}

type Issue = z.core.$ZodIssue;
type Finding = { path: Path; kind: 'unknown' | 'missing' | 'expected'; text: string; key?: string };

/** How badly a branch of a union misses: not being that kind of thing at all outweighs anything inside it. */
const WEIGHT = { mismatch: 1000, unknown: 10, missing: 5, inside: 1 };

function valueAt(plain: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key], plain);
}

/** Findings of an issue, with unions resolved to the form the writer most likely meant. */
function findingsOf(issue: Issue, at: Path, plain: unknown): { findings: Finding[]; weight: number } {
  const path = [...at, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const findings = issue.keys.map((key): Finding => ({ path: [...path, key], kind: 'unknown', text: '', key }));
    return { findings, weight: WEIGHT.unknown * findings.length };
  }
  if (issue.code === 'invalid_union') {
    const { findings, weight } = unionFindings(issue, path, plain);
    // Seen from outside, a fault further in does not speak against this form; a key that is not there does.
    const inside = issue.path.length > 0 && valueAt(plain, path) !== undefined;
    return { findings, weight: inside ? Math.min(weight, WEIGHT.inside) : weight };
  }
  const value = valueAt(plain, path);
  const expected = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  if (value === undefined) {
    return { findings: [{ path, kind: 'missing', text: `is missing; expected ${expected}` }], weight: WEIGHT.missing };
  }
  const text = issue.code === 'invalid_key' ? `expected ${expected}` : `expected ${expected}, found ${shown(value)}`;
  return {
    findings: [{ path, kind: 'expected', text }],
    weight: issue.path.length === 0 && !isFraction(issue, value) ? WEIGHT.mismatch : WEIGHT.inside,
  };
}

/** 1.5 where a whole number belongs is a wrong number, not a wrong kind of thing. */
const isFraction = (issue: Issue, value: unknown): boolean =>
  issue.code === 'invalid_type' && issue.expected === 'int' && typeof value === 'number';

function unionFindings(issue: Extract<Issue, { code: 'invalid_union' }>, path: Path, plain: unknown) {
  const branches = issue.errors.map((errors) => {
    const inner = errors.map((error) => findingsOf(error, path, plain));
    return {
      findings: inner.flatMap((one) => one.findings),
      weight: inner.reduce((sum, one) => sum + one.weight, 0),
    };
  });
  const value = valueAt(plain, path);
  const weight = Math.min(...branches.map((branch) => branch.weight));
  const best = branches.filter((branch) => branch.weight === weight);
  if (value === undefined) {
    return {
      findings: [{ path, kind: 'missing' as const, text: `is missing; expected ${issue.message}` }],
      weight: WEIGHT.missing,
    };
  }
  if (best.length === 1 && weight < WEIGHT.mismatch) return { findings: best[0]!.findings, weight };
  // Several forms fit equally badly. If a key is unknown to all of them, that is the fault; else say what there may be.
  const unknown = (best[0]?.findings ?? []).filter((finding) => finding.kind === 'unknown' && weight < WEIGHT.mismatch);
  if (unknown.length > 0) return { findings: unknown, weight };
  const text = `expected ${issue.message}, found ${shown(value)}`;
  return { findings: [{ path, kind: 'expected' as const, text }], weight: Math.max(weight, WEIGHT.mismatch) };
}

function unknownKey(tree: Located, path: Path, key: string): Problem {
  const { names } = knownKeysAt(path.slice(0, -1));
  const near = didYouMean(key, names);
  const meant = near !== null && near !== key ? `; did you mean "${near}"?` : '';
  const misplaced = names.includes(key) ? 'does not go together with the other keys here' : 'unknown key';
  const accepted = names.length > 0 ? ` Accepted: ${names.join(', ')}` : '';
  return {
    place: placeOfKey(tree, path),
    text: `${pathText(path)}: ${misplaced}${meant}${meant === '' && accepted !== '' ? '.' : ''}${accepted}`,
  };
}

/** Problems of a failed parse of `plain`, placed in the tree it came from. */
export function problemsOf(error: z.ZodError, tree: Located, plain: unknown): Problem[] {
  const findings = error.issues.flatMap((issue) => findingsOf(issue, [], plain).findings);
  return findings.map((finding) =>
    finding.key === undefined
      ? problemAt(tree, finding.path, finding.text)
      : unknownKey(tree, finding.path, finding.key),
  );
}

/**
 * One error with every problem, in the order of the file, each told once. Its code is UNSUPPORTED if that is all that is wrong,
 * else SCENARIO_INVALID, or what is given: PLAN_INVALID where only the plan shows that something is wrong.
 */
export function scenarioError(
  file: string,
  problems: readonly Problem[],
  wrong: 'SCENARIO_INVALID' | 'PLAN_INVALID' = 'SCENARIO_INVALID',
): BenchError {
  const ordered = [...problems].sort((a, b) => a.place.order - b.place.order);
  const lines = [...new Set(ordered.map((problem) => `${problem.place.label}: ${problem.text}`))];
  const code = problems.every((problem) => problem.unsupported) ? 'UNSUPPORTED' : wrong;
  const head = lines.length === 1 ? '' : `${file} has ${lines.length} problems:\n`;
  return new BenchError(code, head + lines.join('\n'));
}
