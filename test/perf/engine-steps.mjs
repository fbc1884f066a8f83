// Step times of the engine on this machine's device, by rows and adapters: decode at several batch sizes, and prefill,
// each on the base alone, with one adapter for all rows, and with one adapter a row. Ratios to the base are of one run.
//
//   npm run build && node test/perf/engine-steps.mjs [--model llama-3-8b@1/8] [--device auto] [--rank 16] [--rows 1,4,32] [--columns]
//
// With --columns the adapters have column words, as DoRA's do (here g 1, bias 0: the work is the same).
// Prints a table and, last, one JSON line. The rank is the one served (a stand-in's is the declared rank divided).
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { mergedEnvironment } from '../../dist/engine/device/candidates.js';
import { chooseDevice } from '../../dist/engine/device/choose.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'llama-3-8b@1/8' },
    device: { type: 'string', default: 'auto' },
    rank: { type: 'string', default: '2' },
    rows: { type: 'string', default: '1,2,4,8,32' },
    prefill: { type: 'string', default: '32,128' },
    context: { type: 'string', default: '64' },
    repeats: { type: 'string', default: '7' },
    columns: { type: 'boolean', default: false },
  },
});

if (!process.env['ENGINE_STEPS_DEVICE']) {
  const chosen = await chooseDevice(values.device, console.error);
  const env = { ...mergedEnvironment(chosen.env), ENGINE_STEPS_DEVICE: JSON.stringify(chosen) };
  const child = spawn(process.execPath, process.argv.slice(1), { env, stdio: 'inherit' });
  child.on('exit', (code) => process.exit(code ?? 1));
} else {
  await measure(JSON.parse(process.env['ENGINE_STEPS_DEVICE']));
  process.exit(0);
}

async function measure(chosen) {
  const { openDevice } = await import('../../dist/engine/device/dawn.js');
  const { Model } = await import('../../dist/engine/transformer/model.js');
  const open = await openDevice(chosen.candidate, { validate: false });
  const rank = Number(values.rank);
  const rowCounts = values.rows.split(',').map(Number);
  const prefills = values.prefill.split(',').map(Number);
  const context = Number(values.context);
  const most = Math.max(...rowCounts);
  const started = performance.now();
  const model = await Model.create(open, {
    model: values.model,
    servedModelName: null,
    weights: 'f16',
    seed: 1,
    device: chosen.candidate,
    maxModelLen: Math.max(context + 2, ...prefills),
    maxNumSeqs: most,
    maxNumBatchedTokens: Math.max(most, ...prefills),
    maxGpuLoras: most,
    maxCpuLoras: most,
    maxLoraRank: rank,
    gpuMemory: null,
    batchInvariant: false,
    merge: null,
    validate: false,
  });
  const startMs = performance.now() - started;
  console.log(
    `${open.name}, ${values.model}, rank ${rank}, context ${context}; model ready after ${startMs.toFixed(0)} ms`,
  );
  console.log(model.memory.lines.join('\n'));
  const adapters = Array.from({ length: most }, (_, i) => {
    const adapter = model.slots.add(`a${i}`, '', rank, 0.5, values.columns);
    model.pools.makeSynthetic(adapter, i);
    return adapter;
  });

  // A sequence as the step writer reads it, at a given position, with blocks of its own.
  const blocksEach = Math.ceil((context + 2) / 16);
  const part = (i, adapter, first, count) => ({
    sequence: {
      id: i,
      adapter,
      blocks: Array.from(
        { length: Math.max(blocksEach, Math.ceil((first + count) / 16)) },
        (_, b) => (i * blocksEach + b) % model.memory.kvBlocks,
      ),
      request: {
        prompt: new Uint32Array(first + count).fill(7),
        temperature: 0,
        topP: 1,
        topK: 0,
        seed: 0,
        minTokens: 0,
        ignoreEos: true,
      },
      output: [],
      planned: 1,
    },
    first,
    count,
    samples: true,
    previous: null,
  });
  const steps = [];
  for (const rows of rowCounts) {
    for (const kind of ['base', 'one', 'distinct']) {
      const parts = Array.from({ length: rows }, (_, i) =>
        part(i, kind === 'base' ? null : kind === 'one' ? adapters[0] : adapters[i], context, 1),
      );
      steps.push({ what: 'decode', rows, kind, step: { parts, rows, sampled: parts } });
    }
  }
  for (const rows of prefills) {
    for (const kind of ['base', 'one']) {
      const parts = [part(0, kind === 'base' ? null : adapters[0], 0, rows)];
      steps.push({ what: 'prefill', rows, kind, step: { parts, rows, sampled: parts } });
    }
  }
  const times = steps.map(() => []);
  for (let round = -1; round < Number(values.repeats); round++) {
    for (const [i, { step }] of steps.entries()) {
      const at = performance.now();
      await model.submit(step).ids();
      if (round >= 0) times[i].push(performance.now() - at);
    }
  }
  const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
  const results = steps.map(({ what, rows, kind }, i) => ({
    what,
    rows,
    kind,
    ms: median(times[i]),
    min: Math.min(...times[i]),
  }));
  for (const r of results) {
    const base = results.find((b) => b.what === r.what && b.rows === r.rows && b.kind === 'base');
    console.log(
      `${r.what.padEnd(8)} ${String(r.rows).padStart(5)} rows  ${r.kind.padEnd(9)} ${r.ms.toFixed(2).padStart(9)} ms  min ${r.min.toFixed(2).padStart(9)}  ${(r.ms / base.ms).toFixed(3)} x base`,
    );
  }
  console.log(JSON.stringify({ device: open.name, model: values.model, rank, context, startMs, results }));
}
