/**
 * The command lines of a page, one by one. In: its blocks of `sh`, and the `run:` steps of workflows. Out: each command as words, as a
 * shell would split them, without comments, with what is put before it into its environment.
 */
import { parse } from 'yaml';
import type { Block, Page } from './pages.ts';

export interface Command {
  /** "README.md:24". */
  place: string;
  page: string;
  /** As it is written, in one line. */
  text: string;
  env: Record<string, string>;
  words: string[];
}

export const commandsOf = (page: Page): Command[] =>
  page.blocks.flatMap((block) => {
    if (block.language === 'sh') return linesOf(block.text).flatMap((line) => commandsIn(line, block));
    return stepsOf(block).flatMap((line) => commandsIn(line, block));
  });

/** A workflow's steps are a list of mappings, some with `run`. */
function stepsOf({ language, text }: Block): string[] {
  if (language !== 'yaml' || !/^\s*- run: /m.test(text)) return [];
  return (parse(text) as { run?: string }[]).flatMap(({ run }) => (run === undefined ? [] : [run]));
}

/** A line that ends in a backslash goes on. */
const linesOf = (text: string): string[] =>
  text
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');

function commandsIn(line: string, { page, line: at }: Block): Command[] {
  return split(line).map((words) => {
    const assigned = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
    const env = Object.fromEntries(words.slice(0, assigned).map((word) => word.split('=', 2) as [string, string]));
    return { place: `${page}:${at}`, page, text: words.join(' '), env, words: words.slice(assigned) };
  });
}

/** What a line is made of, as far as the pages go: quotes, $(..) with brackets in it, `&&`, a comment, blanks, and the rest letter by letter. */
const PIECE =
  /'(?<single>[^']*)'|"(?<double>[^"]*)"|(?<inner>\$\((?:[^()]|\([^()]*\))*\))|(?<and>&&)|(?<comment>(?<=^|\s)#.*)|(?<blank>\s+)|(?<letter>\\.|[^\s'"])/gy;

/** Words of a line, apart at `&&`. @throws Error for a quote that is left open */
export function split(line: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | null = null;
  let read = 0;
  for (const { 0: piece, groups = {} } of `${line} `.matchAll(PIECE)) {
    read += piece.length;
    const { single, double, inner, letter, and } = groups;
    const text = single ?? double ?? inner ?? letter;
    if (text !== undefined) {
      word = (word ?? '') + text;
      continue;
    }
    if (word !== null) commands.at(-1)?.push(word);
    word = null;
    if (and !== undefined) commands.push([]);
  }
  if (read <= line.length) throw new Error(`a quote is left open: ${line}`);
  return commands.filter((words) => words.length > 0);
}
