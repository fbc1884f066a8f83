/**
 * What the main thread asks about adapters: load, unload, pin, prefetch, evict. Checks the request, then has residency.ts do
 * it; every refusal is a LoadError or ResidencyError with a sentence, and leaves things as they were.
 */
import type { LoadError, LoadOptions, ResidencyError, ResidencyRequest } from '../core.ts';
import { AdapterFileError, type LoaderThread } from '../lora/loader.ts';
import type { Adapter, AdapterDescription, AdapterRegistry } from '../lora/registry.ts';
import type { Residency } from '../lora/residency.ts';
import { parseSynthetic } from '../lora/synthetic.ts';

const SYNTHETIC = 'synthetic:';

export interface AdapterServiceOptions {
  registry: AdapterRegistry;
  residency: Residency;
  loader: Pick<LoaderThread, 'check'>;
  maxGpuLoras: number;
  maxLoraRank: number;
  /** Name of the adapter folded into the weights, if one was. */
  merged: string | null;
  /** Bytes that an adapter takes on the device. */
  bytesOf(rank: number, hasColumns: boolean): number;
}

export class AdapterService {
  private readonly options: AdapterServiceOptions;
  private readonly loading = new Set<string>();

  constructor(options: AdapterServiceOptions) {
    this.options = options;
  }

  async load(name: string, path: string, { to = 'device', replace = false }: LoadOptions): Promise<LoadError | null> {
    const { registry, maxGpuLoras, merged } = this.options;
    if (merged !== null) {
      return refused(
        'bad_path',
        `started with --merge-lora ${merged}: the base that "${name}" would be added to is not there any more`,
      );
    }
    if (maxGpuLoras === 0) return refused('no_slot', 'started with --max-gpu-loras 0: there is no slot for an adapter');
    if (this.loading.has(name)) return refused('exists', `adapter "${name}" is being loaded just now`);
    if (!replace && registry.get(name)) return refused('exists', `adapter "${name}" is loaded already`);
    this.loading.add(name);
    try {
      const description = await this.describe(path);
      if ('code' in description) return description;
      await this.bringUp(registry.add(name, path, description), to);
      return null;
    } catch (error) {
      if (error instanceof AdapterFileError) return refused(error.code, error.message);
      throw error;
    } finally {
      this.loading.delete(name);
    }
  }

  /** @throws AdapterFileError */
  private async describe(path: string): Promise<AdapterDescription | LoadError> {
    const { loader, maxLoraRank, bytesOf } = this.options;
    let description: AdapterDescription;
    if (path.startsWith(SYNTHETIC)) {
      const synthetic = parseSynthetic(path);
      if (typeof synthetic === 'string') return refused('bad_path', synthetic);
      const { rank } = synthetic;
      description = {
        kind: 'lora',
        format: 'synthetic',
        rank,
        bytes: bytesOf(rank, false),
        synthetic,
        fingerprint: '',
      };
    } else {
      const { kind, format, rank, hasColumns, fingerprint } = await loader.check(path);
      description = { kind, format, rank, bytes: bytesOf(rank, hasColumns), synthetic: null, fingerprint };
    }
    if (description.rank <= maxLoraRank) return description;
    return refused('rank_too_big', `rank ${description.rank} is above --max-lora-rank ${maxLoraRank}`);
  }

  /** Brings it up before requests can name it, so that one that replaces another is warm when it takes over. */
  private async bringUp(adapter: Adapter, to: NonNullable<LoadOptions['to']>): Promise<void> {
    const { registry, residency } = this.options;
    try {
      if (to !== 'disk') await residency.bring(adapter, to, 'free');
    } catch (error) {
      registry.forget(adapter);
      throw error;
    }
    const before = registry.publish(adapter);
    if (!before) return;
    if (before.pinned) residency.setPinned(adapter, true);
    // It ends with its own sequences; nobody waits for that.
    residency.retire(before).catch(() => {});
    // A pinned one comes to the device when a slot is idle, that one's at the latest. Should its file have gone by now, the
    // next request for it is told.
    if (adapter.pinned) residency.bring(adapter, 'host', 'need').catch(() => {});
  }

  /** Resolves when its last sequence has ended and its memory is free. False when there is none of that name. */
  async unload(name: string): Promise<boolean> {
    const { registry, residency } = this.options;
    const adapter = registry.get(name);
    if (!adapter) return false;
    registry.unpublish(name);
    await residency.retire(adapter);
    return true;
  }

  async move({ action, name, to }: ResidencyRequest): Promise<ResidencyError | null> {
    const adapter = this.options.registry.get(name);
    if (!adapter) return refused('not_found', `there is no adapter "${name}"`);
    try {
      if (action === 'pin') return await this.pin(adapter);
      if (action === 'unpin') this.options.residency.setPinned(adapter, false);
      else if (action === 'prefetch') return await this.prefetch(adapter, to === 'host' ? 'host' : 'device');
      else return await this.evict(adapter, to === 'disk' ? 'disk' : 'host');
    } catch (error) {
      if (error instanceof AdapterFileError) return refused('bad_file', error.message);
      throw error;
    }
    return null;
  }

  private async pin(adapter: Adapter): Promise<ResidencyError | null> {
    const problem = await this.options.residency.pin(adapter);
    return problem === null ? null : refused('no_slot', `adapter "${adapter.name}" cannot be pinned: ${problem}`);
  }

  private async prefetch(adapter: Adapter, to: 'host' | 'device'): Promise<ResidencyError | null> {
    const { residency, registry } = this.options;
    if (await residency.bring(adapter, to, 'idle')) return null;
    if (registry.get(adapter.name) !== adapter)
      return refused('not_found', `adapter "${adapter.name}" was unloaded meanwhile`);
    const where = to === 'host' ? 'room in host memory (--max-cpu-loras)' : 'slot (--max-gpu-loras) or host memory';
    return refused('no_slot', `no ${where} for "${adapter.name}": all of it is in use or pinned`);
  }

  private async evict(adapter: Adapter, to: 'host' | 'disk'): Promise<ResidencyError | null> {
    const { name, users, pinned, description } = adapter;
    if (users > 0) return refused('in_use', `adapter "${name}" is used by ${users} sequences`);
    if (pinned) return refused('in_use', `adapter "${name}" is pinned; unpin it first`);
    if (to === 'disk' && description.synthetic) {
      return refused('bad_file', `adapter "${name}" is synthetic and has no file to be read from; evict it to host`);
    }
    return (await this.options.residency.evict(adapter, to))
      ? null
      : refused('in_use', `a request for adapter "${name}" came meanwhile`);
  }
}

const refused = <Code extends string>(code: Code, message: string): { code: Code; message: string } => ({
  code,
  message,
});
