/** What a plan needs to know of the world beyond the scenario: which device, which models. */
import type { FoundModel } from '../../engine/models/find-model.ts';
import { type Geometry, geometryOf, isGeometry } from '../../engine/models/geometry.ts';
import type { PromptFile } from '../scenario/prompt-files/entries.ts';

/** Models in folders: the text by which the scenario names each, and what is there. Their names differ. */
export type FolderModels = Readonly<Record<string, FoundModel>>;

/** The file of prompts that the scenario names, as read for each model by name: its tokenizer has counted the tokens. */
export type PromptFiles = Readonly<Record<string, PromptFile>>;

/** A model as an endpoint serves it. */
export interface EndpointModel {
  /** As a request names it. */
  name: string;
  /** Its own adapters, in the server's order: another model's would not answer for it. */
  adapters: string[];
}

/** What a plan needs to know of the target beyond the scenario; found out by whoever starts or probes it. */
export type TargetFacts = { promptFiles?: PromptFiles } & (
  | {
      kind: 'engine';
      /** The device computes on the CPU. */
      software: boolean;
      deviceName: string;
      /** Those of the scenario's models that are folders. */
      folders?: FolderModels;
    }
  | {
      kind: 'endpoint';
      /** The models to measure, in order; the scenario's own where it names any. */
      models: EndpointModel[];
      /** Cells with more adapters than there are names are left out, with a warning, instead of refusing the plan. */
      allowFewer: boolean;
    }
);

/** The model of that name is a folder. */
export const folderIn = (facts: TargetFacts, model: string): boolean =>
  facts.kind === 'engine' && isFolderModel(facts.folders ?? {}, model);

/** The same, where only the folders are known. */
export const isFolderModel = (folders: FolderModels, model: string): boolean =>
  Object.values(folders).some(({ geometry }) => geometry.name === model);

/** The geometry of a model by the name that a cell has for it; null for a model that is an endpoint's own. */
export function geometryIn(facts: TargetFacts, model: string): Geometry | null {
  if (facts.kind === 'endpoint') return null;
  const found = Object.values(facts.folders ?? {}).find(({ geometry }) => geometry.name === model);
  if (found !== undefined) return found.geometry;
  const known = geometryOf(model);
  return isGeometry(known) ? known : null;
}
