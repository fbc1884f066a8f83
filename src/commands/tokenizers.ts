/**
 * Which tokenizer makes a cell's prompts and counts its answers. In: scenario and the models that are folders. Out: a
 * tokenizer for each cell, loaded before anything is measured.
 *
 * A folder's model has its own; presets have Llama 3's, the one that is in the package. For an endpoint it is the one that
 * `target.tokenizer` names, else Llama 3's.
 */
import { loadTokenizer, type TokenizerSource } from '../../engine/models/tokenizer.ts';
import { BenchError } from '../errors.ts';
import type { FolderModels } from '../plan/facts.ts';
import type { RunTokenizer } from '../runner/execute-run.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { TOKENIZER_PRESETS } from '../scenario/tokenizers.ts';
import { asPlanError, folderIn } from './models.ts';

/** The tokenizer of a cell, or of whatever else is of a model. */
export type TokenizerOf = (cell: { at: { model: string } }) => RunTokenizer;

/** @throws BenchError PLAN_INVALID: no such folder, or no tokenizer in it that can be used */
export async function tokenizersFor(scenario: Scenario, folders: FolderModels): Promise<TokenizerOf> {
  const { target } = scenario;
  if (target.kind === 'endpoint') {
    const named = target.tokenizer;
    const isFolder = named !== null && !TOKENIZER_PRESETS.includes(named);
    const tokenizer = await load(
      isFolder ? { folder: folderIn(named, scenario.file, 'target.tokenizer') } : 'llama-3',
      'target.tokenizer',
    );
    return () => tokenizer;
  }
  const byModel = new Map<string, RunTokenizer>();
  for (const text of scenario.models) {
    const model = folders[text];
    byModel.set(model?.geometry.name ?? text, await load(model ?? 'llama-3', 'models'));
  }
  return ({ at }) => {
    const tokenizer = byModel.get(at.model);
    if (tokenizer === undefined) throw new BenchError('BUG', `no tokenizer was loaded for ${at.model}`);
    return tokenizer;
  };
}

async function load(source: TokenizerSource, key: string): Promise<RunTokenizer> {
  try {
    return await loadTokenizer(source);
  } catch (error) {
    throw asPlanError(error, key);
  }
}
