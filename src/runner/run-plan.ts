/**
 * The conductor: Plan in, measured cells out.
 *
 *   for each run, in the plan's order
 *     server      the one the cell needs: kept, exchanged for another model's, or brought up again after it died
 *     run         execute-run.ts; its records are on disk as its requests end
 *     onRun       the caller stores what there is so far, so that even a killed process leaves a result
 *
 * Nothing that happens to a server ends the sweep while another run can still be measured, and nothing that was measured
 * is dropped: the outcome lists what went wrong beside the cells, and the first failure decides the exit code.
 */
import { randomBytes } from 'node:crypto';
import { BenchError } from '../errors.ts';
import type { Cell, Plan, PlannedRun } from '../plan/plan.ts';
import type { Progress } from '../result/progress.ts';
import type { CellResult, RequestRecord, RunResult, TargetInfo } from '../result/schema.ts';
import type { Target, TargetSource } from '../target/target.ts';
import { executeRun, type RunTokenizer } from './execute-run.ts';
import { ExpectedTime } from './expected-time.ts';
import { timer } from './pacer.ts';
import { RecordSink } from './record-sink.ts';

/** So many deaths without a finished run between them, and the rest would only die too. */
const MOST_DEATHS_IN_A_ROW = 3;
/** How long an endpoint that went away is given to come back; somebody else restarts it, if anybody. */
const COME_BACK_MS = 20_000;
const COME_BACK_GAP_MS = 500;

export interface RunPlanOptions {
  plan: Plan;
  source: TargetSource;
  /** Makes prompts, and counts tokens where the server does not: that of the cell's model, as far as it is known. */
  tokenizerOf: (cell: Cell) => RunTokenizer;
  records: { append(record: RequestRecord): void };
  progress: Progress;
  /** Aborts: stop now, keep what was measured. */
  signal: AbortSignal;
  /** How long an endpoint that went away may take to answer again. */
  comeBackMs?: number;
  /** Called after each run with everything measured so far. */
  onRun?: (outcome: PlanOutcome) => void;
}

export interface PlanOutcome {
  /** Cells of which at least one run was begun, in the plan's order. */
  cells: CellResult[];
  targets: TargetInfo[];
  /** In the order they happened; empty when every run of the plan is done. */
  failures: BenchError[];
  warnings: string[];
}

/**
 * Runs the plan.
 * @throws BenchError when no server could be brought up at all, so that there is nothing to keep
 */
export async function runPlan(options: RunPlanOptions): Promise<PlanOutcome> {
  const conductor = new Conductor(options);
  try {
    return await conductor.run();
  } finally {
    await conductor.stop();
    await options.source.close?.();
  }
}

class Conductor {
  readonly #options: RunPlanOptions;
  readonly #nonce = randomBytes(6).toString('hex');
  readonly #sink: RecordSink;
  readonly #expected = new Map<string, ExpectedTime>();
  readonly #runs = new Map<string, RunResult[]>();
  readonly #targets = new Map<string, TargetInfo>();
  readonly #failures: BenchError[] = [];
  /** Servers that cannot be had any more: their cells are left out. */
  readonly #lost = new Set<string>();
  #current: { key: string; target: Target } | null = null;
  #deathsInARow = 0;
  #skipped = 0;

  constructor(options: RunPlanOptions) {
    this.#options = options;
    this.#sink = new RecordSink(options.records);
  }

  async run(): Promise<PlanOutcome> {
    const { plan, signal, source } = this.#options;
    for (const run of plan.runs) {
      const cell = plan.cells.find(({ id }) => id === run.cell);
      if (cell === undefined)
        throw new BenchError('BUG', `run ${run.order} names cell ${run.cell}, which is not planned`);
      if (signal.aborted) break;
      if (this.#lost.has(source.keyOf(cell))) {
        this.#skipped++;
        continue;
      }
      await this.#runOne(cell, run);
      if (this.#sink.failure !== null) {
        this.#failures.push(this.#sink.failure);
        break;
      }
    }
    if (signal.aborted) {
      this.#failures.unshift(new BenchError('INTERRUPTED', 'interrupted; what was measured until then is kept'));
    }
    return this.#outcome();
  }

  async stop(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    await current?.target.stop();
  }

  async #runOne(cell: Cell, run: PlannedRun): Promise<void> {
    const { progress, signal, tokenizerOf, plan } = this.#options;
    const before = this.#current?.target;
    const target = await this.#targetFor(cell);
    if (target === null) {
      this.#skipped++;
      return;
    }
    progress({ kind: 'run-start', cell, run, attempt: 1 });
    try {
      const result = await executeRun({
        target,
        cell,
        run,
        attempt: 1,
        nonce: `${this.#nonce}-${run.order}`,
        tokenizer: tokenizerOf(cell),
        slo: plan.slo,
        sink: this.#sink,
        expected: this.#expectedOf(cell),
        progress,
        interrupt: signal,
      });
      await this.#keep(cell, result, target);
    } catch (error) {
      // A run that could not begin: nothing of it was measured, the others may still be.
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      if (signal.aborted) return;
      const gone = await this.#couldNotBegin(cell, target, error);
      // A server that had served other runs was dead before this one: it is no fault of this run, and begins again.
      if (gone && target === before) return this.#runOne(cell, run);
      this.#skipped++;
    }
  }

  /** Tells why, and makes sure that the next run gets a server that works. @returns whether the server is gone */
  async #couldNotBegin(cell: Cell, target: Target, error: BenchError): Promise<boolean> {
    const why = (await deathOf(target)) ?? ((await target.suspect()) ? await target.died : null);
    const gone = why !== null || error.code === 'TARGET_DIED';
    // What a dying server does to a request ("connection refused") says less than why it died.
    this.#failed(why === null ? error : new BenchError('TARGET_DIED', `${cell.id}: ${why}`, { cause: error }));
    if (gone) await this.#death();
    // It lives, and yet cannot be connected to: a new one may do better, but nobody died.
    else if (error.code === 'TARGET_UNREACHABLE') await this.stop();
    return gone;
  }

  async #keep(cell: Cell, result: RunResult, target: Target): Promise<void> {
    const { progress, onRun } = this.#options;
    // Stopped before its first request: there is nothing in it.
    if (result.state === 'interrupted' && result.counts.issued === 0) return;
    this.#runs.set(cell.id, [...(this.#runs.get(cell.id) ?? []), result]);
    progress({ kind: 'run-end', cell, run: result });
    if (result.state === 'failed' && this.#sink.failure === null) {
      this.#failed(new BenchError('TARGET_DIED', `${cell.id}: ${await target.died}`));
      await this.#death();
    } else {
      this.#deathsInARow = 0;
    }
    onRun?.(this.#outcome());
  }

  /** The server of that cell, brought up if need be; null when it cannot be had. */
  async #targetFor(cell: Cell): Promise<Target | null> {
    const { source, signal, progress } = this.#options;
    const key = source.keyOf(cell);
    if (this.#current?.key === key) {
      const why = await deathOf(this.#current.target);
      if (why === null) return this.#current.target;
      this.#failed(new BenchError('TARGET_DIED', `before ${cell.id}: ${why}`));
      await this.#death();
    }
    if (this.#lost.has(key)) return null;
    await this.stop();
    const report = (message: string) => progress({ kind: 'target', message });
    try {
      const target = await this.#bringUp(cell, report);
      this.#current = { key, target };
      this.#targets.set(key, this.#identified(key, target.info));
      return target;
    } catch (error) {
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      if (signal.aborted && this.#runs.size > 0) return null;
      if (this.#runs.size === 0 && this.#failures.length === 0 && this.#lastKey(key)) throw error;
      this.#lost.add(key);
      this.#failed(error);
      return null;
    }
  }

  async #bringUp(cell: Cell, report: (message: string) => void): Promise<Target> {
    const { source, signal, comeBackMs = COME_BACK_MS } = this.#options;
    const deadline = performance.now() + (this.#deathsInARow > 0 && source.kind === 'endpoint' ? comeBackMs : 0);
    for (;;) {
      try {
        return await source.bringUp(cell, report, signal);
      } catch (error) {
        const gone = error instanceof BenchError && error.code === 'TARGET_UNREACHABLE';
        if (!gone || signal.aborted || performance.now() >= deadline) throw error;
        await timer(COME_BACK_GAP_MS, signal);
      }
    }
  }

  /** No other server of the plan is left to try. */
  #lastKey(key: string): boolean {
    const keys = new Set(this.#options.plan.cells.map((cell) => this.#options.source.keyOf(cell)));
    return [...keys].every((other) => other === key || this.#lost.has(other));
  }

  async #death(): Promise<void> {
    const key = this.#current?.key;
    await this.stop();
    this.#deathsInARow++;
    if (this.#deathsInARow < MOST_DEATHS_IN_A_ROW || key === undefined) return;
    this.#lost.add(key);
    this.#failed(
      new BenchError('TARGET_DIED', `it died ${this.#deathsInARow} times in a row; its other runs are left out`),
    );
  }

  #failed(error: BenchError): void {
    this.#failures.push(error);
    this.#options.progress({ kind: 'warning', message: error.message });
  }

  /** Several models are several targets, even when one kind of server serves them. */
  #identified(key: string, info: TargetInfo): TargetInfo {
    const known = this.#targets.get(key)?.id;
    const index = this.#targets.size;
    return { ...info, id: known ?? (index === 0 ? info.id : `${info.id}-${index + 1}`) };
  }

  #expectedOf(cell: Cell): ExpectedTime {
    const expected = this.#expected.get(cell.at.model) ?? new ExpectedTime();
    this.#expected.set(cell.at.model, expected);
    return expected;
  }

  #outcome(): PlanOutcome {
    const { plan, source } = this.#options;
    const cells = plan.cells.flatMap((cell): CellResult[] => {
      const runs = this.#runs.get(cell.id);
      if (runs === undefined) return [];
      const target = this.#targets.get(source.keyOf(cell))?.id ?? source.id;
      return [{ id: cell.id, target, at: cell.at, servedRanks: servedRanksOf(cell, plan), runs }];
    });
    const warnings = [...plan.warnings, ...this.#failures.map(({ message }) => message)];
    if (this.#skipped > 0) warnings.push(`${this.#skipped} of ${plan.runs.length} runs could not be measured`);
    return { cells, targets: [...this.#targets.values()], failures: [...this.#failures], warnings };
  }
}

/** Why a server is gone, where that is known already; asks nobody, and waits for nothing. */
async function deathOf({ died }: Target): Promise<string | null> {
  await new Promise((resolve) => setImmediate(resolve)); // an end that was noticed while a result was written
  return Promise.race([died, Promise.resolve(null)]);
}

/** Where a stand-in scales ranks, those that were really served, each once. */
function servedRanksOf({ adapters }: Cell, { standIn }: Plan): number[] | null {
  if (standIn === null || adapters.length === 0) return null;
  return [...new Set(adapters.flatMap(({ servedRank }) => servedRank ?? []))].sort((a, b) => a - b);
}
