/** Where AIPerf's files lie, what the one at the top says, and what a cell's runs amount to. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aiperfFiles, writeAiperf } from '../../src/result/aiperf-files.ts';
import type { Result } from '../../src/result/schema.ts';
import { moments } from '../../src/stats/moments.ts';
import { resultFixture } from '../report/fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aiperf-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const read = (path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8'));
const AT_TOP = 'profile_export_aiperf.json';

describe('one run', () => {
  it('is the file at the top', () => {
    const result = resultFixture({ adapters: [0], concurrency: [2], requests: 8 });
    writeAiperf(folder, result);
    expect(aiperfFiles(result).map(({ path }) => path)).toEqual([AT_TOP]);
    expect(read(AT_TOP)).toMatchObject({ schema_version: '1.5', request_count: { avg: 8 }, is_complete: true });
  });
});

describe('several runs', () => {
  const result = resultFixture({ adapters: [0, 2], concurrency: [1], repeats: 2, requests: 6 });
  const ids = result.cells.map(({ id }) => id);

  it("lie in AIPerf's folders of a sweep, and the file at the top lists them without figures", () => {
    writeAiperf(folder, result);
    const paths = ids.flatMap((id) => [
      `aiperf/${id}/profile_runs/run_0001/${AT_TOP}`,
      `aiperf/${id}/profile_runs/run_0002/${AT_TOP}`,
      `aiperf/${id}/aggregate/profile_export_aiperf_aggregate.json`,
    ]);
    const index = read(AT_TOP);
    expect(index.metadata.files).toEqual(paths);
    expect(Object.keys(index)).toEqual(['schema_version', 'benchmark_id', 'metadata']);
    for (const path of paths) expect(read(path)).toEqual(aiperfFiles(result).find((f) => f.path === path)?.document);
  });

  it('amount to their mean and spread', () => {
    writeAiperf(folder, result);
    const [id] = ids;
    const runs = ['run_0001', 'run_0002'].map((run) => read(`aiperf/${id}/profile_runs/${run}/${AT_TOP}`));
    const { metadata, metrics } = read(`aiperf/${id}/aggregate/profile_export_aiperf_aggregate.json`);
    const p99s = runs.map((run) => run.time_to_first_token.p99);
    const { mean, std } = moments(p99s);
    expect(p99s[0]).not.toBe(p99s[1]);
    expect(metrics.time_to_first_token_p99).toEqual({
      mean,
      std,
      min: Math.min(...p99s),
      max: Math.max(...p99s),
      cv: std / mean,
      se: std / Math.sqrt(2),
      unit: 'ms',
    });
    expect(metrics.request_throughput_avg.unit).toBe('requests/sec');
    expect(metrics).not.toHaveProperty('request_throughput_p99');
    expect(metadata).toMatchObject({
      aggregation_type: 'confidence',
      num_profile_runs: 2,
      num_successful_runs: 2,
      failed_runs: [],
      run_labels: [`${id}.0`, `${id}.1`],
      variation_values: runs[0].run_info.variation_values,
    });
    for (const name of ['validity', 'requests_before_steady_state']) expect(metadata).not.toHaveProperty(name);
  });

  it('have no count where it is no whole number, which AIPerf refuses', () => {
    const uneven = resultFixture({ requests: 6, repeats: 2, adapters: [0], concurrency: [1] });
    const longer = resultFixture({ requests: 7, repeats: 2, adapters: [0], concurrency: [1] });
    uneven.cells[0]!.runs[1] = longer.cells[0]!.runs[1]!;
    const aggregate = aiperfFiles(uneven).at(-1)?.document['metrics'] as Record<string, { mean: number }>;
    expect(aggregate).not.toHaveProperty('request_latency_count');
    expect(aggregate['request_count_avg']?.mean).toBe(6.5);
    const even = aiperfFiles(result).at(-1)?.document['metrics'];
    expect(even).toMatchObject({ request_latency_count: { mean: 6 } });
  });

  it('leave those that are not complete out of it, and a cell that has none other without', () => {
    const broken: Result = structuredClone(result);
    broken.cells[0]!.runs[1]!.state = 'failed';
    for (const run of broken.cells[1]!.runs) run.state = 'interrupted';
    writeAiperf(folder, broken);
    const aggregates = read(AT_TOP).metadata.files.filter((path: string) => path.includes('/aggregate/'));
    expect(aggregates).toEqual([`aiperf/${ids[0]}/aggregate/profile_export_aiperf_aggregate.json`]);
    const { metadata, metrics } = read(aggregates[0]);
    expect(metadata).toMatchObject({
      num_profile_runs: 2,
      num_successful_runs: 1,
      single_run: true,
      failed_runs: [{ label: `${ids[0]}.1`, error: 'the run was failed' }],
    });
    const [whole] = [read(`aiperf/${ids[0]}/profile_runs/run_0001/${AT_TOP}`)];
    expect(metrics.request_latency_avg).toMatchObject({ mean: whole.request_latency.avg, std: 0, se: 0 });
  });
});

describe('writing', () => {
  const result = resultFixture({ adapters: [0, 2], concurrency: [1], requests: 2 });

  it('makes no folder that is not the result’s own', () => {
    expect(() => writeAiperf(join(folder, 'nowhere'), result)).toThrow(
      expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE', exitCode: 2 }),
    );
  });

  it('says where it could not write', () => {
    writeFileSync(join(folder, 'aiperf'), 'a file');
    expect(() => writeAiperf(folder, result)).toThrow(
      expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE', message: expect.stringContaining('aiperf') }),
    );
  });

  it('refuses a result whose histogram is broken', () => {
    const broken: Result = structuredClone(result);
    Object.assign(broken.cells[0]!.runs[0]!.metrics['e2e']!, { hdr: 'HISTFAAAbroken' });
    expect(() => writeAiperf(folder, broken)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});
