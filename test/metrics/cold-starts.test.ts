/** adapter_load, ttft_cold and ttft_warm, from what the server says of each request. Known answers. */
import { describe, expect, it } from 'vitest';
import { adapterLoad } from '../../src/metrics/adapter-load.ts';
import { ttftCold } from '../../src/metrics/ttft-cold.ts';
import { ttftWarm } from '../../src/metrics/ttft-warm.ts';
import type { ServerTimings } from '../../src/result/schema.ts';
import { failed, input, record, type Sketch } from './records.ts';

const timings = (adapter_tier: ServerTimings['adapter_tier'], adapter_ms = 0): ServerTimings => ({
  queue_ms: 0,
  adapter_ms,
  adapter_tier,
  prefill_ms: 1,
  decode_ms: 1,
  ttft_ms: 2,
  stream_ms: 1,
});
const adapted = (tier: 'device' | 'host' | 'disk', waited: number, ttft: number, more: Sketch = {}) =>
  record({ adapter: 'a', timings: timings(tier, waited), chunks: [[ttft, 1]], ...more });
const base = (ttft: number) => record({ timings: timings(null), chunks: [[ttft, 1]] });

const MIXED = [
  base(5),
  adapted('device', 0, 10),
  adapted('host', 30, 40),
  adapted('disk', 90, 100),
  adapted('device', 0, 12),
];

describe('a run with cold and warm requests', () => {
  it('adapter_load is what the cold ones waited', () => {
    expect(adapterLoad.compute(input(MIXED))).toMatchObject({
      unit: 'ms',
      count: 2,
      min: 30,
      max: 90,
      mean: 60,
      p50: 30,
    });
  });

  it('ttft is split; the base model is in neither part', () => {
    expect(ttftCold.compute(input(MIXED))).toMatchObject({ count: 2, p50: 40, max: 100, censored: 0 });
    expect(ttftWarm.compute(input(MIXED))).toMatchObject({ count: 2, p50: 10, max: 12, censored: 0 });
  });

  it('a request that failed before the server told may belong to either part, and is never dropped', () => {
    const records = [...MIXED, failed({ adapter: 'a', endMs: 500 })];
    expect(ttftCold.compute(input(records))).toMatchObject({ count: 3, censored: 1, p50: 100, max: { gt: 500 } });
    expect(ttftWarm.compute(input(records))).toMatchObject({ count: 3, censored: 1, max: { gt: 500 } });
    const load = adapterLoad.compute(input(records));
    expect(load).toMatchObject({ count: 3, censored: 1, p50: 90, max: { gt: 90 } });
  });

  it('one that failed after the server told is where it belongs', () => {
    const late = adapted('disk', 70, 80, { outcome: 'failed', error: 'wrong_output_tokens', endMs: 200 });
    expect(ttftCold.compute(input([...MIXED, late]))).toMatchObject({ count: 3, censored: 1 });
    expect(ttftWarm.compute(input([...MIXED, late]))).toMatchObject({ count: 2, censored: 0 });
    expect(adapterLoad.compute(input([...MIXED, late]))).toMatchObject({ count: 3, censored: 0, p50: 70 });
  });
});

describe('what is not there has a reason', () => {
  const reasons = (records: ReturnType<typeof record>[]) =>
    [adapterLoad, ttftCold, ttftWarm].map((metric) => {
      const value = metric.compute(input(records));
      return 'reason' in value ? value.reason : 'available';
    });

  it('all warm, all cold', () => {
    const noCold = 'no request came for an adapter that was not on the device';
    expect(reasons([base(5), adapted('device', 0, 10)])).toEqual([noCold, noCold, 'available']);
    const noWarm = 'no request came for an adapter that was on the device';
    expect(reasons([adapted('host', 1, 10)])).toEqual(['available', 'available', noWarm]);
  });

  it('the base alone, an adapter in the weights, no requests', () => {
    const none = Array.from({ length: 3 }, () => 'no request had an adapter to wait for');
    expect(reasons([base(5)])).toEqual(none);
    expect(reasons([record({ adapter: 'a', timings: timings(null) })])).toEqual(none);
    expect(reasons([])).toEqual(none);
  });

  it('a server that says nothing', () => {
    const unknown = 'the server does not say where adapters were when requests came';
    expect(reasons([record({ adapter: 'a' }), record()])).toEqual([unknown, unknown, unknown]);
  });
});
