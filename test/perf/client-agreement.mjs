// Does the client measure what the server did? Runs `bench serve`, measures it with `bench --endpoint` at concurrency 1, and
// compares each request's TTFT and TPOT with the engine's own stamps (request read to first content chunk written; first
// to last content chunk written). The requirement is agreement within 2 ms at the median.
//
//   npm run build && node test/perf/client-agreement.mjs [--device auto] [--model llama-3.2-1b@1/8] [--requests 40]
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'auto' },
    model: { type: 'string', default: 'llama-3.2-1b@1/8' },
    requests: { type: 'string', default: '40' },
  },
});
const cli = new URL('../../dist/src/cli.js', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'client-agreement-'));
const scenario = join(folder, 'scenario.yaml');
writeFileSync(
  scenario,
  `name: agreement
models: [m]
adapters: {rank: [8], count: [0, 1], names: [a]}
prompt: {tokens: 32}
output: {tokens: 16}
load: {concurrency: [1]}
measure: {requests: ${values.requests}}
`,
);
const engine = spawn(
  process.execPath,
  [
    cli,
    'serve',
    '--model',
    values.model,
    '--device',
    values.device,
    '--port',
    '0',
    '--lora',
    'a=synthetic:rank=1,seed=1',
  ],
  { stdio: ['ignore', 'pipe', 'ignore'] },
);
const ready = await new Promise((resolve) => {
  let text = '';
  engine.stdout.on('data', (data) => {
    text += data;
    if (text.includes('\n')) resolve(JSON.parse(text));
  });
});
try {
  const out = join(folder, 'out');
  execFileSync(process.execPath, [cli, scenario, '--endpoint', `${ready.url}/v1`, '--out', out], { stdio: 'ignore' });
  const records = readFileSync(join(out, 'requests.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((record) => record.phase === 'measure' && record.outcome === 'ok');
  const ttft = records.map((r) => r.chunks[0][0] / 1e6 - r.timings.ttft_ms);
  const tpot = records.map(
    (r) => ((r.chunks.at(-1)[0] - r.chunks[0][0]) / 1e6 - r.timings.stream_ms) / (r.chunks.length - 1),
  );
  const quantile = (list, p) => [...list].sort((a, b) => a - b)[Math.ceil(p * list.length) - 1];
  const of = (list) => ({ p50: quantile(list, 0.5), p90: quantile(list, 0.9), p99: quantile(list, 0.99) });
  console.log(
    JSON.stringify({
      device: ready.device.name,
      requests: records.length,
      ttftClientMinusServerMs: of(ttft),
      tpotClientMinusServerMs: of(tpot),
    }),
  );
} finally {
  const ended = new Promise((resolve) => engine.once('exit', resolve));
  engine.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
