/**
 * The file of prompts that a scenario names, found and read. In: a scenario, and what counts the tokens of a text. Out: its
 * entries; null where prompts are made and no file is named.
 */
import { BenchError } from '../../errors.ts';
import { folderOfText, placesOfFolder } from '../model-folder.ts';
import type { Scenario } from '../scenario.ts';
import { readDataset } from './dataset.ts';
import type { PromptFile } from './entries.ts';
import { readTrace } from './trace.ts';

/** @throws BenchError PLAN_INVALID: no such file, or what is wrong in it, with file:line */
export async function readPromptFile(
  scenario: Pick<Scenario, 'promptFile' | 'workloads' | 'load' | 'file'>,
  count: (text: string) => number,
): Promise<PromptFile | null> {
  const { promptFile, workloads, load } = scenario;
  if (promptFile === null) return null;
  const file = placeOf(promptFile, scenario.file);
  const outputTokens = workloads.some(({ output }) => output === null);
  try {
    return promptFile.kind === 'trace'
      ? await readTrace(file, { times: load.kind === 'trace', outputTokens })
      : await readDataset(file, { count, outputTokens });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof BenchError || code === undefined) throw error;
    const why = code === 'EISDIR' ? 'it is a folder; expected a file' : message;
    throw new BenchError('PLAN_INVALID', `prompt.${promptFile.kind}: cannot read ${file}: ${why}`, { cause: error });
  }
}

function placeOf({ kind, path }: NonNullable<Scenario['promptFile']>, scenarioFile: string | null): string {
  const found = folderOfText(path, scenarioFile);
  if (found !== null) return found;
  const places = placesOfFolder(path, scenarioFile).join(', nor ');
  throw new BenchError('PLAN_INVALID', `prompt.${kind}: there is no file ${places}`, {
    hint: 'a relative path is looked for beside the scenario first, then in the working folder',
  });
}
