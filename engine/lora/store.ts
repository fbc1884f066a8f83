/**
 * A folder of adapters, as NIM's NIM_PEFT_SOURCE: each sub-folder is an adapter, and its name the adapter's. In: the folder
 * and how often to look at it. Out: calls of load and unload on the core, so that adapters come, go and change while
 * requests run, and lines for people about those that are broken.
 *
 * An adapter found is checked and stays on disk until a request names it. The store acts on changes only: what somebody
 * unloads by hand stays away until its folder changes, and a broken one is told of once and tried again when it changes.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineCore, LoadError } from '../core.ts';
import { EngineError } from '../errors.ts';
import { fingerprintOf } from './loader-fingerprint.ts';

/** What the store is to the core. */
export type StoreCore = Pick<EngineCore, 'info' | 'loadAdapter' | 'unloadAdapter'>;

export interface StoreOptions {
  folder: string;
  /** 0: it is looked at once. */
  refreshSeconds: number;
}

interface Known {
  fingerprint: string;
  /** The core has taken it; false for one that is broken, or whose name another has. */
  loaded: boolean;
}

export class AdapterStore {
  private readonly core: StoreCore;
  private readonly options: StoreOptions;
  private readonly log: (line: string) => void;
  private readonly known = new Map<string, Known>();
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;
  /** The folder cannot be read: told of once, until it can. */
  private unreadable = false;

  constructor(core: StoreCore, options: StoreOptions, log: (line: string) => void) {
    this.core = core;
    this.options = options;
    this.log = log;
  }

  /** Resolves when every adapter that is there now was taken or told of. @throws EngineError usage when it is no folder */
  async start(): Promise<void> {
    const { folder } = this.options;
    const found = await stat(folder).catch(() => null);
    if (!found?.isDirectory()) {
      throw new EngineError('usage', `--peft-source: ${folder} is ${found === null ? 'not there' : 'no folder'}`, {
        hint: 'expected a folder that holds one folder for each adapter',
      });
    }
    await this.scan();
    this.log(`${folder}: ${[...this.known.values()].filter(({ loaded }) => loaded).length} adapters`);
    this.scheduleNext();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
  }

  /** The next look begins when this one is over, so that two never overlap. */
  private scheduleNext(): void {
    const { refreshSeconds } = this.options;
    if (this.stopped || refreshSeconds === 0) return;
    this.timer = setTimeout(async () => {
      await this.scan();
      this.scheduleNext();
    }, refreshSeconds * 1000);
    this.timer.unref();
  }

  /** Looks once. Never rejects: what cannot be read is told of, and the rest goes on. */
  async scan(): Promise<void> {
    const names = await this.names();
    if (names === null) return;
    for (const [name, { loaded }] of this.known) {
      if (names.includes(name)) continue;
      this.known.delete(name);
      if (loaded) this.unload(name);
    }
    for (const name of names) {
      if (this.stopped) return;
      await this.look(name).catch((error: unknown) => this.log(`adapter "${name}": ${String(error)}`));
    }
  }

  /** The sub-folders, links to folders included; null when the store itself cannot be read, which unloads nobody. */
  private async names(): Promise<string[] | null> {
    const { folder } = this.options;
    try {
      const entries = (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
      const folders = await Promise.all(
        entries.map(async (name) => (await stat(join(folder, name)).catch(() => null))?.isDirectory() ?? false),
      );
      this.unreadable = false;
      return entries.filter((_, i) => folders[i]);
    } catch (error) {
      if (!this.unreadable) this.log(`${folder} cannot be read: ${(error as Error).message}`);
      this.unreadable = true;
      return null;
    }
  }

  private async look(name: string): Promise<void> {
    const path = join(this.options.folder, name);
    const fingerprint = await fingerprintOf(path).catch((error: Error) => `unreadable: ${error.message}`);
    const before = this.known.get(name);
    if (before?.fingerprint === fingerprint) return;
    const replace = before?.loaded ?? false;
    const error = await this.load(name, path, replace);
    // One that is to be replaced can exist and be in the way only while somebody else loads it: looked at again next time.
    if (replace && error?.code === 'exists') return;
    const problem = error?.message ?? null;
    // A changed one that is broken now leaves its former self serving: what was asked for last that can be had.
    this.known.set(name, { fingerprint, loaded: problem === null || replace });
    if (problem !== null) this.log(`adapter "${name}" is left out: ${problem}`);
    else if (before) this.log(`adapter "${name}" has changed and was taken again`);
  }

  private async load(name: string, path: string, replace: boolean): Promise<LoadError | null> {
    const { geometry } = this.core.info;
    if (name === geometry.name) return { code: 'bad_path', message: "its folder has the base model's name" };
    return this.core.loadAdapter(name, path, { to: 'disk', replace });
  }

  /** Not waited for: requests that still use it may take long. */
  private unload(name: string): void {
    this.core.unloadAdapter(name).then(
      (found) => found && this.log(`adapter "${name}" is gone`),
      (error: unknown) => this.log(`adapter "${name}": ${String(error)}`),
    );
  }
}
