// How fast and how true the client is, against a server in C that does nothing but write chunks (chunk-server.c):
//
//   1. chunks a CPU-second, when a read carries many chunks and when each carries one
//   2. how much later than written a chunk is stamped: 1,000 streams x 50/s out of step, 100 streams in step a worker
//   3. how late an open loop sends, at 1,000 requests a second
//   4. memory over a million requests
//
//   npm run build && node test/perf/client-speed.mjs [--only coalesced,memory] [--repeats 3] [--dist DIR] [--json FILE]
//                                                    [--profile DIR]
//
// Needs Linux and cc; takes under six minutes. Prints what was reached beside what is wanted, and the same as JSON. Figures
// are medians of the repetitions with the least and the most of them. `waited` is the share of the time in which the client's
// threads, and the server, could have run and others ran: where it is more than a few percent on an otherwise idle machine,
// the machine has too few cores for client and server together; on a busy one the figure says nothing of the client.
// --dist measures another build; --profile leaves .cpuprofile files in DIR (for Chrome's or VS Code's viewers).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildChunkServer } from './chunk-server.mjs';

/** 50 chunks a second. `togetherUs`: some five streams' chunks in one go, or the server would use half a core on waking. */
const PACED = { mode: 'paced', gapUs: 20_000, togetherUs: 100 };
const OUT_OF_STEP = { part: 'stamps', ...PACED, tokens: 100, seconds: 3 };
const IN_STEP = { part: 'stamps', mode: 'step', gapUs: 20_000, tokens: 100, seconds: 4 };
const OPEN_LOOP = { part: 'lag', ...PACED, rate: 1000, tokens: 16, seconds: 4 };
const SHORT_REQUESTS = { requests: 1_000_000, every: 100_000, streams: 100, tokens: 3 };

const atLeast = (limit) => ({ limit, words: `>= ${limit.toLocaleString('en')}`, met: (x) => x >= limit });
const below = (limit, unit) => ({ limit, words: `< ${limit} ${unit}`, met: (x) => x < limit });

/** @type what is measured: `value` is the figure held against `target`; `note` says what else a reader wants to know */
const MEASUREMENTS = {
  coalesced: {
    title: 'chunks a CPU-second, reads coalesce',
    options: { part: 'cpu', mode: 'flood', streams: 8, tokens: 1000, seconds: 2, warmSeconds: 1 },
    value: ({ chunksPerCpuSecond }) => chunksPerCpuSecond,
    target: atLeast(400_000),
    note: speedNote,
  },
  single: {
    title: 'chunks a CPU-second, one a read, streams out of step',
    options: { part: 'cpu', mode: 'single', gapUs: 2_500, streams: 100, tokens: 400, seconds: 2, warmSeconds: 1 },
    value: ({ chunksPerCpuSecond }) => chunksPerCpuSecond,
    target: atLeast(60_000),
    note: speedNote,
  },
  'single-in-step': {
    title: 'chunks a CPU-second, one a read, streams in step',
    options: { part: 'cpu', mode: 'step', gapUs: 2_500, streams: 100, tokens: 400, seconds: 2, warmSeconds: 1 },
    value: ({ chunksPerCpuSecond }) => chunksPerCpuSecond,
    target: atLeast(60_000),
    note: speedNote,
  },
  'stamps-1000': {
    title: "p99 of a stamp's error, ms: 1,000 streams x 50/s out of step, 1 worker",
    options: { ...OUT_OF_STEP, streams: 1000, workers: 1 },
    value: ({ p99 }) => p99,
    target: below(2, 'ms'),
    note: delayNote,
  },
  'stamps-1000-2': {
    title: "p99 of a stamp's error, ms: the same, 2 workers",
    options: { ...OUT_OF_STEP, streams: 1000, workers: 2 },
    value: ({ p99 }) => p99,
    target: below(2, 'ms'),
    note: delayNote,
  },
  'stamps-100': {
    title: "p99 of a stamp's error, ms: 100 streams in step, 1 worker",
    options: { ...IN_STEP, streams: 100, workers: 1 },
    value: ({ p99 }) => p99,
    target: below(2, 'ms'),
    note: delayNote,
  },
  'stamps-2x100': {
    title: "p99 of a stamp's error, ms: 200 streams in step, 2 workers",
    options: { ...IN_STEP, streams: 200, workers: 2 },
    value: ({ p99 }) => p99,
    target: below(2, 'ms'),
    note: delayNote,
  },
  lag: {
    title: 'p99 of the send lag, ms: 1,000 requests/s of 16 chunks at 50/s, 1 worker',
    options: { ...OPEN_LOOP, workers: 1 },
    value: ({ p99 }) => p99,
    target: below(1, 'ms'),
    note: delayNote,
  },
  'lag-2': {
    title: 'p99 of the send lag, ms: the same, 2 workers',
    options: { ...OPEN_LOOP, workers: 2 },
    value: ({ p99 }) => p99,
    target: below(1, 'ms'),
    note: delayNote,
  },
  memory: {
    title: 'growth of the resident set, MB, over a million requests: the client alone',
    options: { part: 'memory', ...SHORT_REQUESTS },
    repeats: 1,
    value: ({ rssGrowthMb }) => rssGrowthMb,
    target: below(20, 'MB'),
    note: memoryNote,
  },
  'memory-threads': {
    title: "growth of the resident set, MB, over half a million requests: through the runner's threads",
    options: { part: 'memoryThreads', ...SHORT_REQUESTS, requests: 500_000, every: 50_000, workers: 1 },
    repeats: 1,
    value: ({ rssGrowthMb }) => rssGrowthMb,
    target: below(20, 'MB'),
    note: memoryNote,
  },
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(MEASUREMENTS).join(',') },
    repeats: { type: 'string', default: '3' },
    dist: { type: 'string', default: fileURLToPath(new URL('../../dist', import.meta.url)) },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
});
const names = values.only.split(',');
const unknown = names.filter((name) => !(name in MEASUREMENTS));
if (unknown.length > 0) {
  console.error(`--only: no ${unknown.join(', ')}; there are ${Object.keys(MEASUREMENTS).join(', ')}`);
  process.exit(2);
}

const folder = mkdtempSync(join(os.tmpdir(), 'client-speed-'));
const machine = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), node: process.version, os: os.release() };
console.log(`${machine.cores} x ${machine.cpu}, Node ${machine.node}, ${os.type()} ${machine.os}\n`);
const results = [];
try {
  const program = buildChunkServer(folder);
  for (const name of names) results.push(await measured(name, MEASUREMENTS[name], program));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const json = JSON.stringify({ machine, results });
if (values.json !== undefined) writeFileSync(values.json, `${json}\n`);
else console.log(`\n${json}`);

/** Runs it as often as asked, and prints its line. */
async function measured(name, { title, options, repeats, value, target, note }, program) {
  const runs = [];
  for (let run = 0; run < (repeats ?? Number(values.repeats)); run++) {
    const [loadBefore, from] = [os.loadavg()[0], performance.now()];
    const figures = await part(name, { ...options, program, dist: resolve(values.dist) });
    runs.push({ ...figures, loadBefore, wallSeconds: (performance.now() - from) / 1000 });
  }
  const ordered = runs.toSorted((a, b) => value(a) - value(b));
  const middle = ordered[Math.floor((ordered.length - 1) / 2)];
  const figure = value(middle);
  const reached = target.met(figure);
  console.log(
    `${title}\n  ${text(figure)} (${text(value(ordered[0]))} .. ${text(value(ordered.at(-1)))}), wanted ${target.words}: ${reached ? 'reached' : 'NOT reached'}`,
  );
  console.log(`  ${note(middle)}\n`);
  return { name, title, value: figure, wanted: target.words, reached, runs };
}

/** One measurement in a process of its own. */
async function part(name, options) {
  const flags = options.part.startsWith('memory') ? ['--expose-gc'] : [];
  if (values.profile !== undefined) {
    flags.push('--cpu-prof', `--cpu-prof-dir=${values.profile}`, '--cpu-prof-interval=200');
    flags.push(...(options.part === 'cpu' || options.part === 'memory' ? [`--cpu-prof-name=${name}.cpuprofile`] : []));
  }
  const entry = fileURLToPath(new URL('client-parts.mjs', import.meta.url));
  const child = spawn(process.execPath, [...flags, entry, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    output += piece;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${name} ended with code ${code}`);
  return JSON.parse(output);
}

function text(x) {
  return Math.abs(x) >= 100 ? Math.round(x).toLocaleString('en') : x.toFixed(2);
}
function percent(share) {
  return share === null ? 'unknown' : `${(100 * share).toFixed(1)}%`;
}
function coresNote({ clientWaited, serverWaited, server }) {
  const served = (server.userSeconds + server.systemSeconds) / server.seconds;
  return `waited for a core: client ${percent(clientWaited)}, server ${percent(serverWaited)}; server used ${percent(served)} of one`;
}
function speedNote(run) {
  return `${text(run.chunksPerSecond)} chunks/s; ${percent(run.together)} came together with the one before; ${coresNote(run)}`;
}
function delayNote(run) {
  const { count, p50, p90, p999, max, busy, gcMs, gcMaxMs } = run;
  return `p50 ${p50.toFixed(3)}, p90 ${p90.toFixed(2)}, p99.9 ${p999.toFixed(2)}, most ${max.toFixed(2)} of ${text(count)}; event loop busy ${percent(busy)}, garbage collector ${gcMs.toFixed(0)} ms, at most ${gcMaxMs.toFixed(1)} at once; ${coresNote(run)}`;
}
function memoryNote({ samples, heapBytesPerRequest, requestsPerCpuSecond }) {
  const row = (of) => samples.map((one) => of(one).toFixed(0)).join(' ');
  return `resident MB ${row(({ rssMb }) => rssMb)}; this thread's heap MB ${row(({ heapMb }) => heapMb)} (${heapBytesPerRequest.toFixed(2)} B a request); ${text(requestsPerCpuSecond)} requests a CPU-second`;
}
