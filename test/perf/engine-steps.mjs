// Step times of the engine on this machine's device, by rows and adapters: decode at several batch sizes, and prefill,
// each on the base alone, with one adapter for all rows, and with one adapter a row. Ratios to the base are of one run.
//
//   npm run build && node test/perf/engine-steps.mjs [--model llama-3-8b@1/8] [--weights f16] [--kernels auto] [--device auto]
//     [--rank 16] [--rows 1,4,32] [--columns]
//
// With --columns the adapters have column words, as DoRA's do (here g 1, bias 0: the work is the same).
// Prints a table and, last, one JSON line. The rank is the one served (a stand-in's is the declared rank divided).
import { parseArgs } from 'node:util';
import { onDevice } from './gpu/on-device.mjs';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'llama-3-8b@1/8' },
    weights: { type: 'string', default: 'f16' },
    kernels: { type: 'string', default: 'auto' },
    device: { type: 'string', default: 'auto' },
    rank: { type: 'string', default: '2' },
    rows: { type: 'string', default: '1,2,4,8,32' },
    prefill: { type: 'string', default: '32,128' },
    context: { type: 'string', default: '64' },
    repeats: { type: 'string', default: '7' },
    columns: { type: 'boolean', default: false },
  },
});
const numbers = (text) => text.split(',').filter(Boolean).map(Number);

await onDevice(values.device, async (chosen) => {
  const { openDevice } = await import('../../dist/engine/device/dawn.js');
  const { measureSteps, stepLines } = await import('./gpu/steps.mjs');
  const open = await openDevice(chosen.candidate, { validate: false });
  const { model, weights, kernels } = values;
  const [rank, context] = [Number(values.rank), Number(values.context)];
  const { startMs, memory, results } = await measureSteps(open, {
    ...{ model, weights, rank, context, columns: values.columns },
    kernels: ['auto', 'fast', 'portable'].includes(kernels) ? kernels : kernels.split(','),
    rows: numbers(values.rows),
    prefill: numbers(values.prefill),
    repeats: Number(values.repeats),
  });
  console.log(
    `${open.name}, ${model} in ${weights}, rank ${rank}, context ${context}; ready after ${startMs.toFixed(0)} ms`,
  );
  console.log([...memory, ...stepLines(results, null)].join('\n'));
  console.log(JSON.stringify({ device: open.name, model, weights, kernels, rank, context, startMs, results }));
});
