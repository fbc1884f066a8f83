/**
 * Where steps' time goes, added up: by kind of step, then by stage and kernel. In: each step's timed dispatches and costs. Out:
 * plain data (EXTENSIONS.md, "Profile"), from the last reset on.
 *
 * Steps of one kind do alike work: decodes only or with prefill rows among them, by how many rows, in powers of two.
 */
import type { TimedDispatch } from '../device/timed-pass.ts';
import type { StepCost } from '../transformer/step-cost.ts';

export interface ProfiledStep {
  /** Rows that are decodes of a sequence, and those of prompts. */
  decodes: number;
  prefills: number;
  /** Distinct adapters, and rows that carry one. */
  adapters: number;
  loraRows: number;
  cost: StepCost;
  dispatches: readonly TimedDispatch[];
  /** From the step's submission, or the end of the one before it, until its ids were read back. */
  wallNs: number;
}

export interface KernelProfile {
  stage: string;
  kernel: string;
  /** Dispatches, in all steps of the kind. */
  calls: number;
  ms: number;
}

export interface StageProfile {
  stage: string;
  ms: number;
  /** What the stage had to move and compute at least (transformer/step-cost.ts), in all steps; 0 where that is not counted. */
  bytes: number;
  operations: number;
}

/** All figures are sums over `steps` steps. */
export interface KindProfile {
  kind: 'decode' | 'prefill';
  /** Rows of these steps: at least, at most, and all together. */
  rows: { least: number; most: number; sum: number };
  steps: number;
  wallMs: number;
  kernelMs: number;
  adapters: number;
  loraRows: number;
  stages: StageProfile[];
  kernels: KernelProfile[];
}

export class StepProfile {
  private kinds = new Map<string, KindProfile>();

  add(step: ProfiledStep): void {
    const rows = step.decodes + step.prefills;
    const kind = step.prefills > 0 ? 'prefill' : 'decode';
    const sums = this.kindOf(kind, rows);
    sums.rows.least = Math.min(sums.rows.least, rows);
    sums.rows.most = Math.max(sums.rows.most, rows);
    sums.rows.sum += rows;
    sums.steps++;
    sums.wallMs += step.wallNs / 1e6;
    sums.adapters += step.adapters;
    sums.loraRows += step.loraRows;
    for (const { stage, kernel, ns } of step.dispatches) {
      sums.kernelMs += ns / 1e6;
      stageOf(sums, stage).ms += ns / 1e6;
      const one = kernelOf(sums, stage, kernel);
      one.calls++;
      one.ms += ns / 1e6;
    }
    for (const [stage, { bytes, operations }] of Object.entries(step.cost)) {
      const one = stageOf(sums, stage);
      one.bytes += bytes;
      one.operations += operations;
    }
  }

  reset(): void {
    this.kinds = new Map();
  }

  /** Most time first. */
  get sums(): KindProfile[] {
    return [...this.kinds.values()].sort((a, b) => b.kernelMs - a.kernelMs);
  }

  private kindOf(kind: KindProfile['kind'], rows: number): KindProfile {
    const key = `${kind} ${Math.ceil(Math.log2(rows))}`;
    const known = this.kinds.get(key);
    if (known) return known;
    const made: KindProfile = {
      kind,
      rows: { least: Number.POSITIVE_INFINITY, most: 0, sum: 0 },
      steps: 0,
      wallMs: 0,
      kernelMs: 0,
      adapters: 0,
      loraRows: 0,
      stages: [],
      kernels: [],
    };
    this.kinds.set(key, made);
    return made;
  }
}

function stageOf({ stages }: KindProfile, stage: string): StageProfile {
  let found = stages.find((one) => one.stage === stage);
  if (!found) {
    found = { stage, ms: 0, bytes: 0, operations: 0 };
    stages.push(found);
  }
  return found;
}

function kernelOf({ kernels }: KindProfile, stage: string, kernel: string): KernelProfile {
  let found = kernels.find((one) => one.stage === stage && one.kernel === kernel);
  if (!found) {
    found = { stage, kernel, calls: 0, ms: 0 };
    kernels.push(found);
  }
  return found;
}
