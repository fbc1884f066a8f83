/**
 * The tensors of a NeMo checkpoint -> the modules of an adapter: fused parts are taken apart, pieces of parallel ranks
 * joined, and everything that does not fit the configuration is told.
 */
import { MODULES, type ModuleName } from '../models/projections.ts';
import { quoted } from '../tensor-files/problems.ts';
import type { StoredTensor } from '../tensor-files/tensor.ts';
import type { AdapterModule } from './adapter.ts';
import type { NemoArchive } from './nemo-archive.ts';
import { NEMO_TARGETS, type NemoConfig, type NemoTarget } from './nemo-config.ts';
import { type NemoPart, PART_FACTS, PARTS, parseNemoKey, partWidths, rowsOfModule } from './nemo-keys.ts';
import { MatrixReader, matrixProblems, type SplitMatrix } from './nemo-matrix.ts';
import { ranges } from './peft-problems.ts';

/** Pieces of one part of one layer, by tensor-parallel rank. */
interface Halves {
  in: (StoredTensor | undefined)[];
  out: (StoredTensor | undefined)[];
}
type Parts = Map<NemoPart, Halves>;
type Readers = { a: MatrixReader; b: MatrixReader };

/** Tensors by layer and part, and the names that are none of a LoRA's. */
export function collectParts(
  archive: NemoArchive,
  layers: number,
): { byLayer: Map<number, Parts>; problems: string[] } {
  const byLayer = new Map<number, Parts>();
  const problems: string[] = [];
  const perStage = layers / archive.pipelineParallel;
  if (!Number.isInteger(perStage)) {
    problems.push(`expected pipeline stages to divide the ${layers} layers, found ${archive.pipelineParallel} stages`);
    return { byLayer, problems };
  }
  for (const [stage, ranks] of archive.stages.entries()) {
    for (const [rank, file] of ranks.entries()) {
      for (const other of file.others.values()) {
        problems.push(`${quoted(other.name)}: expected f32, f16 or bf16 values, found ${other.dtype}`);
      }
      for (const tensor of file.tensors.values()) {
        const key = parseNemoKey(tensor.name);
        if (!key) problems.push(unmatched(tensor.name));
        else if (key.layer >= perStage) {
          problems.push(`tensor ${quoted(tensor.name)}: expected a layer below ${perStage}, found ${key.layer}`);
        } else {
          const layer = key.layer + stage * perStage;
          const parts = byLayer.get(layer) ?? new Map<NemoPart, Halves>();
          const halves = parts.get(key.part) ?? { in: [], out: [] };
          if (halves[key.half][rank]) problems.push(`tensor ${quoted(tensor.name)} is there twice, under two prefixes`);
          halves[key.half][rank] = tensor;
          byLayer.set(layer, parts.set(key.part, halves));
        }
      }
    }
  }
  return { byLayer, problems };
}

function unmatched(name: string): string {
  const why = name.includes('position_embeddings')
    ? 'position embeddings of tied weights are not read'
    : 'it is no part of a LoRA on attention or MLP';
  return `tensor ${quoted(name)} matches nothing: ${why}`;
}

/** Parts that should be there and are not, or the other way round. */
export function coverageProblems(byLayer: ReadonlyMap<number, Parts>, config: NemoConfig): string[] {
  const problems: string[] = [];
  for (let layer = 0; layer < config.layers; layer++) {
    const parts = new Set(byLayer.get(layer)?.keys());
    const selected = config.layerSelection?.has(layer) ?? true;
    for (const target of NEMO_TARGETS) {
      const found = [...parts].filter((part) => PART_FACTS[part].target === target);
      const due = selected && config.targets?.has(target);
      const missing = missingOf(target, found);
      if (found.length === 0 && due)
        problems.push(`layer ${layer}: expected ${target}, as the configuration says, found none`);
      else if (found.length > 0 && !selected) {
        problems.push(`layer ${layer}: expected nothing, as layer_selection says, found ${found.join(', ')}`);
      } else if (found.length > 0 && config.targets && !config.targets.has(target)) {
        problems.push(`layer ${layer}: expected no ${target}, as target_modules says, found ${found.join(', ')}`);
      } else if (found.length > 0 && missing !== null) problems.push(`layer ${layer}: ${missing}`);
      problems.push(...variantProblems(layer, found, config));
    }
  }
  return problems;
}

/** A target is there in its fused form or in all its separate ones. */
function missingOf(target: NemoTarget, found: readonly NemoPart[]): string | null {
  const of = (variant: 'nemo' | 'canonical') =>
    PARTS.filter((part) => PART_FACTS[part].target === target && PART_FACTS[part].variant === variant);
  const [fused, separate] = [of('nemo'), of('canonical')];
  if (fused.some((part) => found.includes(part))) {
    const both = separate.filter((part) => found.includes(part));
    return both.length > 0 ? `expected ${target} fused or apart, found both: ${[...fused, ...both].join(', ')}` : null;
  }
  const missing = separate.filter((part) => !found.includes(part));
  return missing.length > 0 ? `expected ${separate.join(', ')} of ${target}, found no ${missing.join(', ')}` : null;
}

function variantProblems(layer: number, found: readonly NemoPart[], { variant }: NemoConfig): string[] {
  return found.flatMap((part) => {
    const own = PART_FACTS[part].variant;
    if (variant === null || own === 'both' || own === variant) return [];
    return `layer ${layer}: expected variant "${variant}", as the configuration says, found ${part} of "${own}"`;
  });
}

/** The modules by layer and in the order of MODULES, and what is wrong with the shapes of their tensors. */
export function modulesOf(
  byLayer: ReadonlyMap<number, Parts>,
  config: NemoConfig,
  { path, tensorParallel }: { path: string; tensorParallel: number },
): { modules: AdapterModule[]; problems: string[] } {
  const modules: AdapterModule[] = [];
  const problems: string[] = [];
  const readers = { a: new MatrixReader(), b: new MatrixReader() };
  for (const layer of [...byLayer.keys()].sort((a, b) => a - b)) {
    const ofLayer: AdapterModule[] = [];
    for (const [part, halves] of byLayer.get(layer)!) {
      const orphans = orphanProblems(layer, part, halves, tensorParallel);
      problems.push(...orphans);
      if (orphans.length > 0) continue;
      const widths = partWidths(part, config);
      const a: SplitMatrix = {
        ...{ path, rows: config.dim, columns: widths.in, pieces: halves.in as StoredTensor[] },
        splitBy: PART_FACTS[part].inputSplit ? 'columns' : 'rows',
      };
      const b: SplitMatrix = {
        ...{ path, rows: widths.out, columns: config.dim, pieces: halves.out as StoredTensor[] },
        splitBy: 'rows',
      };
      const misshapen = [...matrixProblems(a), ...matrixProblems(b)];
      problems.push(...misshapen);
      if (misshapen.length > 0) continue;
      for (const module of PART_FACTS[part].modules)
        ofLayer.push(moduleOf(layer, module, part, { a, b, config, readers }));
    }
    modules.push(...ofLayer.sort((x, y) => MODULES.indexOf(x.module) - MODULES.indexOf(y.module)));
  }
  return { modules, problems };
}

function orphanProblems(layer: number, part: NemoPart, halves: Halves, ranks: number): string[] {
  return (['in', 'out'] as const).flatMap((half) => {
    const missing = Array.from({ length: ranks }, (_, rank) => rank).filter((rank) => !halves[half][rank]);
    if (missing.length === 0) return [];
    const where = ranks > 1 ? ` of tensor-parallel rank${missing.length > 1 ? 's' : ''} ${ranges(missing)}` : '';
    return `layer ${layer}, ${part}: expected ${PART_FACTS[part].path}.linear_${half}.weight${where}, found none`;
  });
}

function moduleOf(
  layer: number,
  module: ModuleName,
  part: NemoPart,
  { a, b, config, readers }: { a: SplitMatrix; b: SplitMatrix; config: NemoConfig; readers: Readers },
): AdapterModule {
  const rows = rowsOfModule(part, module, config, b.pieces.length);
  return {
    layer,
    module,
    rank: config.dim,
    alpha: config.alpha,
    scale: config.alpha / config.dim,
    in: a.columns,
    out: rows.reduce((sum, [from, to]) => sum + to - from, 0),
    hasMagnitude: false,
    hasBias: false,
    async read() {
      const inward = await readers.a.rows(a, [[0, a.rows]]);
      return { a: inward, b: await readers.b.rows(b, rows), magnitude: null, bias: null };
    },
  };
}
