/** Our exports, read by AIPerf's own code: the models it writes its exports from, its units, and what it plots from. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startTimedServer, type TimedServer } from '../support/timed-server.ts';
import type { Prepared, PreparedAiperf } from './prepare.ts';
import { type Block, type Export, type Load, runBench } from './tools.ts';

const prepared = inject('interop');
const aiperf = inject('aiperf');
const READER = fileURLToPath(new URL('read-export.py', import.meta.url));

/** What read-export.py says. */
interface Read {
  documents: Record<string, Export>;
  units: Record<string, string | null>;
  plots: {
    mode: string;
    runs: { label: string; model: string; concurrency: number | null; metrics: Record<string, Block> }[];
  } | null;
}

async function readBack(folder: string): Promise<Read> {
  const { stdout } = await promisify(execFile)((aiperf as PreparedAiperf).python, [READER, folder]);
  return JSON.parse(stdout) as Read;
}

const metricsOf = (exported: Export): [string, Block][] =>
  Object.entries(exported).filter((entry): entry is [string, Block] => Object.hasOwn(Object(entry[1]), 'unit'));

describe.skipIf('skipped' in prepared || 'skipped' in aiperf)("AIPerf's own code reads", () => {
  let server: TimedServer;
  let folder: string;
  let load: Load;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lorabench-export-'));
    // Every seventh request fails, so that errors and adj_ metrics are there to read.
    const fault = (n: number) => (n % 7 === 6 ? { status: 503, body: 'busy' } : null);
    server = await startTimedServer({ ttftMs: 20, gapMs: 5, fault });
    const { model: tokenizer } = prepared as Prepared;
    const url = `http://127.0.0.1:${server.port}`;
    load = { url, model: 'base', tokenizer, concurrency: 2, requests: 28, promptTokens: 20, outputTokens: 10 };
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('a run, value for value, in the units it uses itself', async () => {
    const run = await runBench(load, join(folder, 'one'), { slo: { ttft: '500ms' } });
    const { documents, units, plots } = await readBack(run.folder);
    expect(Object.keys(documents)).toEqual(['profile_export_aiperf.json']);
    expect(plots).toBeNull();
    const read = documents['profile_export_aiperf.json'] as Export;
    const metrics = metricsOf(run.exported);
    expect(metrics.map(([tag]) => tag)).toEqual(
      expect.arrayContaining(['time_to_first_token', 'adj_request_latency', 'error_request_count', 'goodput']),
    );
    for (const [tag, block] of metrics) {
      expect({ tag, block: read[tag] }).toEqual({ tag, block });
      expect({ tag, unit: units[tag] }).toEqual({ tag, unit: block.unit });
    }
    for (const name of [
      'schema_version',
      'benchmark_id',
      'run_info',
      'was_cancelled',
      'is_complete',
      'error_summary',
    ]) {
      expect({ [name]: read[name] }).toEqual({ [name]: run.exported[name] });
    }
    expect(Date.parse(read['start_time'] as string)).toBe(Date.parse(run.exported['start_time'] as string));
    expect(read['error_summary']).toEqual([
      { error_details: { code: 503, type: 'http_503', message: 'http 503' }, count: 4 },
    ]);
  });

  test('a sweep, whose cells it finds to plot', async () => {
    const sweep = { ...load, concurrency: [1, 4], requests: 8 };
    const { folder: out } = await runBench(sweep, join(folder, 'sweep'), { measure: { requests: 8, repeats: 2 } });
    const { documents, plots } = await readBack(out);
    expect(Object.keys(documents).filter((path) => path.includes('/profile_runs/'))).toHaveLength(4);
    expect(plots?.mode).toBe('multi_run');
    expect(plots?.runs.map(({ label, model, concurrency }) => ({ label, model, concurrency }))).toEqual([
      { label: 'concurrency_1', model: 'base', concurrency: 1 },
      { label: 'concurrency_4', model: 'base', concurrency: 4 },
    ]);
    for (const [i, cell] of ['c1', 'c2'].entries()) {
      const runs = Object.entries(documents).filter(([path]) => path.startsWith(`aiperf/${cell}/profile_runs/`));
      const p50s = runs.map(([, document]) => (document['time_to_first_token'] as Block)['p50'] as number);
      const mean = p50s.reduce((a, b) => a + b, 0) / p50s.length;
      expect(plots?.runs[i]?.metrics['time_to_first_token']?.['p50']).toBeCloseTo(mean, 9);
    }
    const index = JSON.parse(await readFile(join(out, 'profile_export_aiperf.json'), 'utf8')) as Export;
    expect(documents['profile_export_aiperf.json']).toEqual(index);
  });
});
