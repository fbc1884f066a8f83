/** Adapter files for the engine: made once, read back by the engine's reader, gone at the end. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readAdapter } from '../../engine/adapter-files/read-adapter.ts';
import { type Geometry, geometryOf } from '../../engine/models/geometry.ts';
import { type EngineNeeds, enginePlan } from '../../src/plan/engine-plan.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { AdapterFolder } from '../../src/target/adapter-folder.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

const MODEL = 'llama-3.2-1b@1/8';
const NEVER = new AbortController().signal;

function needsOf(adapters: object): EngineNeeds {
  const scenario = scenarioWith({ models: MODEL, adapters: { rank: 16, ...adapters } });
  return enginePlan(planOf(scenario, { kind: 'engine', software: true, deviceName: 'x' }))[0]!;
}

const folders: AdapterFolder[] = [];
function newFolder(): AdapterFolder {
  const folder = new AdapterFolder({});
  folders.push(folder);
  return folder;
}
afterEach(() => Promise.all(folders.splice(0).map((folder) => folder.remove())));

describe('AdapterFolder', () => {
  it('makes what must be a file, of the kind, rank and modules planned', async () => {
    const said: string[] = [];
    const needs = needsOf({ count: 4, kind: { mix: { lora: 1, dora: 1, vera: 1, tied: 1 } }, modules: ['q', 'down'] });
    const paths = await newFolder().fill(needs, (line) => said.push(line), NEVER);
    expect([...paths.keys()]).toEqual(['r16-a1', 'r16-dora-a1', 'r16-vera-a1', 'r16-tied-a1']);
    expect(said).toEqual(['making 4 adapter files']);
    for (const { name, kind } of needs.adapters) {
      const adapter = await readAdapter(paths.get(name)!, geometryOf(MODEL) as Geometry);
      expect(adapter).toMatchObject({ kind, rank: 2 }); // 16 on a stand-in of 1/8
      expect(new Set(adapter.modules.map(({ module }) => module))).toEqual(new Set(['q', 'down']));
      await adapter.close();
    }
  });

  it('makes nothing where nothing must be a file', async () => {
    const said: string[] = [];
    expect(await newFolder().fill(needsOf({ count: 2 }), (line) => said.push(line), NEVER)).toEqual(new Map());
    expect(said).toEqual([]);
  });

  it('makes each once, also for an engine that is started again; and removes them all', async () => {
    const folder = newFolder();
    const needs = needsOf({ count: [1, 2], residency: 'cold_disk' });
    const paths = await folder.fill(needs, () => {}, NEVER);
    const made = [...paths.values()].map((path) => statSync(path).ctimeMs);
    const said: string[] = [];
    expect(await folder.fill(needs, (line) => said.push(line), NEVER)).toEqual(paths);
    expect([...paths.values()].map((path) => statSync(path).ctimeMs)).toEqual(made);
    expect(said).toEqual([]);
    const above = dirname(dirname([...paths.values()][0]!));
    expect(readdirSync(above)).toHaveLength(1);
    await folder.remove();
    expect(existsSync(above)).toBe(false);
    await folder.remove();
  });

  it('stops between two when interrupted', async () => {
    const stop = new AbortController();
    const filling = newFolder().fill(needsOf({ count: 2, kind: 'dora' }), () => stop.abort(), stop.signal);
    await expect(filling).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });
});
