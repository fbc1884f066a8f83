/**
 * Where an engine's steps spent their time: a run's profile as rows to read, by kind of step and stage. In: the cells of a result
 * and, where the device's ceilings were measured (bench doctor), those. Out: figures a step, and shares.
 *
 * Bytes and operations are the least a stage has to move and compute, so what it reached of a ceiling is a floor: caches, padding
 * and activations move more.
 */
import type { DeviceFile } from '../result/device-file.ts';
import type { CellResult, StageProfile, StepKindProfile } from '../result/schema.ts';

export interface StageTime {
  stage: string;
  /** "matmul 3.10 ms, shrink 0.22 ms": a step's, longest first. */
  kernels: { kernel: string; ms: number }[];
  /** Of one step, on average. */
  ms: number;
  /** Of the time of all kernels. */
  share: number;
  /** A second; null where none are counted. */
  bytesPerSecond: number | null;
  operationsPerSecond: number | null;
  /** Of what the device reads or computes at most, whichever the stage is nearer to; null where that is not known. */
  ofCeiling: { share: number; of: 'read' | 'rate' } | null;
}

export interface StepTime {
  kind: StepKindProfile['kind'];
  steps: number;
  rows: { least: number; most: number; mean: number };
  /** Of a step, on average. */
  wallMs: number;
  kernelMs: number;
  adapters: number;
  loraRows: number;
  /** In the order of a step. */
  stages: StageTime[];
}

export interface CellStepTime {
  cell: CellResult;
  /** Kinds by their time, most first. */
  kinds: StepTime[];
}

type Ceilings = Pick<DeviceFile['ceilings'], 'read' | 'fma' | 'matrix'>;

const STAGE_WORDS: Readonly<Record<string, string>> = {
  embed: 'embedding',
  qkv: 'q, k, v',
  attention: 'attention',
  o: 'o',
  gateUp: 'gate, up',
  down: 'down',
  head: 'head',
  sample: 'sampling',
};

/** In the order of a step. */
export const STAGES: readonly string[] = Object.keys(STAGE_WORDS);
export const stageWords = (stage: string): string => STAGE_WORDS[stage] ?? stage;

/** Cells that were profiled; of several runs their sums. */
export function stepTimes(cells: readonly CellResult[], ceilings: Ceilings | null): CellStepTime[] {
  return cells.flatMap((cell) => {
    const kinds = merged(cell.runs.flatMap(({ profile }) => profile ?? []));
    return kinds.length === 0 ? [] : [{ cell, kinds: kinds.map((kind) => stepTime(kind, ceilings)) }];
  });
}

function stepTime(kind: StepKindProfile, ceilings: Ceilings | null): StepTime {
  const { steps, rows } = kind;
  const timed = kind.stages.filter(({ ms }) => ms > 0);
  return {
    kind: kind.kind,
    steps,
    rows: { least: rows.least, most: rows.most, mean: rows.sum / steps },
    wallMs: kind.wallMs / steps,
    kernelMs: kind.kernelMs / steps,
    adapters: kind.adapters / steps,
    loraRows: kind.loraRows / steps,
    stages: timed
      .sort((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage))
      .map((stage) => stageTime(stage, kind, ceilings)),
  };
}

function stageTime(
  stage: StageProfile,
  { steps, kernelMs, kernels }: StepKindProfile,
  ceilings: Ceilings | null,
): StageTime {
  const { bytes, operations, ms } = stage;
  const bytesPerSecond = bytes > 0 ? bytes / (ms / 1000) : null;
  const operationsPerSecond = operations > 0 ? operations / (ms / 1000) : null;
  return {
    stage: stage.stage,
    kernels: kernels
      .filter((one) => one.stage === stage.stage)
      .map((one) => ({ kernel: one.kernel, ms: one.ms / steps }))
      .sort((a, b) => b.ms - a.ms),
    ms: ms / steps,
    share: ms / kernelMs,
    bytesPerSecond,
    operationsPerSecond,
    ofCeiling: ceilings === null ? null : nearest(bytesPerSecond, operationsPerSecond, ceilings),
  };
}

function nearest(
  bytes: number | null,
  operations: number | null,
  { read, matrix, fma }: Ceilings,
): StageTime['ofCeiling'] {
  const shares = [
    { of: 'read' as const, share: (bytes ?? 0) / read.best },
    { of: 'rate' as const, share: (operations ?? 0) / (matrix ?? fma).best },
  ].filter(({ share }) => share > 0);
  return shares.sort((a, b) => b.share - a.share)[0] ?? null;
}

/** Steps of one kind and of as many rows, in powers of two, together: as the engine sums them. */
function merged(kinds: readonly StepKindProfile[]): StepKindProfile[] {
  const sums = new Map<string, StepKindProfile>();
  for (const kind of kinds) {
    const key = `${kind.kind} ${Math.ceil(Math.log2(kind.rows.most))}`;
    const sum = sums.get(key);
    sums.set(key, sum === undefined ? structuredClone(kind) : together(sum, kind));
  }
  return [...sums.values()].sort((a, b) => b.kernelMs - a.kernelMs);
}

function together(a: StepKindProfile, b: StepKindProfile): StepKindProfile {
  const rows = {
    least: Math.min(a.rows.least, b.rows.least),
    most: Math.max(a.rows.most, b.rows.most),
    sum: a.rows.sum + b.rows.sum,
  };
  return {
    ...a,
    rows,
    steps: a.steps + b.steps,
    wallMs: a.wallMs + b.wallMs,
    kernelMs: a.kernelMs + b.kernelMs,
    adapters: a.adapters + b.adapters,
    loraRows: a.loraRows + b.loraRows,
    stages: addedUp([...a.stages, ...b.stages], ({ stage }) => stage),
    kernels: addedUp([...a.kernels, ...b.kernels], ({ stage, kernel }) => `${stage} ${kernel}`),
  };
}

/** Those of one name as one, their numbers added. */
function addedUp<T extends object>(all: readonly T[], nameOf: (one: T) => string): T[] {
  const sums = new Map<string, T>();
  for (const one of all) {
    const sum = sums.get(nameOf(one));
    if (sum === undefined) sums.set(nameOf(one), { ...one });
    else {
      const numbers = Object.entries(one).filter(([, value]) => typeof value === 'number') as [keyof T, number][];
      for (const [key, value] of numbers) sum[key] = ((sum[key] as number) + value) as T[keyof T];
    }
  }
  return [...sums.values()];
}
