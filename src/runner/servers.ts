/**
 * The servers of one target, as a sweep needs them: brought up for a cell, kept while cells need the same one, exchanged for
 * another model's, brought up again after a death, and given up when that is no use.
 *
 * In: where servers come from, and the cells. Out: a target that is up; who they were, for the result.
 */
import { BenchError } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import type { Arm } from '../result/arms.ts';
import type { TargetInfo } from '../result/schema.ts';
import type { Target, TargetSource } from '../target/target.ts';
import { timer } from './pacer.ts';

/** So many deaths without a finished run between them, and the rest would only die too. */
const MOST_DEATHS_IN_A_ROW = 3;
/** How long an endpoint that went away is given to come back; somebody else restarts it, if anybody. */
const COME_BACK_MS = 20_000;
const COME_BACK_GAP_MS = 500;

export interface ServersOptions {
  source: TargetSource;
  cells: readonly Cell[];
  /** Which side of a comparison they are; null where there is one target, or both arms are this one. */
  arm: Arm | null;
  report: (message: string) => void;
  signal: AbortSignal;
  /** How long an endpoint that went away may take to answer again. */
  comeBackMs?: number | undefined;
  /** Called before one is brought up: ends what the machine has no room for beside it. */
  makeRoom?: (() => Promise<void>) | undefined;
}

export class Servers {
  readonly #options: ServersOptions;
  readonly #infos = new Map<string, TargetInfo>();
  /** Servers that cannot be had any more, and why. */
  readonly #lost = new Map<string, string>();
  #current: { key: string; target: Target } | null = null;
  #deathsInARow = 0;

  constructor(options: ServersOptions) {
    this.#options = options;
  }

  get infos(): TargetInfo[] {
    return [...this.#infos.values()];
  }

  /** The one that is up. */
  get current(): Target | null {
    return this.#current?.target ?? null;
  }

  /** Why the first of them was given up; null while all can be had. */
  get lost(): string | null {
    return this.#lost.values().next().value ?? null;
  }

  /** Id of the target that a cell ran on. */
  idFor(cell: Cell): string {
    return this.#infos.get(this.#keyOf(cell))?.id ?? this.#options.arm ?? this.#options.source.id;
  }

  /** One of an earlier invocation, whose runs go on. */
  knew(cell: Cell, info: TargetInfo): void {
    this.#infos.set(this.#keyOf(cell), info);
  }

  isLost(cell: Cell): boolean {
    return this.#lost.has(this.#keyOf(cell));
  }

  /** No other server is left to try. */
  isLast(cell: Cell): boolean {
    const own = this.#keyOf(cell);
    const keys = new Set(this.#options.cells.map((one) => this.#keyOf(one)));
    return [...keys].every((key) => key === own || this.#lost.has(key));
  }

  /** Why the server of that cell is gone, where it is up and known to be; asks nobody. */
  async deathBefore(cell: Cell): Promise<string | null> {
    return this.#current?.key === this.#keyOf(cell) ? deathOf(this.#current.target) : null;
  }

  /** The server of that cell, brought up if need be. @throws BenchError when it cannot be */
  async forCell(cell: Cell): Promise<Target> {
    const key = this.#keyOf(cell);
    if (this.#current?.key === key) return this.#current.target;
    await this.stop();
    await this.#options.makeRoom?.();
    const target = await this.#bringUp(cell);
    this.#current = { key, target };
    this.#infos.set(key, this.#identified(key, target.info));
    return target;
  }

  /** It cannot be had any more. */
  lose(cell: Cell, why: string): void {
    this.#lost.set(this.#keyOf(cell), why);
  }

  /** A run was measured to its end. */
  survived(): void {
    this.#deathsInARow = 0;
  }

  /** Clears away the one that died. @returns why no other will be brought up in its place, or null */
  async died(): Promise<string | null> {
    const key = this.#current?.key;
    await this.stop();
    this.#deathsInARow++;
    if (this.#deathsInARow < MOST_DEATHS_IN_A_ROW || key === undefined) return null;
    const why = `it died ${this.#deathsInARow} times in a row; its other runs are left out`;
    this.#lost.set(key, why);
    return why;
  }

  async stop(): Promise<void> {
    const current = this.#current;
    this.#current = null;
    await current?.target.stop();
  }

  /** Ends them, and removes what was made for them. */
  async close(): Promise<void> {
    await this.stop();
    await this.#options.source.close?.();
  }

  #keyOf(cell: Cell): string {
    return this.#options.source.keyOf(cell);
  }

  async #bringUp(cell: Cell): Promise<Target> {
    const { source, signal, report, comeBackMs = COME_BACK_MS } = this.#options;
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

  /** Several models are several targets, even when one kind of server serves them. A side of a comparison is called so. */
  #identified(key: string, info: TargetInfo): TargetInfo {
    const { arm } = this.#options;
    const own = arm === null ? info : { ...info, id: arm, arm };
    const known = this.#infos.get(key)?.id;
    if (known !== undefined) return { ...own, id: known };
    const taken = new Set([...this.#infos.values()].map(({ id }) => id));
    let id = own.id;
    for (let number = 2; taken.has(id); number++) id = `${own.id}-${number}`;
    return { ...own, id };
  }
}

/** Why a server is gone, where that is known already; asks nobody, and waits for nothing. */
export async function deathOf({ died }: Target): Promise<string | null> {
  await new Promise((resolve) => setImmediate(resolve)); // an end that was noticed while a result was written
  return Promise.race([died, Promise.resolve(null)]);
}
