/**
 * A server that somebody's command starts, as a process: from its start to the end of everything it started. In: program,
 * arguments, folder, environment. Out: its last words, its end, and a way to end it.
 *
 * No shell reads the words, and none has to be quoted. It has a process group of its own: Ctrl-C in a terminal reaches the
 * harness alone, which then ends the whole group, wrappers such as `npx` or `sh -c` and what they left behind included.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from '../errors.ts';

/** Answers in progress, and a model's memory, take a while to be given up. */
const STOP_GRACE_MS = 10_000;
/** After SIGKILL nothing is waited for but the system. */
const KILLED_MS = 2_000;
/** How long last words may still be on their way once the process has ended. */
const LAST_WORDS_MS = 300;
const KEPT_LINES = 40;
const TOLD_LINES = 5;

export interface CommandOptions {
  command: readonly string[];
  /** Folder it runs in. */
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
}

export class CommandProcess {
  /** As messages call it: "`vllm serve base`". */
  readonly name: string;
  /** Resolves when the process that was started has ended, however: "exited with code 3", "was ended by SIGKILL". */
  readonly ended: Promise<string>;
  isOver = false;
  readonly #child: ChildProcess;
  /** Nobody writes to its pipes any more: whatever it started with them has ended too. */
  readonly #closed: Promise<unknown>;
  readonly #lines: string[] = [];
  #stopping: Promise<void> | undefined;

  private constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.name = name;
    this.#closed = new Promise((resolve) => child.once('close', resolve));
    const exited = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(signal === null ? `exited with code ${String(code)}` : `was ended by ${signal}`),
      );
    });
    this.ended = exited.then(async (how) => {
      this.isOver = true;
      await Promise.race([this.#closed, sleep(LAST_WORDS_MS)]);
      return how;
    });
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.#keep(line));
    }
    const kill = () => this.#signal('SIGKILL');
    process.once('exit', kill);
    void this.#closed.then(() => process.removeListener('exit', kill));
  }

  /** @throws BenchError PLAN_INVALID when there is no such program */
  static async start({ command, cwd, env }: CommandOptions): Promise<CommandProcess> {
    const [program, ...words] = command;
    const name = `\`${command.join(' ').slice(0, 80)}\``;
    const child = spawn(program!, words, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'ENOENT' ? 'there is no such program' : cause.message;
        const hint = 'the program is looked for as a shell would (PATH), but no shell reads the command';
        reject(
          new BenchError('PLAN_INVALID', `target.command: cannot start ${program} in ${cwd}: ${why}`, { cause, hint }),
        );
      });
    });
    child.on('error', () => {}); // a signal that could not be sent; what came of it is seen at its end
    return new CommandProcess(child, name);
  }

  /** What it wrote last, on either stream, as the end of a sentence; nothing where it wrote nothing. */
  get lastWords(): string {
    const told = this.#lines.slice(-TOLD_LINES);
    return told.length === 0 ? '' : `; its last words: ${told.join(' | ')}`;
  }

  /** Ends the group: asked first, then not. May be called twice. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#signal('SIGTERM');
    await Promise.race([this.#closed, sleep(STOP_GRACE_MS, undefined, { ref: false })]);
    // What holds none of its pipes may be left, or all of it.
    this.#signal('SIGKILL');
    await Promise.race([this.#closed, sleep(KILLED_MS, undefined, { ref: false })]);
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.#child.pid!, signal);
    } catch {
      // Nobody is left in the group.
    }
  }

  #keep(line: string): void {
    if (line.trim() === '') return;
    this.#lines.push(line.trim().slice(0, 300));
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
  }
}
