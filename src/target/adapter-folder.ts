/**
 * The files of adapters that are made for the engine: one folder for an invocation, filled before an engine starts, removed
 * at the end. In: what an engine needs. Out: the path of each of its adapters that is a file.
 */
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_SCALE, makeAdapter } from '../../engine/adapter-files/make-adapter.ts';
import { type BaseNorms, openBaseNorms } from '../../engine/adapter-files/make-base-norms.ts';
import { findModel } from '../../engine/models/find-model.ts';
import { BenchError } from '../errors.ts';
import type { EngineNeeds, NeededAdapter } from '../plan/engine-plan.ts';
import type { FolderModels } from '../plan/facts.ts';

export class AdapterFolder {
  readonly #folders: FolderModels;
  #path: string | null = null;
  readonly #removeAtExit = () => this.#remove();

  constructor(folders: FolderModels) {
    this.#folders = folders;
  }

  /**
   * Makes those that are not there yet.
   * @returns path by name
   * @throws BenchError when they cannot be written, or it is interrupted
   */
  async fill(
    { model, adapters }: EngineNeeds,
    report: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Map<string, string>> {
    const needed = adapters.filter(({ inFile }) => inFile);
    const paths = new Map<string, string>();
    if (needed.length === 0) return paths;
    const { geometry, folder } = await this.#modelOf(model);
    const below = join(await this.#made(), model.replace(/[^A-Za-z0-9._-]/g, '_'));
    const missing = needed.filter(({ name }) => !existsSync(join(below, name)));
    if (missing.length > 0) report(`making ${missing.length} adapter ${missing.length === 1 ? 'file' : 'files'}`);
    const norms = missing.length > 0 ? await openBaseNorms(geometry, folder) : null;
    try {
      for (const adapter of needed) {
        if (signal.aborted) throw new BenchError('INTERRUPTED', 'interrupted while adapters were made');
        const out = join(below, adapter.name);
        if (norms !== null && missing.includes(adapter)) await make(adapter, { geometry, folder, norms, out });
        paths.set(adapter.name, out);
      }
    } finally {
      await norms?.close();
    }
    return paths;
  }

  async remove(): Promise<void> {
    this.#remove();
  }

  #modelOf(name: string) {
    const found = Object.values(this.#folders).find(({ geometry }) => geometry.name === name);
    return found ?? findModel(name);
  }

  async #made(): Promise<string> {
    if (this.#path === null) {
      this.#path = await mkdtemp(join(tmpdir(), 'lorabench-adapters-'));
      // A second Ctrl-C ends the process at once; only a kill leaves the folder.
      process.once('exit', this.#removeAtExit);
    }
    return this.#path;
  }

  #remove(): void {
    if (this.#path !== null) rmSync(this.#path, { recursive: true, force: true });
    this.#path = null;
    process.removeListener('exit', this.#removeAtExit);
  }
}

type Base = { geometry: Parameters<typeof makeAdapter>[0]['geometry']; folder: string | null; norms: BaseNorms };

async function make(adapter: NeededAdapter, { out, ...base }: Base & { out: string }): Promise<void> {
  const { name, kind, servedRank: rank, modules, seed } = adapter;
  if (kind === null || rank === null) throw new BenchError('BUG', `adapter "${name}" was planned without kind or rank`);
  try {
    await makeAdapter({ ...base, kind, format: 'peft', rank, modules, scale: DEFAULT_SCALE, seed, out });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new BenchError(
      full ? 'OUTPUT_DISK_FULL' : 'OUTPUT_NOT_WRITABLE',
      `adapter "${name}" cannot be made: ${message}`,
      {
        cause: error,
        hint: 'adapters are made in the folder for temporary files; TMPDIR names another',
      },
    );
  }
}
