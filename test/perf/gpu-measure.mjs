// Everything that can be measured of the engine on a GPU, by one command; what comes back goes into reports/devices/<device>.json
// beside the ceilings, each speed as a share of what the same device reached in the same run.
//
//   npm run build && node test/perf/gpu-measure.mjs [--device auto] [--only check,kernels] [--quick] [--out DIR] [--minutes 25]
//
// Parts, each in a process of its own, so that a driver that aborts costs one part:
//   ceilings  bandwidths, rates and costs (what bench doctor measures)
//   check     every kernel variant's logits against the portable kernels', on models of a small and a real shape
//   kernels   products, attention and sampling, of Llama 3 8B's and 70B's shapes, over parameters
//   steps     whole steps of 8B in f16 and 70B in int4, plain and with every variant, and one profiled
//   serve     64 sequences of 200 in and 200 out over 32 adapters, through the server and the harness
//   peers     PyTorch's matrix product, and peft's mixed batches on transformers, where python3 has them
// A variant that fails `check` is measured all the same, and said to be wrong.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const PARTS = ['ceilings', 'check', 'kernels', 'steps', 'serve', 'peers'];
const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'auto' },
    only: { type: 'string', default: PARTS.join(',') },
    out: { type: 'string', default: 'reports/devices' },
    minutes: { type: 'string', default: '25' },
    quick: { type: 'boolean', default: false },
    part: { type: 'string' },
  },
});

if (values.part !== undefined) {
  const { runPart } = await import('./gpu/parts.mjs');
  await runPart(values.part, { device: values.device, quick: values.quick });
} else {
  await measureAll();
}

async function measureAll() {
  const deadline = Date.now() + Number(values.minutes) * 60_000;
  mkdirSync(values.out, { recursive: true });
  let path = join(values.out, 'unknown-device.json');
  const measured = {};
  for (const part of values.only.split(',')) {
    if (!PARTS.includes(part)) throw new Error(`--only ${part}: expected some of ${PARTS.join(', ')}`);
    const left = deadline - Date.now();
    const began = Date.now();
    const answer = left < 10_000 ? { error: 'no time was left for it' } : await child(part, left);
    if (answer.file) path = join(values.out, answer.file);
    measured[part] = {
      ...answer.result,
      ...(answer.error ? { error: answer.error } : {}),
      seconds: (Date.now() - began) / 1000,
    };
    console.log(`== ${part}: ${answer.error ?? 'done'} (${measured[part].seconds.toFixed(0)} s)`);
    // After each part: what is killed later has kept what it had.
    const before = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
    const { ceilings, ...rest } = measured;
    const told = ceilings?.ceilings ? ceilings : {};
    const measurements = { ...before.measurements, ...rest };
    writeFileSync(path, `${JSON.stringify({ ...before, ...told, measurements }, null, 2)}\n`);
  }
  console.log(`kept in ${path}`);
}

/** Runs one part; its last line of output is its answer, the rest is for people. */
function child(part, timeout) {
  const flags = ['--part', part, '--device', values.device, ...(values.quick ? ['--quick'] : [])];
  return new Promise((resolve) => {
    const process_ = spawn(process.execPath, [process.argv[1], ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout,
    });
    let out = '';
    process_.stdout.on('data', (data) => {
      out += data;
      const lines = String(data)
        .split('\n')
        .filter((line) => !line.startsWith('{"part"'));
      process.stdout.write(lines.join('\n'));
    });
    process_.on('close', (code, signal) => {
      const line = out
        .trim()
        .split('\n')
        .findLast((one) => one.startsWith('{"part"'));
      const answer = line ? JSON.parse(line) : {};
      if (code === 0 && line) resolve(answer);
      else
        resolve({
          ...answer,
          error: answer.error ?? `it ${signal ? `was ended by ${signal}` : `exited with ${code}`}`,
        });
    });
  });
}
