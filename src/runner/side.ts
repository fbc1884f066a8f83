/**
 * One target of a sweep, with what was measured on it and what went wrong with it. In: a plan, where its servers come
 * from, results of runs. Out: cells for the result, failures that say which target they are about.
 */
import { BenchError } from '../errors.ts';
import type { Cell, Plan } from '../plan/plan.ts';
import type { Arm } from '../result/arms.ts';
import type { CellResult, RunResult } from '../result/schema.ts';
import type { TargetSource } from '../target/target.ts';
import type { RunTokenizer } from './execute-run.ts';
import { Servers, type ServersOptions } from './servers.ts';

/** A target, what is run on it, and with which tokenizer. */
export interface Side {
  /** Of two plans that are run in pairs, cells with the same id are the same load. */
  plan: Plan;
  source: TargetSource;
  /** Makes prompts, and counts tokens where the server does not: that of the cell's model, as far as it is known. */
  tokenizerOf: (cell: Cell) => RunTokenizer;
}

/** What happened to the servers of one side, and how it stands with them. */
export interface SideState {
  failures: readonly BenchError[];
  /** How often one died. */
  deaths: number;
  /** Why one of them could not be had any more; null while all could. */
  lost: string | null;
}

export class ConductedSide implements Side, SideState {
  readonly plan: Plan;
  readonly source: TargetSource;
  readonly tokenizerOf: Side['tokenizerOf'];
  /** null where there is one target, or both arms are this one. */
  readonly arm: Arm | null;
  readonly servers: Servers;
  readonly failures: BenchError[] = [];
  deaths = 0;
  readonly #runs = new Map<string, RunResult[]>();

  constructor(side: Side, arm: Arm | null, options: Omit<ServersOptions, 'source' | 'cells' | 'arm'>) {
    this.plan = side.plan;
    this.source = side.source;
    this.tokenizerOf = side.tokenizerOf;
    this.arm = arm;
    const report = (message: string) => options.report(this.said(message));
    this.servers = new Servers({ ...options, report, source: side.source, cells: side.plan.cells, arm });
  }

  get lost(): string | null {
    return this.servers.lost;
  }

  /** Nothing was measured on it yet. */
  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  /** Of two targets every sentence says which it is about. */
  said(message: string): string {
    return this.arm === null ? message : `${this.arm}: ${message}`;
  }

  /** Notes a failure. @returns it as it is to be told */
  failed(error: BenchError): BenchError {
    const { code, hint } = error;
    const more = { cause: error, ...(hint === undefined ? {} : { hint }) };
    const told = this.arm === null ? error : new BenchError(code, this.said(error.message), more);
    this.failures.push(told);
    return told;
  }

  cell(id: string): Cell | undefined {
    return this.plan.cells.find((cell) => cell.id === id);
  }

  /** Runs of an earlier invocation, which stand until they are measured again. */
  resume(cell: string, runs: RunResult[]): void {
    this.#runs.set(cell, runs);
  }

  /** @returns false where there is nothing in it that was not there before */
  keep(cell: Cell, result: RunResult): boolean {
    // Stopped before its first request: there is nothing in it.
    if (result.state === 'interrupted' && result.counts.issued === 0) return false;
    const before = this.#runs.get(cell.id) ?? [];
    // What an earlier attempt measured stands until there is more.
    if (result.counts.issued === 0 && before.some(({ order }) => order === result.order)) return false;
    const runs = [...before.filter(({ order }) => order !== result.order), result];
    this.#runs.set(
      cell.id,
      runs.sort((a, b) => a.order - b.order),
    );
    return true;
  }

  /** A cell for the result; none where no run of it was begun. */
  cellResult(id: string): CellResult[] {
    const cell = this.cell(id);
    const runs = this.#runs.get(id);
    if (cell === undefined || runs === undefined) return [];
    const target = this.servers.idFor(cell);
    return [{ id, target, at: cell.at, servedRanks: servedRanksOf(cell, this.plan), runs }];
  }
}

/** Where a stand-in scales ranks, those that were really served, each once. */
function servedRanksOf({ adapters }: Cell, { standIn }: Plan): number[] | null {
  if (standIn === null || adapters.length === 0) return null;
  return [...new Set(adapters.flatMap(({ servedRank }) => servedRank ?? []))].sort((a, b) => a - b);
}
