/**
 * The scenario's file of prompts, read before anything is planned. In: a scenario, and the names of the models it is for.
 * Out: what is in the file, for each model, whose tokenizer says how long a text is. Models of one tokenizer share it.
 */
import type { FolderModels, PromptFiles } from '../plan/facts.ts';
import type { RunTokenizer } from '../runner/execute-run.ts';
import type { PromptFile } from '../scenario/prompt-files/entries.ts';
import { readPromptFile } from '../scenario/prompt-files/read.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { tokenizersFor } from './tokenizers.ts';

/** @throws BenchError PLAN_INVALID: no such file, or what is wrong in it, with file:line */
export async function promptFilesFor(
  scenario: Scenario,
  models: readonly string[],
  folders: FolderModels,
  report: (line: string) => void = () => {},
): Promise<PromptFiles> {
  const { promptFile } = scenario;
  if (promptFile === null) return {};
  report(`reading ${promptFile.path}`);
  const tokenizerOf = await tokenizersFor(scenario, folders);
  const read = new Map<RunTokenizer, PromptFile>();
  const files: Record<string, PromptFile> = {};
  for (const model of models) {
    const tokenizer = tokenizerOf({ at: { model } });
    const file = read.get(tokenizer) ?? (await readPromptFile(scenario, (text) => tokenizer.encode(text).length));
    if (file === null) continue;
    read.set(tokenizer, file);
    files[model] = file;
  }
  return files;
}

/** The names that the engine's models have in a plan. */
export const engineModels = ({ models }: Scenario, folders: FolderModels): string[] =>
  models.map((text) => folders[text]?.geometry.name ?? text);
