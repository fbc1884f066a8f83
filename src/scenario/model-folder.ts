/**
 * Which folder, or file, a path in a scenario means. In: the text, and the scenario's file. Out: an absolute path.
 *
 * A relative path is looked for beside the scenario's file first, so that a scenario and its model can be moved together,
 * then in the working folder; "~" is the home folder, as in a shell.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';

/** The places where the text may mean something, best first. */
export function placesOfFolder(text: string, scenarioFile: string | null): string[] {
  if (/^~(?=[/\\]|$)/.test(text)) return [join(homedir(), text.slice(1))];
  if (isAbsolute(text) || scenarioFile === null) return [resolve(text)];
  return [...new Set([resolve(dirname(scenarioFile), text), resolve(text)])];
}

/** The first of these places that is there; null when none is. */
export const folderOfText = (text: string, scenarioFile: string | null): string | null =>
  placesOfFolder(text, scenarioFile).find((place) => existsSync(place)) ?? null;
