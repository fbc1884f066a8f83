/**
 * Which of the engine's adapters must be files, and how large those are. In: cells. Out: names, and bytes on disk.
 *
 * Plain LoRA on every projection of random weights is made on the device from a seed, in no time. Whatever else a scenario
 * asks for is made as a file and loaded as anybody's adapter would be; so is everything for a model with weights of its own,
 * since it must be sized by them to leave the model's output sane. An adapter that one cell needs as a file is that file in every cell of
 * its model: else two cells would compare different adapters.
 */
import { parametersOf } from '../../engine/adapter-files/make-adapter.ts';
import { MODULES, type ModuleName } from '../../engine/models/projections.ts';
import { folderIn, geometryIn, type TargetFacts } from './facts.ts';
import type { Cell, PlannedAdapter } from './plan.ts';

/** Matrices are stored as bf16, and there is little beside them. */
const BYTES_PER_PARAMETER = 2;

export const modulesOf = ({ modules }: Pick<Cell, 'modules'>): readonly ModuleName[] =>
  modules === 'all' ? MODULES : modules;

const needsFile = ({ at, modules }: Cell, { kind }: PlannedAdapter): boolean =>
  kind !== 'lora' || modules !== 'all' || at.residency === 'cold_host' || at.residency === 'cold_disk';

/** Names of the adapters of these cells that must be files; the cells are of one model, which may be a folder. */
export function adaptersInFiles(cells: readonly Cell[], ofFolder: boolean): Set<string> {
  return new Set(
    cells.flatMap((cell) =>
      cell.adapters.filter((adapter) => ofFolder || needsFile(cell, adapter)).map(({ name }) => name),
    ),
  );
}

/** How many files a plan makes and what they take on disk; null when it makes none. */
export function adapterFilesOf(cells: readonly Cell[], facts: TargetFacts): { count: number; bytes: number } | null {
  let count = 0;
  let bytes = 0;
  for (const model of new Set(cells.map(({ at }) => at.model))) {
    const own = cells.filter(({ at }) => at.model === model);
    const geometry = geometryIn(facts, model);
    const names = adaptersInFiles(own, folderIn(facts, model));
    const all = new Map(own.flatMap((cell) => cell.adapters.map((adapter) => [adapter.name, { adapter, cell }])));
    for (const name of names) {
      const found = all.get(name);
      const { kind = null, servedRank = null } = found?.adapter ?? {};
      if (found === undefined || geometry === null || kind === null || servedRank === null) continue;
      const modules = modulesOf(found.cell);
      count++;
      bytes += BYTES_PER_PARAMETER * parametersOf({ geometry, kind, format: 'peft', rank: servedRank, modules });
    }
  }
  return count === 0 ? null : { count, bytes };
}
