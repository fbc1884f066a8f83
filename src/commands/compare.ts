/**
 * `bench compare A B`: two results side by side, with intervals; or the two targets of one that has both: `bench compare DIR`. A side is
 * a result.json, its folder, several of one plan by a pattern, or an export of AIPerf. Nothing is measured, and nothing judged.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError, EXIT, type ExitCode } from '../errors.ts';
import { type Comparison, compareSides } from '../report/compare/comparison.ts';
import { comparisonHtml } from '../report/compare/html.ts';
import { comparisonMarkdown } from '../report/compare/markdown.ts';
import { comparisonText } from '../report/compare/terminal.ts';
import { AIPERF_FILE } from '../result/aiperf-files.ts';
import { readComparable } from '../result/comparable.ts';
import { RESULT_FILE, readResult } from '../result/read.ts';
import { makeFolder, writeWhole } from '../result/write.ts';
import type { CommandIo } from './io.ts';
import { tableStyle } from './show.ts';

export interface CompareArguments {
  a: string;
  /** null: the two targets of A. */
  b: string | null;
  /** Folder for compare.html, compare.md and compare.json. */
  out: string | null;
}

export async function compare({ a, b, out }: CompareArguments, { stdout, env }: CommandIo): Promise<ExitCode> {
  const comparison = b === null ? ofOne(filesOf(a)) : ofTwo(filesOf(a), filesOf(b));
  stdout.write(`${comparisonText(comparison, tableStyle(stdout, env))}\n`);
  if (out !== null) stdout.write(`\nreport  ${await writeComparison(out, comparison)}\n`);
  return EXIT.done;
}

/** The two targets of every result there. */
function ofOne(paths: readonly string[]): Comparison {
  for (const path of paths) {
    if (readResult(path).targets.some(({ arm }) => arm !== undefined)) continue;
    throw new BenchError('USAGE', `${path} has one target; name what to compare it with: bench compare A B`);
  }
  return compareSides(readComparable(paths, { arm: 'A' }), readComparable(paths, { arm: 'B' }));
}

function ofTwo(a: readonly string[], b: readonly string[]): Comparison {
  const sides = [readComparable(a), readComparable(b)] as const;
  if (sides[0].kind === sides[1].kind) return compareSides(...sides);
  // One is AIPerf's: then both are read by its definitions.
  return compareSides(readComparable(a, { asAiperf: true }), readComparable(b, { asAiperf: true }));
}

/** @throws BenchError USAGE when nothing is there */
function filesOf(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) return [path];
  const found = path.includes('*') ? matching(path) : [];
  if (found.length > 0) return found;
  throw new BenchError('USAGE', `there is nothing at ${path}`, {
    hint: 'give a folder with a result.json, such as reports/NAME/TIME, or a pattern in quotes, such as "reports/NAME/*" (* is any part of a name)',
  });
}

/** Files, and folders of results, that a path with stars in it is of: a star is any part of one name. */
function matching(pattern: string): string[] {
  const from = pattern.startsWith('/') ? '/' : '.';
  const paths = pattern
    .split('/')
    .filter((name) => name !== '')
    .reduce<string[]>(
      (folders, name) => folders.flatMap((folder) => (name.includes('*') ? named(folder, name) : [join(folder, name)])),
      [from],
    );
  const holds = (path: string) => [RESULT_FILE, AIPERF_FILE].some((name) => isFile(join(path, name)));
  return paths.filter((path) => isFile(path) || holds(path)).sort();
}

function named(folder: string, pattern: string): string[] {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const name = new RegExp(`^${parts.join('.*')}$`);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return [];
  return readdirSync(folder)
    .filter((one) => !one.startsWith('.') && name.test(one))
    .map((one) => join(folder, one));
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

async function writeComparison(folder: string, comparison: Comparison): Promise<string> {
  makeFolder(folder);
  const page = join(folder, 'compare.html');
  writeWhole(page, await comparisonHtml(comparison));
  writeWhole(join(folder, 'compare.md'), comparisonMarkdown(comparison));
  writeWhole(join(folder, 'compare.json'), `${JSON.stringify(plain(comparison), null, 2)}\n`);
  return page;
}

/** Format bench-compare/1: without the runs themselves, which are where they were read. */
const plain = ({ a, b, cells, notes }: Comparison) => ({
  format: 'bench-compare/1',
  a: { from: a.from, model: a.model, planHash: a.planHash, sessions: a.sessions },
  b: { from: b.from, model: b.model, planHash: b.planHash, sessions: b.sessions },
  cells,
  notes,
});
