/**
 * What an adapter holds and whether it would load, as plain data for people and programs: a path in, an AdapterReport out.
 * Unlike readAdapter it reads every weight, and it puts problems into the report where that throws them.
 */
import type { Geometry } from '../models/geometry.ts';
import { MODULES, type ModuleName } from '../models/projections.ts';
import { FileError } from '../tensor-files/file-error.ts';
import { told } from '../tensor-files/problems.ts';
import type { AdapterFile, AdapterFormat, AdapterKind, AdapterModule } from './adapter.ts';
import { deltaNorm, largest } from './inspect-norm.ts';
import { PEFT_TYPES } from './peft-config.ts';
import { ranges } from './peft-problems.ts';
import { findAdapter, readAdapter, readConfig } from './read-adapter.ts';

/** Modules of equal rank, alpha and scale. */
export interface ReportGroup {
  modules: ModuleName[];
  /** Such as "0-31" or "0, 4-7": each of the modules is changed in each of these layers. */
  layers: string;
  rank: number;
  /** null where the kind has none (VeRA). */
  alpha: number | null;
  scale: number;
}

export interface ReportNorm {
  layer: number;
  module: ModuleName;
  /** Frobenius norm of scale · B A, the change of the weight; for DoRA before the rows are scaled to their magnitudes. */
  norm: number;
}

export interface AdapterReport {
  path: string;
  /** What it is; null where that could not be told. */
  format: AdapterFormat | null;
  kind: AdapterKind | null;
  /** The base model it names. */
  base: string | null;
  /** Bytes on disk; null when refused. */
  bytes: number | null;
  /** Weights it has, folded vectors aside: rank · (in + out) summed over its modules, with magnitudes and biases. */
  parameters: number | null;
  /** The largest of its modules. */
  rank: number | null;
  modules: ModuleName[];
  /** Such as "0-31". */
  layers: string;
  groups: ReportGroup[];
  /** By layer and module; empty when refused before the weights were read. */
  norms: ReportNorm[];
  /** Root of the sum of their squares. */
  norm: number | null;
  notes: string[];
  /** Why it would not load; none when it would. */
  problems: string[];
}

/** The largest number whose nearest f16 is not infinity is just below this; the engine holds A and B in f16. */
const HALF_LIMIT = 65520;

/** @param geometry of the base it is for; null checks what can be checked without. Throws only where the system fails. */
export async function inspectAdapter(path: string, geometry: Geometry | null): Promise<AdapterReport> {
  const report: AdapterReport = {
    path,
    format: null,
    kind: null,
    base: null,
    bytes: null,
    parameters: null,
    rank: null,
    modules: [],
    layers: '',
    groups: [],
    norms: [],
    norm: null,
    notes: [],
    problems: [],
  };
  try {
    const file = await readAdapter(path, geometry);
    try {
      describe(file, report);
      await measure(file, report);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    report.problems.push(...error.problems);
    if (report.format === null) await guess(path, report);
  }
  return report;
}

function describe(file: AdapterFile, report: AdapterReport): void {
  const { modules } = file;
  Object.assign(report, { format: file.format, kind: file.kind, base: file.base, bytes: file.bytes, rank: file.rank });
  report.notes.push(...file.notes);
  report.parameters = modules.reduce((sum, module) => sum + parametersOf(module), 0);
  report.modules = MODULES.filter((name) => modules.some(({ module }) => module === name));
  report.layers = ranges(modules.map(({ layer }) => layer));
  report.groups = groupsOf(modules);
}

const parametersOf = ({ rank, in: width, out, hasMagnitude, hasBias }: AdapterModule): number =>
  rank * (width + out) + (hasMagnitude ? out : 0) + (hasBias ? out : 0);

/** First by module name the layers of each (rank, alpha, scale), then names that share all of that come together. */
function groupsOf(modules: readonly AdapterModule[]): ReportGroup[] {
  const layersOf = new Map<string, { group: ReportGroup; list: number[] }>();
  for (const { module, layer, rank, alpha, scale } of modules) {
    const key = JSON.stringify([module, rank, alpha, scale]);
    const entry = layersOf.get(key) ?? { group: { modules: [module], layers: '', rank, alpha, scale }, list: [] };
    entry.list.push(layer);
    layersOf.set(key, entry);
  }
  const groups = new Map<string, ReportGroup>();
  for (const { group, list } of layersOf.values()) {
    group.layers = ranges(list);
    const key = JSON.stringify([group.layers, group.rank, group.alpha, group.scale]);
    const same = groups.get(key);
    if (same) same.modules.push(...group.modules);
    else groups.set(key, group);
  }
  return [...groups.values()];
}

/** Reads every weight: norms, and values that the engine could not hold. */
async function measure(file: AdapterFile, report: AdapterReport): Promise<void> {
  const problems: string[] = [];
  let squares = 0;
  for (const module of file.modules) {
    try {
      const weights = await module.read();
      const norm = deltaNorm(weights, module);
      squares += norm ** 2;
      report.norms.push({ layer: module.layer, module: module.module, norm });
      for (const [part, values, scale] of [
        ['A', weights.a, 1],
        ['B', weights.b, 1],
        ['bias', weights.bias, Math.abs(module.scale)],
      ] as const) {
        const most = values ? largest(values) * scale : 0;
        if (most < HALF_LIMIT) continue;
        problems.push(
          `layer ${module.layer}, ${module.module}: ${part}: expected values that f16 holds, up to 65504, found ${most}`,
        );
      }
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      problems.push(...error.problems);
    }
  }
  report.problems.push(...told(problems));
  if (problems.length === 0) report.norm = Math.sqrt(squares);
  if (problems.length === 0 && squares === 0 && file.kind !== 'dora') {
    report.notes.push('the change of every weight is zero: the adapter answers as the base model');
  }
}

/** What can be said of an adapter that was refused: its format, and what its configuration calls itself. */
async function guess(path: string, report: AdapterReport): Promise<void> {
  try {
    const found = await findAdapter(path);
    report.format = found.format;
    if (found.format === 'nemo') return;
    const { fields } = await readConfig(found.path);
    const type = fields['peft_type'];
    const base = fields['base_model_name_or_path'];
    if (typeof base === 'string' && base !== '') report.base = base;
    if (type === 'TIED_LORA') Object.assign(report, { format: 'tied-lora', kind: 'tied' });
    if (type === PEFT_TYPES[0]) report.kind = fields['use_dora'] === true ? 'dora' : 'lora';
    if (type === PEFT_TYPES[1]) report.kind = 'dora';
    if (type === PEFT_TYPES[2]) report.kind = 'vera';
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}
