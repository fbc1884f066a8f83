/**
 * Writes what is made of the scenario format, by `npm run schema`: scenarios/scenario.schema.json, which gives editors completion
 * and checks, and in scenarios/README.md the parts between markers, which say the same to people. The words around those are
 * written by hand. A test compares both files with what this makes, so that neither can go stale.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { referenceOf } from './reference.ts';
import { scenarioTable } from './scenario-list.ts';
import { scenarioJsonSchema } from './schema.ts';

/** The schema file's whole text. */
export const schemaFileText = (): string => `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`;

/** The folder scenarios/ in the package's root: src/scenario/ or dist/src/scenario/ lies below that. */
export function schemaFilePath(from: string = fileURLToPath(import.meta.url)): string {
  let folder = dirname(from);
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error(`no package.json above ${from}`);
    folder = dirname(folder);
  }
  return join(folder, 'scenarios', 'scenario.schema.json');
}

export const readmePath = (): string => join(dirname(schemaFilePath()), 'README.md');

/** The README with its made parts as they should be. @throws Error when the text lacks a part's markers */
export function readmeText(text: string): string {
  const folder = dirname(schemaFilePath());
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  const files = names.sort().map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }));
  const keys = referenceOf(scenarioJsonSchema(), { shared: ['lengths', 'threshold', 'at'], repeats: 'without_gpu' });
  return between(between(text, 'scenarios', scenarioTable(files)), 'keys', keys);
}

/** Replaces what stands between <!-- made: NAME --> and <!-- end: NAME -->. */
export function between(text: string, name: string, made: string): string {
  const [begin, end] = [`<!-- made: ${name} -->`, `<!-- end: ${name} -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`expected ${begin} and, behind it, ${end}`);
  return `${text.slice(0, from)}${begin}\n\n${made}\n\n${text.slice(to)}`;
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  writeFileSync(schemaFilePath(), schemaFileText());
  writeFileSync(readmePath(), readmeText(readFileSync(readmePath(), 'utf8')));
}
