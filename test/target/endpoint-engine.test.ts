/** A real `bench serve` as an endpoint: adapters from a folder of folders, and its own figures while it answers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { makeAdapter } from '../../engine/adapter-files/make-adapter.ts';
import { openBaseNorms } from '../../engine/adapter-files/make-base-norms.ts';
import { findModel } from '../../engine/models/find-model.ts';
import { planOf } from '../../src/plan/plan-of.ts';
import { endpointSource } from '../../src/target/endpoint.ts';
import { adapterLoad } from '../../src/target/endpoint-probe.ts';
import { type EngineProcess, startEngine } from '../../src/target/engine-process.ts';
import { call } from '../../src/target/http.ts';
import { sampleServerMetrics } from '../../src/target/server-metrics.ts';
import { scenarioWith } from '../plan/scenario-text.ts';

const MODEL = 'llama-3.2-1b@1/8';
const NAMES = ['a1', 'a2'];

const folder = mkdtempSync(join(tmpdir(), 'endpoint-engine-'));
let engine: EngineProcess | null = null;
afterEach(async () => {
  await engine?.stop();
  rmSync(folder, { recursive: true });
});

/** As `bench adapters make --out FOLDER` does: a folder for each. */
async function makeAdapters(): Promise<void> {
  const { geometry } = await findModel(MODEL);
  const norms = await openBaseNorms(geometry, null);
  for (const [i, name] of NAMES.entries()) {
    const made = { kind: 'lora', format: 'peft', rank: 2, modules: ['q', 'v'], scale: 1, seed: i } as const;
    await makeAdapter({ ...made, modules: [...made.modules], geometry, folder: null, norms, out: join(folder, name) });
  }
  await norms.close();
}

it('loads adapters from their folder, answers with them, and gives them back', async () => {
  await makeAdapters();
  engine = await startEngine({
    flags: ['--model', MODEL, '--port', '0', '--max-gpu-loras', '2', '--max-lora-rank', '4'],
  });
  const url = `${engine.ready.url}/v1`;
  const options = { url, api: 'completions', apiKeyEnv: null, headers: {}, load: adapterLoad(folder, {}) } as const;
  const scenario = scenarioWith({ adapters: { count: 2, names: NAMES }, models: [MODEL] }, true);
  const models = [{ name: MODEL, adapters: [] }];
  const cell = planOf(scenario, { kind: 'endpoint', models, allowFewer: false }).cells[0]!;
  const target = await endpointSource(options).bringUp(cell, () => {}, new AbortController().signal);
  await target.ensureAdapters(cell);
  const metrics = sampleServerMetrics({ connection: target.connection, everyMs: 20 });
  for (const model of NAMES) {
    const body = { model, prompt: 'a b c', max_tokens: 16, ignore_eos: true };
    expect((await call(`${url}/completions`, { method: 'POST', body, timeoutMs: 60_000 })).status).toBe(200);
  }
  const points = (await metrics.stop())?.points ?? [];
  expect(points.at(-1)?.values).toMatchObject({ loraSlots: 2, loraSlotsUsed: 2 });
  expect(Math.max(...points.map(({ values }) => values.lorasRunning ?? 0))).toBe(1);
  await target.stop();
  const { json } = await call(`${url}/models`);
  expect((json as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual([MODEL]);
});
