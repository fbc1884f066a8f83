/**
 * Runs of a plan, one after the other, on one target or on two: what run-plan.ts and run-pairs.ts have in common.
 *
 *   for each run, in the order given
 *     server      the one the cell needs (servers.ts)
 *     run         execute-run.ts; its records are on disk as its requests end
 *     onRun       the caller stores what there is so far, so that even a killed process leaves a result
 *
 * Nothing that happens to a server ends the sweep while another run can still be measured, and nothing that was measured
 * is dropped: the outcome lists what went wrong beside the cells, and the first failure decides the exit code.
 */
import { randomBytes } from 'node:crypto';
import { BenchError } from '../errors.ts';
import type { Cell, PlannedRun } from '../plan/plan.ts';
import { type Arm, runName } from '../result/arms.ts';
import type { Progress } from '../result/progress.ts';
import type { CellResult, RequestRecord, Result, RunResult, SelfCheck, TargetInfo } from '../result/schema.ts';
import type { Target, TargetSource } from '../target/target.ts';
import { clientLimitedWords } from '../validity/client-error.ts';
import { ExactDrives } from './exact-drive.ts';
import { executeRun } from './execute-run.ts';
import { type Expectation, ExpectedTime, PairTime } from './expected-time.ts';
import type { FinishRequest } from './finish-request.ts';
import { LoadTeam } from './load-team.ts';
import { RecordSink } from './record-sink.ts';
import { selfCheckFor } from './self-check/self-check-for.ts';
import { deathOf } from './servers.ts';
import { ConductedSide, type Side, type SideState } from './side.ts';
import type { WorkersOption } from './workers.ts';

export interface ConductOptions {
  records: { append(record: RequestRecord): void };
  /** Threads that measure; as many as each cell needs if not given. */
  workers?: WorkersOption;
  /** Finds out first what the client adds to times at the plan's highest load; takes two seconds. */
  selfCheck?: boolean;
  /** Has each cell's work counted once on each target (exact-drive.ts), beside its first run. */
  exact?: boolean;
  progress: Progress;
  /** Aborts: stop now, keep what was measured. */
  signal: AbortSignal;
  /** Asked: finish the run in progress (of a pair both), then stop. */
  finish?: FinishRequest;
  /** How long an endpoint that went away may take to answer again. */
  comeBackMs?: number;
  /** Called before the first and after each run with everything measured so far. */
  onRun?: (outcome: PlanOutcome) => void;
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

/** @param both sides in the order A, B; one side alone serves every run, whatever its arm */
export async function conduct<T>(
  options: ConductOptions,
  sides: readonly Side[],
  drive: (conductor: Conductor) => Promise<T>,
): Promise<T> {
  const team = await LoadTeam.create();
  const conductor = new Conductor(options, sides, team);
  try {
    return await drive(conductor);
  } finally {
    await conductor.close();
    await team.close();
  }
}

export class Conductor {
  readonly #options: ConductOptions;
  readonly #team: LoadTeam;
  readonly #nonce = randomBytes(6).toString('hex');
  readonly #sink: RecordSink;
  readonly #sides: ConductedSide[];
  readonly #expected = new Map<string, ExpectedTime>();
  /** How often a run was begun, by its name. */
  readonly #attempts = new Map<string, number>();
  readonly #failures: BenchError[] = [];
  /** What the reader must know of the servers. */
  readonly #notes = new Set<string>();
  readonly #drives = new ExactDrives();
  #selfCheck: SelfCheck | null = null;
  #skipped = 0;
  #planned = 0;
  /** Runs that were planned were not begun, because somebody asked to stop. */
  #endedEarly = false;

  constructor(options: ConductOptions, sides: readonly Side[], team: LoadTeam) {
    this.#options = options;
    this.#team = team;
    this.#sink = new RecordSink(options.records);
    this.#sides = sides.map((side, i) => this.#conducted(side, sides.length === 1 ? null : i === 0 ? 'A' : 'B'));
  }

  #conducted(side: Side, arm: Arm | null): ConductedSide {
    const { signal, progress, comeBackMs } = this.#options;
    const report = (message: string) => progress({ kind: 'target', message });
    return new ConductedSide(side, arm, { signal, comeBackMs, report, makeRoom: () => this.#makeRoom(side) });
  }

  /**
   * Two servers stay up side by side, since one that is idle takes no time from the other. Two bundled engines on a GPU do
   * not: they would share it, and WebGPU does not tell how much memory there is for the second.
   */
  async #makeRoom(side: Side): Promise<void> {
    if (!fillsDevice(side.source)) return;
    const others = this.#sides.filter(({ source }) => source !== side.source && fillsDevice(source));
    for (const { servers } of others) await servers.stop();
  }

  /** What an earlier invocation measured of the same plan, of one target. */
  resume(cells: readonly CellResult[], targets: readonly TargetInfo[], attempts: ReadonlyMap<string, number>): void {
    const [side] = this.#sides;
    for (const { id, target, runs } of cells) {
      side?.resume(id, runs);
      const info = targets.find((one) => one.id === target);
      const cell = side?.cell(id);
      if (info !== undefined && cell !== undefined) side?.servers.knew(cell, info);
    }
    for (const [name, count] of attempts) this.#attempts.set(name, count);
  }

  /** To be called once, with all that is planned: before any server is started, which may be on this machine. */
  async begin(planned: readonly PlannedRun[], open: readonly PlannedRun[]): Promise<void> {
    this.#planned = planned.length;
    this.#options.onRun?.(this.outcome());
    if (open.length > 0) await this.#checkClient();
  }

  /** What keeps it from being found out is told, not fatal. */
  async #checkClient(): Promise<void> {
    const { signal, progress, workers = 'auto', selfCheck } = this.#options;
    const [side] = this.#sides;
    if (selfCheck !== true || signal.aborted || side === undefined) return;
    progress({ kind: 'target', message: "checking what the client adds to times, at the plan's highest load" });
    try {
      this.#selfCheck = await selfCheckFor(side.plan, { team: this.#team, workers, signal });
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

  /**
   * Measures groups of runs: single ones, or pairs. A group whose servers cannot all be had any more is left out, since
   * half of a pair says nothing; a server that goes while its group is measured does not keep the rest of the group from it.
   * @returns false when nothing more is to be measured: interrupted, or no room for records
   */
  async measure(groups: Iterable<readonly PlannedRun[]>): Promise<boolean> {
    for (const group of groups) {
      if (this.#finishing) {
        this.#endedEarly = true;
        return false;
      }
      if (this.#stopped || !(await this.#whole(() => this.#measureGroup(group)))) return false;
    }
    return !this.#stopped;
  }

  /** @returns false when nothing more can be measured */
  async #measureGroup(group: readonly PlannedRun[]): Promise<boolean> {
    const runs = group.map((run) => ({ run, ...this.#placeOf(run) }));
    if (runs.some(({ side, cell }) => side.servers.isLost(cell))) {
      this.#skipped += runs.length;
      return true;
    }
    const expected = this.#expectationOf(group[0]!, group.length > 1);
    for (const { side, cell, run } of runs) {
      if (this.#stopped) return false;
      await this.#runOne(side, cell, run, expected);
      if (this.#sink.failure !== null) {
        this.#failures.push(this.#sink.failure);
        return false;
      }
      if (expected instanceof PairTime) expected.hold();
    }
    return true;
  }

  /** Once begun it is finished, unless somebody insists: half of a pair says nothing, and half of a run little. */
  #whole<T>(work: () => Promise<T>): Promise<T> {
    const { finish, progress } = this.#options;
    if (finish === undefined) return work();
    const message = 'finishing what is in progress; Ctrl-C again stops now';
    return finish.whole(work, () => progress({ kind: 'target', message }));
  }

  get #finishing(): boolean {
    return this.#options.finish?.asked === true;
  }

  get #stopped(): boolean {
    return this.#options.signal.aborted || this.#sink.failure !== null;
  }

  #placeOf(run: PlannedRun): { side: ConductedSide; cell: Cell } {
    const side = this.#sides.find(({ arm }) => arm === null || arm === run.arm);
    const cell = side?.cell(run.cell);
    if (side !== undefined && cell !== undefined) return { side, cell };
    throw new BenchError('BUG', `run ${run.order} names cell ${run.cell}, which is not planned`);
  }

  /** Shared by both sides: their cells are the same load. */
  #expectationOf({ cell: id }: PlannedRun, isPair: boolean): Expectation {
    const model = this.#sides[0]?.cell(id)?.at.model ?? id;
    const expected = this.#expected.get(model) ?? new ExpectedTime();
    this.#expected.set(model, expected);
    return isPair ? new PairTime(expected) : expected;
  }

  async #runOne(side: ConductedSide, cell: Cell, run: PlannedRun, expected: Expectation): Promise<void> {
    const { progress, signal, workers = 'auto', exact = false } = this.#options;
    const before = side.servers.current;
    const target = await this.#targetFor(side, cell);
    if (target === null) {
      this.#skipped++;
      return;
    }
    const attempt = this.#nextAttempt(run);
    progress({ kind: 'run-start', cell, run, attempt });
    const tokenizer = side.tokenizerOf(cell);
    const note = (warning: string) => void this.#notes.add(side.said(warning));
    try {
      const result = await executeRun({
        team: this.#team,
        workers,
        target,
        cell,
        run,
        attempt,
        nonce: `${this.#nonce}-${run.order}`,
        tokenizer,
        slo: side.plan.slo,
        selfCheck: this.#selfCheck,
        sink: this.#sink,
        expected,
        progress,
        note,
        interrupt: signal,
      });
      const driven = { target, cell, tokenizer, signal };
      const counted = exact ? await this.#drives.addedTo(result, side.arm ?? '', note, driven) : result;
      await this.#keep(side, cell, counted, target);
    } catch (error) {
      // A run that could not begin: nothing of it was measured, the others may still be.
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      if (signal.aborted) return;
      const gone = await this.#couldNotBegin(side, cell, target, error);
      // A server that had served other runs was dead before this one: it is no fault of this run, and begins again.
      if (gone && target === before) return this.#runOne(side, cell, run, expected);
      this.#skipped++;
    }
  }

  /** Records of a run that could not begin may be there already, of its warm-up: no two attempts have one number. */
  #nextAttempt({ cell, replicate, arm }: PlannedRun): number {
    const name = runName(cell, replicate, arm);
    const attempt = 1 + (this.#attempts.get(name) ?? 0);
    this.#attempts.set(name, attempt);
    return attempt;
  }

  /** Tells why, and makes sure that the next run gets a server that works. @returns whether the server is gone */
  async #couldNotBegin(side: ConductedSide, cell: Cell, target: Target, error: BenchError): Promise<boolean> {
    const why = (await deathOf(target)) ?? ((await target.suspect()) ? await target.died : null);
    const gone = why !== null || error.code === 'TARGET_DIED';
    // What a dying server does to a request ("connection refused") says less than why it died.
    this.#failed(side, why === null ? error : new BenchError('TARGET_DIED', `${cell.id}: ${why}`, { cause: error }));
    if (gone) await this.#death(side);
    // It lives, and yet cannot be connected to: a new one may do better, but nobody died.
    else if (error.code === 'TARGET_UNREACHABLE') await side.servers.stop();
    return gone;
  }

  async #keep(side: ConductedSide, cell: Cell, result: RunResult, target: Target): Promise<void> {
    const { progress, onRun } = this.#options;
    if (!side.keep(cell, result)) return;
    progress({ kind: 'run-end', cell, run: result });
    const limited = clientLimitedWords(result.validity.clientError);
    if (limited !== null) progress({ kind: 'warning', message: side.said(`${cell.id}: ${limited}`) });
    if (result.state === 'failed' && this.#sink.failure === null) {
      this.#failed(side, new BenchError('TARGET_DIED', `${cell.id}: ${await target.died}`));
      await this.#death(side);
    } else {
      side.servers.survived();
    }
    onRun?.(this.outcome());
  }

  /** The server of that cell, brought up if need be; null when it cannot be had. */
  async #targetFor(side: ConductedSide, cell: Cell): Promise<Target | null> {
    const { servers } = side;
    const why = await servers.deathBefore(cell);
    if (why !== null) {
      this.#failed(side, new BenchError('TARGET_DIED', `before ${cell.id}: ${why}`));
      await this.#death(side);
    }
    if (servers.isLost(cell)) return null;
    try {
      return await servers.forCell(cell);
    } catch (error) {
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      const nothing = this.#sides.every(({ isEmpty }) => isEmpty);
      if (this.#options.signal.aborted && !nothing) return null;
      // There is nothing to keep, and nothing left to try: one target alone fails as a whole.
      if (side.arm === null && nothing && this.#failures.length === 0 && servers.isLast(cell)) throw error;
      servers.lose(cell, error.message);
      this.#failed(side, error);
      return null;
    }
  }

  async #death(side: ConductedSide): Promise<void> {
    side.deaths++;
    const why = await side.servers.died();
    if (why !== null) this.#failed(side, new BenchError('TARGET_DIED', why));
  }

  #failed(side: ConductedSide, error: BenchError): void {
    const told = side.failed(error);
    this.#failures.push(told);
    this.#options.progress({ kind: 'warning', message: told.message });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sides.map(({ servers }) => servers.close()));
  }

  /** How it stands with a side; one side alone is both. */
  stateOf(arm: Arm): SideState {
    const { failures, deaths, lost } = this.#sides.find((side) => side.arm === null || side.arm === arm)!;
    return { failures: [...failures], deaths, lost };
  }

  /** Everything measured so far. `final`: nothing more will be, and an interruption is told. */
  outcome(final = false): PlanOutcome {
    const ids = this.#sides[0]?.plan.cells.map(({ id }) => id) ?? [];
    const interrupted = final && (this.#options.signal.aborted || this.#endedEarly);
    const failures = [
      ...(interrupted ? [new BenchError('INTERRUPTED', 'interrupted; what was measured until then is kept')] : []),
      ...this.#failures,
    ];
    const planned = new Set(this.#sides.flatMap(({ plan }) => plan.warnings));
    const warnings = [...planned, ...this.#notes, ...failures.map(({ message }) => message)];
    if (this.#skipped > 0) warnings.push(`${this.#skipped} of ${this.#planned} runs could not be measured`);
    return {
      cells: ids.flatMap((id) => this.#sides.flatMap((side) => side.cellResult(id))),
      targets: this.#sides.flatMap(({ servers }) => servers.infos),
      failures,
      warnings,
      client: { workers: this.#team.size, selfCheck: this.#selfCheck },
    };
  }
}

const fillsDevice = ({ kind, sharesDevice }: TargetSource): boolean => kind === 'engine' && sharesDevice !== true;
