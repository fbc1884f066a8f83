/** `bench` on the bundled engine with adapters of every kind, from files, merged, cold, and more than there are slots. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RequestRecord } from '../../src/result/schema.ts';
import { Workplace } from './bench.ts';

const MODEL = 'llama-3.2-1b@1/8';
const scenario = (adapters: string, more = 'load: {concurrency: [2]}\nmeasure: {requests: 8}') => `
name: little
models: [${MODEL}]
adapters: ${adapters}
prompt: {tokens: 8}
output: {tokens: 4}
${more}
without_gpu: {models: [${MODEL}]}
`;

let place: Workplace;
let temporary: string;
beforeEach(() => {
  place = new Workplace();
  temporary = join(place.folder, 'tmp');
  mkdirSync(temporary);
});
afterEach(() => place.clear());

/** Files of the run itself go to a folder that can be looked into afterwards. */
const env = () => ({ TMPDIR: temporary });
const adapterFolders = () => readdirSync(temporary).filter((name) => name.startsWith('lorabench-adapters-'));

async function measured(text: string) {
  const { code, stdout, stderr } = await place.bench([place.file('s.yaml', text), '--out', 'o'], env());
  expect(code, stderr).toBe(0);
  const result = place.result('o');
  const requests = place.records('o').filter(({ phase }) => phase === 'measure');
  for (const { runs } of result.cells) expect(runs[0]).toMatchObject({ state: 'done', errors: {} });
  expect(adapterFolders()).toEqual([]);
  return { result, requests, stdout };
}

const ofCell = (requests: readonly RequestRecord[], id: string) => requests.filter(({ run }) => run === `${id}.0`);

describe('adapters that are files', () => {
  it('of every kind serve in one batch', async () => {
    const { result, requests } = await measured(
      scenario('{rank: 16, count: 4, kind: {mix: {lora: 1, dora: 1, vera: 1, tied: 1}}, popularity: round_robin}'),
    );
    expect(new Set(requests.map(({ adapter }) => adapter))).toEqual(
      new Set(['r16-a1', 'r16-dora-a1', 'r16-vera-a1', 'r16-tied-a1']),
    );
    expect(result.cells[0]!.at.kind).toBe('mix(lora:1,dora:1,vera:1,tied:1)');
  });

  it('are removed when it is stopped, too', async () => {
    const text = scenario(
      '{rank: 16, count: 2, modules: [q, v]}',
      'load: {concurrency: [2]}\nmeasure: {requests: 500}',
    );
    const running = place.start([place.file('s.yaml', text), '--out', 'o'], env());
    await place.measured(running, 'o', 2);
    expect(adapterFolders()).toHaveLength(1);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(130);
    expect(adapterFolders()).toEqual([]);
  });
});

describe('an adapter in the weights', () => {
  it('is served by an engine of its own, beside the base and the adapter at run time', async () => {
    const { result, requests, stdout } = await measured(
      scenario('{rank: 16, count: [0, 1], kind: dora, mode: [dynamic, merged]}'),
    );
    expect(result.cells.map(({ at, target }) => [at.adapters, at.mode, target])).toEqual([
      [0, null, 'engine'],
      [1, 'dynamic', 'engine'],
      [1, 'merged', 'engine-2'],
    ]);
    expect(result.targets[1]!.server['merged']).toMatchObject({ name: 'r16-dora-a1', kind: 'dora' });
    for (const { adapter, timings } of ofCell(requests, 'c3')) {
      expect(adapter).toBe('r16-dora-a1');
      expect(timings).toMatchObject({ adapter_tier: null, adapter_ms: 0 });
    }
    expect(stdout).toMatch(/\nmerged · in the weights\n/);
  });
});

describe('cold starts', () => {
  it('meet each adapter where the cell wants it, warm-up or not', async () => {
    // One at a time, each for the next adapter: every request finds its adapter idle.
    const { result, requests } = await measured(
      scenario(
        '{rank: 16, count: 3, popularity: round_robin, residency: [warm, cold_host, cold_disk]}',
        'load: {concurrency: [1]}\nmeasure: {requests: 9}',
      ),
    );
    const tiers = (id: string) => new Set(ofCell(requests, id).map(({ timings }) => timings!.adapter_tier));
    expect(['c1', 'c2', 'c3'].map(tiers)).toEqual([new Set(['device']), new Set(['host']), new Set(['disk'])]);
    for (const { timings } of [...ofCell(requests, 'c2'), ...ofCell(requests, 'c3')]) {
      expect(timings!.adapter_bytes).toBeGreaterThan(0);
      expect(timings!.adapter_ms).toBeGreaterThan(0);
    }
    const [warm, host, disk] = result.cells.map(({ runs }) => runs[0]!.metrics);
    expect(warm!['adapter_load']).toMatchObject({ count: 0, reason: expect.stringContaining('not on the device') });
    for (const cold of [host!, disk!]) {
      expect(cold['adapter_load']).toMatchObject({ unit: 'ms', count: 9 });
      expect(cold['ttft_cold']).toMatchObject({ count: 9 });
      expect(cold['ttft_warm']).toMatchObject({ count: 0 });
    }
  });

  it('happen to adapters that take turns in too few slots', async () => {
    const { result, requests } = await measured(
      `${scenario('{rank: 8, count: 4, popularity: round_robin}', 'load: {concurrency: [2]}\nmeasure: {requests: 16}')}engine: {max_gpu_loras: 2}\n`,
    );
    expect(result.warnings.join()).toContain('4 adapters take turns in 2 slots');
    expect(requests.some(({ timings }) => timings!.adapter_tier !== 'device')).toBe(true);
    expect(new Set(requests.map(({ adapter }) => adapter)).size).toBe(4);
  });
});

describe('bench adapters make', () => {
  it('makes a store that bench serve serves, and another bench measures', async () => {
    const made = await place.bench([
      'adapters',
      'make',
      '--base',
      MODEL,
      '--rank',
      '4',
      '--count',
      '2',
      '--out',
      'store',
    ]);
    expect(made.code, made.stderr).toBe(0);
    const serving = place.start(['serve', '--model', MODEL, '--port', '0', '--peft-source', 'store']);
    let stdout = '';
    serving.child.stdout!.on('data', (text: string) => {
      stdout += text;
    });
    await serving.said(/"ready":\s*true/);
    const line = stdout.split('\n').find((text) => text.startsWith('{'))!;
    const { url } = JSON.parse(line) as { url: string };
    const file = place.file('s.yaml', scenario('{rank: 4, count: [0, 2], popularity: round_robin}'));
    const ended = await place.bench([file, '--endpoint', `${url}/v1`, '--out', 'o']);
    serving.child.kill('SIGINT');
    expect((await serving.ended).code).toBe(0);
    expect(ended.code, ended.stderr).toBe(0);
    const adapters = place.records('o').map(({ adapter }) => adapter);
    expect(new Set(adapters)).toEqual(new Set([null, 'r4-a1', 'r4-a2']));
  });
});
