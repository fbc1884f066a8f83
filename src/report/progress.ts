/**
 * What a person sees while a plan runs.
 *
 * The runner's events in, text on a stream out. On a terminal there is one line that is redrawn: the cell in progress,
 * requests done, live TTFT, TPOT and throughput, time left; finished runs scroll up above it. Elsewhere, and under CI,
 * there are only whole lines, and a long run gives a sign of life now and then.
 */
import type { Cell, Plan } from '../plan/plan.ts';
import type { Progress, ProgressEvent } from '../result/progress.ts';
import type { RequestRecord, RunResult } from '../result/schema.ts';
import { humanDuration } from '../scenario/units.ts';
import { LiveFigures } from './live-figures.ts';
import { figure, plural } from './numbers.ts';
import { adaptersText, loadKindOf, loadOf, loadText } from './panels.ts';
import { plainText, wrapped } from './terminal.ts';
import { TimeLeft } from './time-left.ts';
import { figureText, runFigure } from './values.ts';

export interface ProgressOptions {
  /** Whether somebody watches; a stream that is no terminal, or CI in the environment, overrules it. */
  interactive: boolean;
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
  env?: Record<string, string | undefined>;
}

/** Redraws a second are enough for the eye; more would only flicker. */
const REDRAW_MS = 120;
/** Without a live line, so often a long run says where it is. */
const SIGN_OF_LIFE_MS = 30_000;
const TICK_MS = 1000;

const isCi = (env: Record<string, string | undefined>): boolean => !['', '0', 'false'].includes(env['CI'] ?? '');

export function createProgress(
  stream: NodeJS.WriteStream,
  options: ProgressOptions,
): { progress: Progress; close: () => void } {
  const now = options.now ?? (() => performance.now());
  const live = options.interactive && stream.isTTY === true && !isCi(options.env ?? process.env);
  const display = new Display(stream, live, now);
  // Time passes also while no request ends; the timer must not keep the process alive.
  const timer = live ? setInterval(() => display.redraw(), TICK_MS).unref() : null;
  return {
    progress: (event) => display.take(event),
    close: () => {
      if (timer !== null) clearInterval(timer);
      display.clear();
    },
  };
}

class Display {
  readonly #stream: NodeJS.WriteStream;
  readonly #live: boolean;
  readonly #now: () => number;
  #plan: Plan | null = null;
  #left: TimeLeft | null = null;
  #figures = new LiveFigures();
  #place = '';
  #status = '';
  #run = 0;
  /** Names of errors that this run has been told to have. */
  #told = new Set<string>();
  #drawnAt = Number.NEGATIVE_INFINITY;
  #lineAt = 0;
  #isDrawn = false;

  constructor(stream: NodeJS.WriteStream, live: boolean, now: () => number) {
    this.#stream = stream;
    this.#live = live;
    this.#now = now;
  }

  take(event: ProgressEvent): void {
    switch (event.kind) {
      case 'plan':
        this.#plan = event.plan;
        this.#left = new TimeLeft(event.plan);
        return;
      case 'target':
        this.#line(plainText(event.message));
        return;
      case 'warning':
        this.#line(`warning: ${plainText(event.message)}`);
        return;
      case 'run-start':
        this.#start(event);
        return;
      case 'warmup':
        this.#left?.warmedUp(this.#now());
        this.#show(`warming up, ${event.done} of ${event.total}`, event.done === event.total);
        return;
      case 'request':
        this.#request(event);
        return;
      case 'run-end':
        this.#left?.runEnded(this.#now());
        this.#status = '';
        this.#line(`${this.#place}: ${outcomeText(event.run)}${this.#leftText()}`);
        return;
    }
  }

  #start({ cell, run, attempt }: Extract<ProgressEvent, { kind: 'run-start' }>): void {
    this.#left?.runStarted(cell, this.#now());
    this.#figures = new LiveFigures();
    this.#told = new Set();
    this.#run = run.order + 1;
    const total = this.#plan?.runs.length ?? this.#run;
    this.#place = `[${this.#run}/${total}] ${cell.id}${run.arm === undefined ? '' : ` on ${run.arm}`} ${this.#describe(cell)}${attempt > 1 ? `, attempt ${attempt}` : ''}`;
    this.#lineAt = this.#now();
    if (this.#live) this.#show('starting', true);
    else this.#line(this.#place);
  }

  #request({ record, ended, inFlight, total }: Extract<ProgressEvent, { kind: 'request' }>): void {
    this.#figures.add(record);
    this.#tellFailure(record);
    this.#left?.requestEnded(ended, inFlight);
    const { ttftMs, tpotMs, tokensPerSecond } = this.#figures.figures;
    const parts = [
      total === null ? plural(ended, 'request') : `${ended} of ${total}`,
      ...(ttftMs === null ? [] : [`TTFT ${figure(ttftMs)} ms`]),
      ...(tpotMs === null ? [] : [`TPOT ${figure(tpotMs)} ms`]),
      ...(tokensPerSecond === null ? [] : [`${figure(tokensPerSecond)} tok/s`]),
      ...(this.#figures.failed === 0 ? [] : [`${this.#figures.failed} failed`]),
    ];
    this.#show(parts.join(' · '), ended === total);
  }

  /** The first of each kind in a run, as it comes; how many there were in the end is in the run's own line. */
  #tellFailure({ outcome, error, detail, i, adapter }: RequestRecord): void {
    if (outcome !== 'failed' || error === null || this.#told.has(error)) return;
    this.#told.add(error);
    const who = `request ${i}${adapter === null ? '' : ` (${adapter})`}`;
    const why = detail === undefined ? '' : `: ${detail}`;
    const text = plainText(`${this.#place}: ${who} failed, ${error}${why}`);
    this.#line(this.#live ? wrapped(text, this.#room()).join('\n') : text);
  }

  /** What sets the cell apart within this plan. */
  #describe(cell: Cell): string {
    const cells = this.#plan?.cells ?? [cell];
    const differs = (key: 'model' | 'weights' | 'rank' | 'promptTokens' | 'outputTokens'): boolean =>
      new Set(cells.map(({ at }) => at[key]).filter((value) => value !== null)).size > 1;
    const { at } = cell;
    return plainText(
      [
        ...(differs('model') ? [at.model] : []),
        ...(differs('weights') ? [String(at.weights)] : []),
        adaptersText(at.adapters),
        ...(differs('rank') && at.rank !== null ? [`rank ${at.rank}`] : []),
        ...(differs('promptTokens') || differs('outputTokens')
          ? [`${at.promptTokens} in, ${at.outputTokens} out`]
          : []),
        loadText(loadKindOf(at), loadOf(at)),
      ].join(', '),
    );
  }

  #leftText(): string {
    const ms = this.#left?.ms(this.#now()) ?? null;
    return ms === null || ms < 500 ? '' : ` · about ${humanDuration(ms)} left`;
  }

  /** A state that passes: the live line, or now and then a whole one. */
  #show(status: string, atOnce: boolean): void {
    this.#status = status;
    if (this.#live) {
      if (atOnce || this.#now() - this.#drawnAt >= REDRAW_MS) this.redraw();
    } else if (this.#now() - this.#lineAt >= SIGN_OF_LIFE_MS) {
      this.#line(`${this.#place}: ${status}${this.#leftText()}`);
    }
  }

  /** A line that stays. */
  #line(text: string): void {
    this.clear();
    this.#lineAt = this.#now();
    this.#stream.write(`${text}\n`);
    if (this.#live && this.#status !== '') this.redraw();
  }

  redraw(): void {
    if (!this.#live || this.#status === '') return;
    const text = `${this.#place} · ${this.#status}${this.#leftText()}`;
    // A line that wraps could not be taken back, so it is cut, one short of the edge.
    const room = this.#room();
    const cut = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    this.#stream.write(`\r${cut}\u001b[K`);
    this.#drawnAt = this.#now();
    this.#isDrawn = true;
  }

  #room(): number {
    return Math.max(20, (this.#stream.columns ?? 80) - 1);
  }

  clear(): void {
    if (this.#isDrawn) this.#stream.write('\r\u001b[K');
    this.#isDrawn = false;
  }
}

function outcomeText(run: RunResult): string {
  const state =
    run.state === 'done'
      ? plural(run.counts.ok, 'request')
      : `${run.state} after ${plural(run.counts.issued, 'request')}`;
  const names = Object.entries(run.errors).map(([name, count]) => `${name} ${count}`);
  const why = names.length === 0 ? '' : ` (${plainText(names.join(', '))})`;
  const failed = run.counts.failed === 0 ? [] : [`${run.counts.failed} failed${why}`];
  const shown = (metric: string, stat: 'p50' | 'value', before: string, after: string): string[] => {
    const one = runFigure(run, metric, stat);
    return one.value === null ? [] : [`${before}${figureText({ ...one, partial: false })}${after}`];
  };
  return [
    state,
    ...failed,
    ...shown('ttft', 'p50', 'TTFT p50 ', ' ms'),
    ...shown('tpot', 'p50', 'TPOT p50 ', ' ms'),
    ...shown('output_tokens_per_second', 'value', '', ' tok/s'),
  ].join(' · ');
}
