/** AIPerf's export read back: one that AIPerf 0.13.0 wrote (of a server with known timings, shortened), and documents that are none. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { aiperfFigures } from '../../src/result/aiperf-import.ts';

const text = readFileSync(new URL('../golden/aiperf-export.json', import.meta.url), 'utf8');
const theirs = () => JSON.parse(text) as Record<string, Record<string, number | string>>;
const read = (more: object = {}) => aiperfFigures({ ...theirs(), ...more }, 'x.json');

describe("AIPerf's own", () => {
  it('has its figures under our names, in our units', () => {
    const { figures } = read();
    const document = theirs();
    expect(figures.get('ttft p99')).toEqual({
      value: document['time_to_first_token']!['p99'],
      atLeast: false,
      within: null,
    });
    expect(figures.get('tpot p50')?.value).toBe(document['inter_token_latency']!['p50']);
    expect(figures.get('e2e mean')?.value).toBe(document['request_latency']!['avg']);
    expect(figures.get('chunk_gap p95')?.value).toBe(document['inter_chunk_latency']!['p95']);
    expect(figures.get('output_tokens_per_second_whole_run value')?.value).toBe(
      document['output_token_throughput']!['avg'],
    );
    expect(figures.get('requests_per_second_whole_run value')?.value).toBe(document['request_throughput']!['avg']);
    expect(figures.has('ttft p999')).toBe(false);
  });

  it('says its model, its load, and what it lost', () => {
    expect(read()).toMatchObject({
      model: 'base',
      concurrency: 4,
      issued: 100,
      lost: 1,
      complete: true,
      id: '4e61ab2a09dd',
    });
  });

  it.each([{ was_cancelled: true }, { is_complete: false }])('is of no finished run with %j', (more) => {
    expect(read(more).complete).toBe(false);
  });

  it.each([
    ['sec', 0.25, 250],
    ['ms', 250, 250],
    ['us', 250_000, 250],
    ['ns', 250_000_000, 250],
  ])('in %s is converted', (unit, p50, ms) => {
    expect(read({ time_to_first_token: { unit, p50 } }).figures.get('ttft p50')?.value).toBeCloseTo(ms, 9);
  });

  it('leaves out what has no number, or a unit that is not known', () => {
    const { figures } = read({
      time_to_first_token: { unit: 'fortnights', p50: 1 },
      request_latency: { unit: 'ms', p50: null },
    });
    expect(figures.has('ttft p50')).toBe(false);
    expect(figures.has('e2e p50')).toBe(false);
  });
});

it.each([null, [], 'x', {}, { time_to_first_token: 3 }, { request_count: {} }])('is refused: %j', (document) => {
  expect(() => aiperfFigures(document, 'x.json')).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('x.json is no run') }),
  );
});

it('of several runs names one of their files', () => {
  const files = ['aiperf/c1/profile_runs/run_0001/profile_export_aiperf.json'];
  expect(() => aiperfFigures({ metadata: { files } }, 'x.json')).toThrow(
    expect.objectContaining({ hint: expect.stringContaining(files[0]!) }),
  );
});
