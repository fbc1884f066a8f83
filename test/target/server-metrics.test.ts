/** Reading a server's metrics beside a run: from real servers on loopback, with the clock of the run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { now } from '../../src/client/clock.ts';
import {
  type SampleOptions,
  type ServerMetricSamples,
  sampleServerMetrics,
  seriesOnTimeline,
  serverTimeline,
} from '../../src/target/server-metrics.ts';
import { serving } from '../engine/http/serving.ts';
import { NIM, TENSORRT_LLM, VLLM } from '../support/metrics-pages.ts';
import { type MetricsServer, type Page, startMetricsServer } from '../support/metrics-server.ts';

let server: MetricsServer;
afterEach(() => server?.close());

const EVERY_MS = 20;

async function sampling(pages: Record<string, Page>, more: Partial<SampleOptions> = {}) {
  server = await startMetricsServer(pages);
  const connection = { baseUrl: `${server.origin}/v1`, apiKey: null, headers: {} };
  return sampleServerMetrics({ connection, everyMs: EVERY_MS, ...more });
}

const pathsAsked = () => server.asked.map(({ path }) => path);
const running = (count: number) => `vllm:num_requests_running ${count}\n`;

describe('sampleServerMetrics', () => {
  it('reads until it is stopped, on one connection, with stamps of the clock', async () => {
    const began = now();
    const metrics = await sampling({ '/metrics': VLLM });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(5));
    const samples = await metrics.stop();
    expect(samples).toMatchObject({ source: `${server.origin}/metrics`, reason: null });
    expect(samples?.from.requestsRunning).toBe('vllm:num_requests_running');
    expect(samples?.points[0]?.values).toMatchObject({ requestsRunning: 6, kvCacheUsage: 0.4375 });
    const stamps = samples!.points.map(({ at }) => at);
    expect(stamps.length).toBeGreaterThan(4);
    for (const [i, at] of stamps.entries()) expect(at).toBeGreaterThan(stamps[i - 1] ?? began);
    expect(stamps.at(-1)).toBeLessThan(now());
    expect(server.connections).toBe(1);
    const asked = server.asked.length;
    expect(await metrics.stop()).toBe(samples);
    await sleep(4 * EVERY_MS);
    expect(server.asked).toHaveLength(asked);
  });

  it('reads the page that it is told of, and gives its key to nobody else', async () => {
    const metrics = await sampling({ '/elsewhere': VLLM });
    await metrics.stop();
    const connection = { apiKey: 'k', headers: { 'x-who': 'me' }, metricsUrl: `${server.origin}/elsewhere` };
    const asked = async (baseUrl: string) => {
      server.asked.length = 0;
      const own = sampleServerMetrics({ connection: { ...connection, baseUrl }, everyMs: EVERY_MS });
      await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(0));
      expect((await own.stop())?.source).toBe(connection.metricsUrl);
      return server.asked[0]!;
    };
    const own = await asked(`${server.origin}/v1`);
    expect([own.path, own.headers['authorization'], own.headers['x-who']]).toEqual(['/elsewhere', 'Bearer k', 'me']);
    const other = await asked('http://127.0.0.1:9/v1');
    expect([other.headers['authorization'], other.headers['x-who']]).toEqual([undefined, undefined]);
  });

  const late =
    (ms: () => number): Page =>
    (response) =>
      setTimeout(() => response.end(running(1)), ms());

  it('keeps its interval, however long a page takes', async () => {
    const start = performance.now();
    const metrics = await sampling({ '/metrics': late(() => 60) }, { everyMs: 100 });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(5), { interval: 5 });
    expect(performance.now() - start).toBeLessThan(600); // 0, 100, .. 400: not 0, 160, .. 640
    await metrics.stop();
  });

  it('leaves out the intervals that go by while a page is slow', async () => {
    const metrics = await sampling({ '/metrics': late(() => (server.asked.length === 1 ? 250 : 0)) }, { everyMs: 50 });
    const start = performance.now();
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(4), { interval: 5 });
    expect(performance.now() - start).toBeGreaterThan(380); // 0, 300, 350, 400: not 0, 250, 250, 250
    await metrics.stop();
  });

  it.each([
    ['NIM 1.x', '/v1/metrics', NIM, 5, ['/metrics', '/v1/metrics', '/v1/metrics']],
    [
      'trtllm-serve, whose /metrics is JSON',
      '/prometheus/metrics',
      TENSORRT_LLM,
      7,
      ['/metrics', '/v1/metrics', '/prometheus/metrics', '/prometheus/metrics'],
    ],
  ])('finds the page of %s, and then asks for that alone', async (_server, path, page, value, asked) => {
    const metrics = await sampling({ '/metrics': '[{"numActiveRequests": 1}]', [path]: page });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(asked.length));
    const samples = await metrics.stop();
    expect(pathsAsked().slice(0, asked.length)).toEqual(asked);
    expect(samples?.source).toBe(`${server.origin}${path}`);
    expect(samples?.points[0]?.values.requestsRunning).toBe(value);
  });

  it('follows a page to the same server, and nowhere else', async () => {
    const moved = (location: string): Page => ({ status: 307, headers: { location } });
    const metrics = await sampling({ '/metrics': moved('/metrics/'), '/metrics/': running(1) });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(3));
    expect((await metrics.stop())?.source).toBe(`${server.origin}/metrics/`);
    expect(pathsAsked().slice(0, 3)).toEqual(['/metrics', '/metrics/', '/metrics/']);
    const other = await startMetricsServer({ '/metrics': running(1) });
    const away = await sampling({ '/metrics': moved(`${other.origin}/metrics`) });
    await vi.waitFor(() => expect(server.asked.length).toBe(3));
    expect(await away.stop()).toMatchObject({ source: null, points: [] });
    expect(other.asked).toEqual([]);
    await other.close();
  });

  it("sends the key and the scenario's headers", async () => {
    const connection = { baseUrl: '', apiKey: 'sk-secret', headers: { 'x-team': 'a' } };
    server = await startMetricsServer({ '/metrics': running(1) });
    const metrics = sampleServerMetrics({ connection: { ...connection, baseUrl: `${server.origin}/v1` } });
    await vi.waitFor(() => expect(server.asked.length).toBe(1));
    await metrics.stop();
    expect(server.asked[0]!.headers).toMatchObject({ authorization: 'Bearer sk-secret', 'x-team': 'a' });
  });

  it('is nothing where there is no page', async () => {
    const metrics = await sampling({});
    await vi.waitFor(() => expect(server.asked.length).toBe(9));
    await sleep(3 * EVERY_MS);
    expect(server.asked).toHaveLength(9); // three places, three times
    expect(await metrics.stop()).toBeNull();
  });

  const FAULTS: Record<string, [Page, RegExp]> = {
    'an error': [{ status: 500 }, /\/metrics answered 500, 3 times in a row$/],
    'a refused key': [{ status: 401, body: 'bad key sk-secret' }, /\/metrics answered 401, 3 times/],
    'a cut connection': [(response) => response.destroy(), /\/metrics: .+, 3 times/],
    'half a page': [
      (response) => {
        response.writeHead(200, { 'content-length': 1000 }).write(running(9));
        setTimeout(() => response.destroy(), 5);
      },
      /\/metrics: .+, 3 times/,
    ],
    'a page without end': [
      (response) => {
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(100_000)));
        };
        response.on('drain', more);
        more();
      },
      /\/metrics sent more than 8 MB, 3 times/,
    ],
  };
  it.each(Object.entries(FAULTS))(
    'gives up after three times %s, and keeps what it has',
    async (_what, [fault, reason]) => {
      const metrics = await sampling({ '/metrics': running(1) });
      await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(1));
      server.pages['/metrics'] = fault;
      const before = server.asked.length;
      await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(before + 3), { timeout: 5000 });
      await sleep(5 * EVERY_MS);
      expect(server.asked.length).toBeLessThanOrEqual(before + 4); // one may have been under way
      const samples = await metrics.stop();
      expect(samples?.reason).toMatch(reason);
      expect(samples?.reason).not.toContain('sk-secret');
      expect(samples?.points.length).toBeGreaterThan(0);
      for (const { values } of samples!.points) expect(values).toEqual({ requestsRunning: 1 });
    },
  );

  it('goes on after two failures', async () => {
    const answers: Page[] = [{ status: 500 }, { status: 503 }];
    const page: Page = (response) => {
      const next = answers.shift();
      response.writeHead(typeof next === 'object' ? next.status : 200).end(running(1));
      if (server.asked.length === 4) answers.push({ status: 500 }, { status: 500 });
    };
    const metrics = await sampling({ '/metrics': page });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThanOrEqual(9));
    expect(await metrics.stop()).toMatchObject({ reason: null, source: `${server.origin}/metrics` });
  });

  it('gives a page two seconds, also one that comes in drops', async () => {
    const page: Page = (response) => {
      const timer = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(timer));
    };
    const start = performance.now();
    const metrics = await sampling({ '/metrics': page });
    await vi.waitFor(() => expect(server.asked.length).toBe(2), { timeout: 5000 });
    expect(performance.now() - start).toBeGreaterThan(1900);
    const stopping = performance.now();
    expect(await metrics.stop()).toMatchObject({ source: null, points: [] });
    expect(performance.now() - stopping).toBeLessThan(500); // whatever is under way is cut
  });

  it('says that nothing listens', async () => {
    server = await startMetricsServer();
    await server.close();
    const connection = { baseUrl: `${server.origin}/v1`, apiKey: null, headers: {} };
    const metrics = sampleServerMetrics({ connection, everyMs: 1 });
    await sleep(300);
    expect(await metrics.stop()).toMatchObject({
      source: null,
      reason: `${server.origin}/metrics: connection refused, 3 times in a row`,
    });
  });

  it('ends with the signal', async () => {
    const interrupt = new AbortController();
    const metrics = await sampling({ '/metrics': running(1) }, { signal: interrupt.signal });
    await vi.waitFor(() => expect(server.asked.length).toBeGreaterThan(1));
    interrupt.abort();
    await sleep(2 * EVERY_MS);
    const asked = server.asked.length;
    await sleep(3 * EVERY_MS);
    expect(server.asked).toHaveLength(asked);
    expect((await metrics.stop())?.points.length).toBeGreaterThan(0);
    const late = sampleServerMetrics({
      connection: { baseUrl: server.origin, apiKey: null, headers: {} },
      signal: interrupt.signal,
    });
    expect(await late.stop()).toBeNull();
    expect(server.asked).toHaveLength(asked);
  });

  it("reads the bundled engine's page", async () => {
    const { url, core } = await serving();
    await core.loadAdapter('a1', 'synthetic:rank=4,seed=1');
    const metrics = sampleServerMetrics({
      connection: { baseUrl: `${url}/v1`, apiKey: null, headers: {} },
      everyMs: EVERY_MS,
    });
    await sleep(5 * EVERY_MS);
    const samples = await metrics.stop();
    expect(samples?.points.at(-1)?.values).toEqual({
      requestsRunning: 0,
      requestsWaiting: 0,
      kvCacheUsage: 0,
      lorasRunning: 0,
      lorasWaiting: 0,
      loraSlots: 4,
      loraSlotsUsed: 1,
    });
    expect(samples?.from.loraSlotsUsed).toBe('lorabench:lora_adapters{tier="device"}');
  });
});

describe('seriesOnTimeline', () => {
  const START = 5e9;
  const points = (...read: [seconds: number, values: ServerMetricSamples['points'][number]['values']][]) =>
    read.map(([seconds, values]) => ({ at: START + seconds * 1e9, values }));

  it('gives the mean of each second, and null where nothing was read', () => {
    const read = points(
      [-0.5, { requestsRunning: 100 }],
      [0, { requestsRunning: 1, kvCacheUsage: 0.5 }],
      [0.9, { requestsRunning: 4 }],
      [3.1, { requestsRunning: 7 }],
      [4, { requestsRunning: 100 }],
    );
    expect(seriesOnTimeline({ points: read }, START, 1000, 4)).toEqual({
      requestsRunning: [2.5, null, null, 7],
      kvCacheUsage: [0.5, null, null, null],
    });
    expect(seriesOnTimeline({ points: read }, START, 500, 2)).toMatchObject({ requestsRunning: [1, 4] });
  });

  it('gives what a counter counted since the reading before, also one that began anew', () => {
    const read = points(
      [-1, { preemptions: 10 }],
      [0.5, { preemptions: 12 }],
      [1.5, { preemptions: 12 }],
      [3.5, { preemptions: 5 }],
    );
    expect(seriesOnTimeline({ points: read }, START, 1000, 5)).toEqual({ preemptions: [2, 0, null, 5, null] });
    expect(seriesOnTimeline({ points: read.slice(0, 1) }, START, 1000, 2)).toEqual({});
  });

  it('stands in the result with its source, or not at all', () => {
    const samples: ServerMetricSamples = {
      source: 'http://h/metrics',
      from: { requestsRunning: 'vllm:num_requests_running' },
      points: points([0.5, { requestsRunning: 1 }]),
      reason: null,
    };
    expect(serverTimeline(samples, START, 1000, 1)).toEqual({
      source: 'http://h/metrics',
      from: { requestsRunning: 'vllm:num_requests_running' },
      series: { requestsRunning: [1] },
    });
    expect(serverTimeline(samples, START + 10e9, 1000, 1)).toBeUndefined();
    expect(serverTimeline(null, START, 1000, 1)).toBeUndefined();
    expect(serverTimeline({ ...samples, source: null, points: [] }, START, 1000, 1)).toBeUndefined();
  });
});
