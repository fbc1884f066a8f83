/**
 * The device thread's side of the loader thread: decides which adapter is read when.
 *
 * Reads that requests wait for go first, then prefetches; each in the order they came. A few run at once and take turns in
 * the thread, so that a huge adapter delays a small one and never blocks it, and prefetches leave a place free for requests.
 * An error belongs to the adapter that has it. Should the thread itself die, the reads in it fail and the next starts another.
 */
import { Worker } from 'node:worker_threads';
import type { Geometry } from '../models/geometry.ts';
import type { CheckedFile, FromLoader, LoaderStart, ToLoader } from './loader-messages.ts';
import type { PackedAdapter } from './packed-adapter.ts';

/** Reads at once, and how many of them may be prefetches. Checks of headers are short and not counted. */
const READS_AT_ONCE = 4;
const PREFETCHES_AT_ONCE = 2;
const CLOSING = 'the engine is shutting down';

export class AdapterFileError extends Error {
  override readonly name = 'AdapterFileError';
  readonly code: 'bad_path' | 'bad_file';

  constructor(code: 'bad_path' | 'bad_file', message: string) {
    super(message);
    this.code = code;
  }
}

export interface ReadImage {
  image: PackedAdapter;
  /** Time the read took, ns. */
  nanoseconds: number;
}

export interface Reading {
  /** @throws AdapterFileError */
  image: Promise<ReadImage>;
  /** A request waits for it now. */
  hurry(): void;
}

/** What residency.ts needs of a loader. */
export interface AdapterLoader {
  /** @param urgency what waits for it: a request, or nobody yet */
  read(path: string, fingerprint: string, urgency: 'request' | 'prefetch'): Reading;
}

interface Task {
  message: ToLoader;
  urgent: boolean;
  resolve(answer: Exclude<FromLoader, { kind: 'failed' }>): void;
  reject(error: AdapterFileError): void;
}

export class LoaderThread implements AdapterLoader {
  private readonly start: LoaderStart;
  private readonly source: URL;
  private worker: Worker | null = null;
  private readonly queue: Task[] = [];
  private readonly running = new Map<number, Task>();
  private tasks = 0;
  private closed = false;

  /** @param source the thread's module; the built one by default: Node 20 runs no TypeScript */
  constructor(geometry: Geometry, source: URL = builtThread()) {
    this.start = { geometry };
    this.source = source;
  }

  /** @throws AdapterFileError with every problem of the file */
  async check(path: string): Promise<CheckedFile> {
    const answer = await new Promise<FromLoader>((resolve, reject) => {
      this.send({ message: { kind: 'check', task: ++this.tasks, path }, urgent: false, resolve, reject });
    });
    return (answer as Extract<FromLoader, { kind: 'checked' }>).file;
  }

  read(path: string, fingerprint: string, urgency: 'request' | 'prefetch'): Reading {
    let hurry = () => {};
    const answer = new Promise<FromLoader>((resolve, reject) => {
      const message: ToLoader = { kind: 'read', task: ++this.tasks, path, fingerprint };
      const task: Task = { message, urgent: urgency === 'request', resolve, reject };
      this.queue.push(task);
      hurry = () => {
        task.urgent = true;
        this.next();
      };
    });
    this.next();
    return { image: answer as Promise<Extract<FromLoader, { kind: 'image' }>>, hurry };
  }

  async close(): Promise<void> {
    this.closed = true;
    const { worker } = this;
    this.abandon(CLOSING);
    for (const { reject } of this.queue.splice(0)) reject(new AdapterFileError('bad_file', CLOSING));
    await worker?.terminate();
  }

  /** Starts as many reads as may run now. */
  private next(): void {
    for (;;) {
      const reads = [...this.running.values()].filter(({ message }) => message.kind === 'read');
      if (reads.length >= READS_AT_ONCE) return;
      const prefetches = reads.filter(({ urgent }) => !urgent).length;
      let at = this.queue.findIndex(({ urgent }) => urgent);
      if (at < 0 && prefetches < PREFETCHES_AT_ONCE) at = 0;
      const task = this.queue[at];
      if (!task) return;
      this.queue.splice(at, 1);
      this.send(task);
    }
  }

  private send(task: Task): void {
    if (this.closed) {
      task.reject(new AdapterFileError('bad_file', CLOSING));
      return;
    }
    this.worker ??= this.startThread();
    this.running.set(task.message.task, task);
    this.worker.postMessage(task.message);
  }

  private startThread(): Worker {
    const worker = new Worker(this.source, { workerData: this.start });
    worker.unref(); // it must not keep a process that is done
    worker.on('message', (message: FromLoader) => {
      const task = this.running.get(message.task);
      this.running.delete(message.task);
      if (message.kind === 'failed') task?.reject(new AdapterFileError(message.code, message.message));
      else task?.resolve(message);
      this.next();
    });
    const died = (why: string) => {
      if (this.worker !== worker) return;
      this.abandon(`the loader thread died while it was read: ${why}`);
      this.next();
    };
    worker.on('error', (error) => died(error.message));
    worker.on('exit', (code) => died(`it ended with ${code}`));
    return worker;
  }

  private abandon(why: string): void {
    this.worker = null;
    const tasks = [...this.running.values()];
    this.running.clear();
    for (const { reject } of tasks) reject(new AdapterFileError('bad_file', why));
  }
}

function builtThread(): URL {
  const here = import.meta.url.replace(/\/engine\/lora\/loader\.ts$/, '/dist/engine/lora/loader.js');
  return new URL('./loader-thread.js', here);
}
