/** What happens while a plan is executed, told by the runner to whoever shows it (the terminal, tests). */
import type { Cell, Plan, PlannedRun } from '../plan/plan.ts';
import type { RequestRecord, RunResult } from './schema.ts';

export type ProgressEvent =
  | { kind: 'plan'; plan: Plan }
  /** Such as "starting the engine on SwiftShader". */
  | { kind: 'target'; message: string }
  | { kind: 'run-start'; cell: Cell; run: PlannedRun; attempt: number }
  | { kind: 'warmup'; cell: Cell; done: number; total: number }
  /** A measured request ended. `total` is null when the run ends by time. */
  | { kind: 'request'; cell: Cell; record: RequestRecord; ended: number; inFlight: number; total: number | null }
  | { kind: 'run-end'; cell: Cell; run: RunResult }
  | { kind: 'warning'; message: string };

export type Progress = (event: ProgressEvent) => void;
