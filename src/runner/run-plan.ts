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
import type { CellResult, RequestRecord, Result, RunResult, SelfCheck, TargetInfo } from '../result/schema.ts';
import type { Target, TargetSource } from '../target/target.ts';
import { clientLimitedWords } from '../validity/client-error.ts';
import { executeRun, type RunTokenizer } from './execute-run.ts';
import { ExpectedTime } from './expected-time.ts';
import { LoadTeam } from './load-team.ts';
import { timer } from './pacer.ts';
import { RecordSink } from './record-sink.ts';
import { selfCheckFor } from './self-check/self-check-for.ts';
import type { WorkersOption } from './workers.ts';

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
  /** Threads that measure; as many as each cell needs if not given. */
  workers?: WorkersOption;
  /** Finds out first what the client adds to times at the plan's highest load; takes two seconds. */
  selfCheck?: boolean;
  progress: Progress;
  /** Aborts: stop now, keep what was measured. */
  signal: AbortSignal;
  /** How long an endpoint that went away may take to answer again. */
  comeBackMs?: number;
  /** Called before the first and after each run with everything measured so far. */
  onRun?: (outcome: PlanOutcome) => void;
  /** What an earlier invocation measured of the same plan. */
  resume?: Resumed;
}

export interface Resumed {
  /** Runs that are done need not be measured again; others stand until they have been. */
  cells: CellResult[];
  targets: TargetInfo[];
  /** How often runs were begun before, by name ("c3.0"). */
  attempts: ReadonlyMap<string, number>;
}

export interface PlanOutcome {
  /** Cells of which at least one run was begun, in the plan's order. */
  cells: CellResult[];
  targets: TargetInfo[];
  /** In the order they happened; empty when every run of the plan is done. */
  failures: BenchError[];
  warnings: string[];
  client: Result['client'];
}

/**
 * Runs the plan.
 * @throws BenchError when no server could be brought up at all, so that there is nothing to keep
 */
export async function runPlan(options: RunPlanOptions): Promise<PlanOutcome> {
  const team = await LoadTeam.create();
  const conductor = new Conductor(options, team);
  try {
    return await conductor.run();
  } finally {
    await conductor.stop();
    await team.close();
    await options.source.close?.();
  }
}

class Conductor {
  readonly #options: RunPlanOptions;
  readonly #team: LoadTeam;
  readonly #nonce = randomBytes(6).toString('hex');
  readonly #sink: RecordSink;
  readonly #expected = new Map<string, ExpectedTime>();
  readonly #runs = new Map<string, RunResult[]>();
  /** By the run's name. */
  readonly #attempts: Map<string, number>;
  readonly #targets = new Map<string, TargetInfo>();
  readonly #failures: BenchError[] = [];
  /** What the reader must know of the servers. */
  readonly #notes = new Set<string>();
  /** Servers that cannot be had any more: their cells are left out. */
  readonly #lost = new Set<string>();
  #current: { key: string; target: Target } | null = null;
  #selfCheck: SelfCheck | null = null;
  #deathsInARow = 0;
  #skipped = 0;

  constructor(options: RunPlanOptions, team: LoadTeam) {
    this.#options = options;
    this.#team = team;
    this.#attempts = new Map(options.resume?.attempts);
    for (const { id, target, runs } of options.resume?.cells ?? []) {
      this.#runs.set(id, runs);
      const info = options.resume?.targets.find((one) => one.id === target);
      const cell = options.plan.cells.find((one) => one.id === id);
      if (info !== undefined && cell !== undefined) this.#targets.set(options.source.keyOf(cell), info);
    }
    this.#sink = new RecordSink(options.records);
  }

  async run(): Promise<PlanOutcome> {
    const { plan, signal, source } = this.#options;
    const begun = [...this.#runs.values()].flat();
    const done = new Set(begun.filter(({ state }) => state === 'done').map(({ order }) => order));
    this.#options.onRun?.(this.#outcome());
    if (done.size < plan.runs.length) await this.#checkClient();
    for (const run of plan.runs) {
      if (done.has(run.order)) continue;
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

  /** Before any server is started, which may be on this machine. What keeps it from being found out is told, not fatal. */
  async #checkClient(): Promise<void> {
    const { plan, signal, progress, workers = 'auto', selfCheck } = this.#options;
    if (selfCheck !== true || signal.aborted) return;
    progress({ kind: 'target', message: "checking what the client adds to times, at the plan's highest load" });
    try {
      this.#selfCheck = await selfCheckFor(plan, { team: this.#team, workers, signal });
      if (this.#selfCheck === null && !signal.aborted) this.#clientUnknown('no request of the self-check succeeded');
    } catch (error) {
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      if (!signal.aborted) this.#clientUnknown(error.message);
    }
  }

  #clientUnknown(why: string): void {
    const message = `what the client adds to times was not found out beforehand: ${why}`;
    this.#notes.add(message);
    this.#options.progress({ kind: 'warning', message });
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
    const attempt = this.#nextAttempt(run);
    progress({ kind: 'run-start', cell, run, attempt });
    try {
      const result = await executeRun({
        team: this.#team,
        workers: this.#options.workers ?? 'auto',
        target,
        cell,
        run,
        attempt,
        nonce: `${this.#nonce}-${run.order}`,
        tokenizer: tokenizerOf(cell),
        slo: plan.slo,
        selfCheck: this.#selfCheck,
        sink: this.#sink,
        expected: this.#expectedOf(cell),
        progress,
        note: (warning) => this.#notes.add(warning),
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

  /** Records of a run that could not begin may be there already, of its warm-up: no two attempts have one number. */
  #nextAttempt({ cell, replicate }: PlannedRun): number {
    const name = `${cell}.${replicate}`;
    const attempt = 1 + (this.#attempts.get(name) ?? 0);
    this.#attempts.set(name, attempt);
    return attempt;
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
    const before = this.#runs.get(cell.id) ?? [];
    // What an earlier attempt measured stands until there is more.
    if (result.counts.issued === 0 && before.some(({ order }) => order === result.order)) return;
    const runs = [...before.filter(({ order }) => order !== result.order), result];
    this.#runs.set(
      cell.id,
      runs.sort((a, b) => a.order - b.order),
    );
    progress({ kind: 'run-end', cell, run: result });
    const limited = clientLimitedWords(result.validity.clientError);
    if (limited !== null) progress({ kind: 'warning', message: `${cell.id}: ${limited}` });
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
    if (known !== undefined) return { ...info, id: known };
    const taken = new Set([...this.#targets.values()].map(({ id }) => id));
    let id = info.id;
    for (let number = 2; taken.has(id); number++) id = `${info.id}-${number}`;
    return { ...info, id };
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
    const warnings = [...plan.warnings, ...this.#notes, ...this.#failures.map(({ message }) => message)];
    if (this.#skipped > 0) warnings.push(`${this.#skipped} of ${plan.runs.length} runs could not be measured`);
    return {
      cells,
      targets: [...this.#targets.values()],
      failures: [...this.#failures],
      warnings,
      client: { workers: this.#team.size, selfCheck: this.#selfCheck },
    };
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
