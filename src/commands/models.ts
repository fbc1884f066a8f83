/**
 * The scenario's models that are Hugging Face folders: found, and their geometry read, before anything is planned.
 * In: a scenario. Out: what is in each folder, by the text that names it. Presets are known without looking.
 */
import { type FoundModel, findModel, looksLikeFolder } from '../../engine/models/find-model.ts';
import { BenchError } from '../errors.ts';
import type { FolderModels } from '../plan/facts.ts';
import { folderOfText, placesOfFolder } from '../scenario/model-folder.ts';
import type { Scenario } from '../scenario/scenario.ts';

/** @throws BenchError PLAN_INVALID: no such folder, a model that cannot be served, two of one name */
export async function folderModels({ models, file, target }: Scenario): Promise<FolderModels> {
  if (target.kind !== 'engine') return {};
  const found: Record<string, FoundModel> = {};
  for (const text of models.filter(looksLikeFolder)) found[text] = await modelIn(text, file);
  const byName = new Map(models.filter((text) => found[text] === undefined).map((text) => [text, text]));
  for (const [text, { geometry }] of Object.entries(found)) {
    const other = byName.get(geometry.name);
    if (other !== undefined) {
      throw new BenchError('PLAN_INVALID', `models: "${other}" and "${text}" are both called ${geometry.name}`, {
        hint: "a folder's model is called as the folder is, and results are told apart by it: rename one",
      });
    }
    byName.set(geometry.name, text);
  }
  return found;
}

async function modelIn(text: string, file: string | null): Promise<FoundModel> {
  const folder = folderIn(text, file, 'models');
  try {
    return await findModel(folder);
  } catch (error) {
    throw asPlanError(error, 'models');
  }
}

/** The folder that a scenario means. @throws BenchError PLAN_INVALID when there is none, with the places looked at */
export function folderIn(text: string, file: string | null, key: string): string {
  const folder = folderOfText(text, file);
  if (folder !== null) return folder;
  const places = placesOfFolder(text, file).join(', nor ');
  throw new BenchError('PLAN_INVALID', `${key}: there is no folder ${places}`, {
    hint: 'a relative path is looked for beside the scenario first, then in the working folder',
  });
}

/** The one error of reading files (engine/tensor-files/file-error.ts) as ours; any other is a bug and stays what it is. */
export function asPlanError(error: unknown, key: string): unknown {
  if (!(error instanceof Error) || error.name !== 'FileError') return error;
  return new BenchError('PLAN_INVALID', `${key}: ${error.message}`, { cause: error });
}
