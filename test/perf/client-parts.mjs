// The measurements of client-speed.mjs, one a process, so that no other's garbage, code or CPU time is in its figures.
//
//   node [--expose-gc] client-parts.mjs '{"part": "cpu" | "stamps" | "lag" | "memory" | "memoryThreads", "program": .., "dist": .., ..}'
//
// In: one JSON argument. Out: one JSON line with what was measured.
//   cpu      chunks a CPU-second of this process, in which nothing but the client runs
//   stamps   from a chunk's writing to its stamp, of every chunk in a steady state, through the runner's threads
//   lag      from a request's intended to its actual sending in an open loop, through the runner's threads
//   memory   heap and resident set over many short requests, through the client in this thread
//   memoryThreads   the same through the runner's threads
import { startChunkServer } from './chunk-server.mjs';
import { coreWaitNs } from './core-wait.mjs';

const { part, program, dist, ...options } = JSON.parse(process.argv[2]);
const load = (file) => import(`${dist}/src/${file}`);
const { createClient } = await load('client/client.js');
const { now, onClock } = await load('client/clock.js');

const CLIENT = { api: 'completions', model: 'm', apiKey: null, headers: {} };
const CONTEXT = { run: 'perf', attempt: 1, temperature: 0, extraBody: {}, timeoutMs: 120_000 };
/** `cap`: the count of tokens that a server with --usage clock gives is a time, and no fault. */
const specOf = (i, outputTokens, intendedOffset = null) => ({
  i,
  phase: 'measure',
  adapter: null,
  prompt: 'one two three',
  promptTokens: 3,
  outputTokens,
  control: 'cap',
  intendedOffset,
});
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (ascending, p) => ascending[Math.ceil(p * ascending.length) - 1];
const quantilesMs = (ns) => {
  const ascending = Float64Array.from(ns).sort();
  const at = (p) => quantile(ascending, p) / 1e6;
  return { count: ascending.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
};

/** Shares of the time in which the client's threads, and the server, were ready to run and others ran. */
function watchCores(server) {
  const read = () => [now(), coreWaitNs(process.pid), coreWaitNs(server.pid)];
  const [from, client, served] = read();
  return () => {
    const [to, clientThen, servedThen] = read();
    if (client === null || served === null) return { clientWaited: null, serverWaited: null };
    return { clientWaited: (clientThen - client) / (to - from), serverWaited: (servedThen - served) / (to - from) };
  };
}

/** So many requests in flight through one client in this thread, until stopped; each record is seen and dropped. */
function keepSending(client, { streams, tokens, onRecord }) {
  let going = true;
  let i = 0;
  const lane = async () => {
    while (going) {
      const { record } = await client.send(specOf(i++, tokens), { ...CONTEXT, intended: now() });
      if (record.outcome !== 'ok') throw new Error(`a request failed: ${record.error} ${record.detail ?? ''}`);
      if (onRecord(record) === false) going = false;
    }
  };
  const ended = Promise.all(Array.from({ length: streams }, lane));
  ended.catch(() => {}); // whoever stops it is told
  return {
    ended,
    stop() {
      going = false;
      return ended;
    },
  };
}

/** Reads that come closer together than this on one stream may have been one. */
const ONE_READ_NS = 50_000;

async function cpu({ mode, gapUs, streams, tokens, seconds, warmSeconds }) {
  const server = await startChunkServer(program, mode, { gapUs });
  const client = createClient({ ...CLIENT, url: server.url });
  await client.connect(streams);
  const times = [];
  const sending = keepSending(client, {
    streams,
    tokens,
    onRecord: ({ sent, chunks }) => times.push(Float64Array.from(chunks, ([since]) => sent + since)),
  });
  await Promise.race([sending.ended, sleep(1000 * warmSeconds)]);
  const waited = watchCores(server);
  const [from, usedBefore] = [now(), process.cpuUsage()];
  await Promise.race([sending.ended, sleep(1000 * seconds)]);
  const [to, used] = [now(), process.cpuUsage(usedBefore)];
  const cores = waited();
  await sending.stop();
  await client.close();
  const cpuSeconds = (used.user + used.system) / 1e6;
  let chunks = 0;
  let together = 0;
  for (const stream of times) {
    for (const [i, at] of stream.entries()) {
      if (at < from || at > to) continue;
      chunks++;
      if (i > 0 && at - stream[i - 1] < ONE_READ_NS) together++;
    }
  }
  return {
    chunksPerCpuSecond: chunks / cpuSeconds,
    chunksPerSecond: chunks / ((to - from) / 1e9),
    /** Share of chunks that came with the one before. */
    together: together / chunks,
    userSeconds: used.user / 1e6,
    systemSeconds: used.system / 1e6,
    ...cores,
    server: await server.stop(),
  };
}

/**
 * Runs loads through the runner's measuring threads, connections opened ahead. The one place here that knows how the
 * runner is driven.
 * @param loads {requests, count, durationMs, loop}, one after the other: the last one counts, those before it compile code
 * @param onRecord gets each record of the last one
 */
async function drive({ server, workers, connections, loads, onRecord }) {
  const { LoadTeam } = await load('runner/load-team.js');
  const { Stock } = await load('runner/stock.js');
  await checkClock(server);
  const team = await LoadTeam.create();
  let failure = null;
  let take = () => {};
  await team.begin({
    client: { ...CLIENT, url: server.url },
    context: CONTEXT,
    workers,
    onAnswer: ({ record }, goOn) => {
      if (record.outcome !== 'ok') failure ??= record;
      take(record);
      goOn();
    },
  });
  await team.connect(connections);
  let outcome;
  let cores;
  for (const [i, { requests, count, durationMs, loop }] of loads.entries()) {
    if (i === loads.length - 1) take = onRecord;
    const stock = new Stock(requests, count);
    const prepared = await team.stockUp(stock, new AbortController().signal);
    const waited = watchCores(server);
    outcome = await team.load({ stock, requests: count, durationMs, loop }, prepared);
    cores = waited();
  }
  await team.end();
  await team.close();
  if (failure !== null) throw new Error(`a request failed: ${failure.error} ${failure.detail ?? ''}`);
  const { start, health } = outcome;
  const gc = health.map(({ gc }) => gc);
  return {
    start,
    fared: {
      busy: Math.max(...health.map(({ busy }) => busy)),
      gcMs: gc.reduce((sum, { totalMs }) => sum + totalMs, 0),
      gcMaxMs: Math.max(...gc.map(({ maxMs }) => maxMs)),
      ...cores,
    },
  };
}

/** The server's stamps and ours are of one clock, or nothing that follows means anything. */
async function checkClock(server) {
  const before = now();
  const { monotonicNs } = await (await fetch(`${server.url}/clock`)).json();
  const [at, after] = [onClock(monotonicNs), now()];
  if (at < before || at > after) throw new Error(`the server's clock says ${at}, ours ${before} to ${after}`);
}

function* specs(tokens, offsets) {
  for (let i = 0; ; i++) yield specOf(i, tokens, offsets === undefined ? null : offsets.next().value);
}

async function stamps({ mode, gapUs, togetherUs, streams, workers, tokens, seconds }) {
  const server = await startChunkServer(program, mode, { gapUs, togetherUs, usage: 'clock' });
  const requestNs = tokens * gapUs * 1000;
  const closed = (spreadNs) => ({ kind: 'closed', concurrency: streams, spreadNs });
  const records = [];
  const { start, fared } = await drive({
    server,
    workers,
    connections: streams,
    onRecord: (record) => records.push(record),
    loads: [
      { requests: specs(10), count: 2 * streams, durationMs: Infinity, loop: closed(0.5e9) },
      // The spread is a request's time: from then on requests end and begin evenly.
      {
        requests: specs(tokens),
        count: Infinity,
        durationMs: requestNs / 1e6 + 1000 * seconds,
        loop: closed(requestNs),
      },
    ],
  });
  const errors = [];
  const [from, to] = [start + requestNs, start + requestNs + 1e9 * seconds];
  for (const { sent, chunks } of records) {
    let written = 0; // the running count is the time of writing: what the chunks add to it adds up to it
    for (const [since, tokensOfChunk] of chunks) {
      written += tokensOfChunk;
      const at = sent + since;
      if (at >= from && at < to) errors.push(at - onClock(written));
    }
  }
  return {
    ...quantilesMs(errors),
    chunksPerSecond: errors.length / seconds,
    ...fared,
    server: await server.stop(),
  };
}

async function lag({ mode, gapUs, togetherUs, rate, workers, tokens, seconds }) {
  const { poissonArrivals } = await load('workload/arrivals/poisson.js');
  const { rngOf } = await load('workload/rng.js');
  const server = await startChunkServer(program, mode, { gapUs, togetherUs });
  const open = (count) => ({
    requests: specs(tokens, poissonArrivals(rate, rngOf(1, 'arrivals'))),
    count,
    durationMs: Infinity,
    loop: { kind: 'open', drainMs: 30_000 },
  });
  const lags = [];
  const { fared } = await drive({
    server,
    workers,
    // Those in flight (Little's law), and as many again as a Poisson process may have more.
    connections: 64 + Math.ceil((1.2 * rate * tokens * gapUs) / 1e6),
    loads: [open(rate), open(rate * seconds)],
    onRecord: ({ sent, intended }) => lags.push(sent - intended),
  });
  return { ...quantilesMs(lags), ...fared, server: await server.stop() };
}

async function memory({ requests, every, streams, tokens }) {
  const server = await startChunkServer(program, 'flood', { seconds: 300 });
  const client = createClient({ ...CLIENT, url: server.url });
  await client.connect(streams);
  const watch = watchMemory(every);
  const onRecord = () => watch.count() < requests;
  await keepSending(client, { streams, tokens, onRecord }).ended;
  await client.close();
  return { ...watch.result(), server: await server.stop() };
}

async function memoryThreads({ requests, every, streams, tokens, workers }) {
  const server = await startChunkServer(program, 'flood', { seconds: 300 });
  const watch = watchMemory(every);
  const loop = { kind: 'closed', concurrency: streams, spreadNs: 0 };
  await drive({
    server,
    workers,
    connections: streams,
    loads: [{ requests: specs(tokens), count: requests, durationMs: Infinity, loop }],
    onRecord: () => watch.count(),
  });
  return { ...watch.result(), server: await server.stop() };
}

/** Samples memory whenever so many more requests have ended, after a collection of this thread's garbage. */
function watchMemory(every) {
  const samples = [];
  const cpu = process.cpuUsage();
  let ended = 0;
  const megabytes = (bytes) => bytes / 2 ** 20;
  return {
    count() {
      if (++ended % every !== 0) return ended;
      globalThis.gc();
      const { rss, heapUsed, external } = process.memoryUsage();
      samples.push({
        requests: ended,
        rssMb: megabytes(rss),
        heapMb: megabytes(heapUsed),
        externalMb: megabytes(external),
      });
      return ended;
    },
    result() {
      const { user, system } = process.cpuUsage(cpu);
      const settled = samples.slice(1); // until then code is compiled and pools fill
      const middle = (list) => list.map(({ rssMb }) => rssMb).sort((a, b) => a - b)[1];
      return {
        samples,
        /** The middle of the last three samples over that of the first three: one sample of it moves by tens of megabytes. */
        rssGrowthMb: middle(settled.slice(-3)) - middle(settled.slice(0, 3)),
        rssBytesPerRequest: slope(settled, ({ rssMb }) => rssMb * 2 ** 20),
        heapBytesPerRequest: slope(settled, ({ heapMb, externalMb }) => (heapMb + externalMb) * 2 ** 20),
        requestsPerCpuSecond: ended / ((user + system) / 1e6),
      };
    },
  };
}

/** Least squares over the number of requests. */
function slope(samples, of) {
  const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
  const [meanX, meanY] = [mean(samples.map(({ requests }) => requests)), mean(samples.map(of))];
  const across = samples.reduce((sum, one) => sum + (one.requests - meanX) * (of(one) - meanY), 0);
  return across / samples.reduce((sum, one) => sum + (one.requests - meanX) ** 2, 0);
}

const result = await { cpu, stamps, lag, memory, memoryThreads }[part](options);
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
