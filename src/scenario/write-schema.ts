/**
 * Writes scenarios/scenario.schema.json, which gives editors completion and checks; run by `npm run schema`. A test
 * compares the file with what this makes, so that it cannot go stale.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { scenarioJsonSchema } from './schema.ts';

/** The file's whole text. */
export const schemaFileText = (): string => `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`;

/** The package's root: src/scenario/ or dist/src/scenario/ lies below it. */
export function schemaFilePath(from: string = fileURLToPath(import.meta.url)): string {
  let folder = dirname(from);
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error(`no package.json above ${from}`);
    folder = dirname(folder);
  }
  return join(folder, 'scenarios', 'scenario.schema.json');
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  writeFileSync(schemaFilePath(), schemaFileText());
}
