// How fast /health answers while steps run: p50, p99 and the worst, on every device that works here.
//
//   npm run build && node test/perf/health.mjs [--devices swiftshader,llvmpipe] [--seconds 10] [--model llama-3-8b@1/8]
//
// The engine is kept in long steps (four requests of 192 prompt tokens at a time); the requirement is 20 ms at p99.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Client } from 'undici';

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: 'swiftshader' },
    seconds: { type: 'string', default: '10' },
    model: { type: 'string', default: 'llama-3-8b@1/8' },
  },
});
const main = new URL('../../dist/engine/main.js', import.meta.url).pathname;

for (const device of values.devices.split(',')) {
  const engine = spawn(process.execPath, [main, '--model', values.model, '--device', device, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
  });
  const ready = await new Promise((resolve) => {
    let text = '';
    engine.stdout.on('data', (data) => {
      text += data;
      if (text.includes('\n')) resolve(JSON.parse(text));
    });
  });
  if (!ready.ready) {
    console.log(`${device}: ${ready.message}`);
    continue;
  }
  const until = performance.now() + Number(values.seconds) * 1000;
  const stats = { steps: [] };
  const load = Array.from({ length: 4 }, async (_, n) => {
    const client = new Client(ready.url, { headersTimeout: 0, bodyTimeout: 0 });
    for (let i = 0; performance.now() < until; i++) {
      const prompt = Array.from({ length: 192 }, (_, k) => (n * 7919 + i * 104729 + k * 31) % 16000);
      const at = performance.now();
      const { body } = await client.request({
        path: '/v1/completions',
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: values.model, prompt, max_tokens: 1, ignore_eos: true }),
      });
      await body.dump();
      stats.steps.push(performance.now() - at);
    }
    await client.close();
  });
  const client = new Client(ready.url);
  const times = [];
  while (performance.now() < until) {
    const at = performance.now();
    const { body } = await client.request({ path: '/health', method: 'GET' });
    await body.dump();
    times.push(performance.now() - at);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(load);
  await client.close();
  times.sort((a, b) => a - b);
  stats.steps.sort((a, b) => a - b);
  const rank = (list, p) => list[Math.ceil(p * list.length) - 1];
  console.log(
    JSON.stringify({
      device,
      name: ready.device.name,
      model: values.model,
      requests: stats.steps.length,
      requestP50Ms: rank(stats.steps, 0.5),
      healthSamples: times.length,
      healthP50Ms: rank(times, 0.5),
      healthP99Ms: rank(times, 0.99),
      healthMaxMs: times.at(-1),
    }),
  );
  const ended = new Promise((resolve) => engine.once('exit', resolve));
  engine.kill('SIGTERM');
  await ended;
}
process.exit(0);
