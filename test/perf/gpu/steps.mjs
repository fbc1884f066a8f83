// Times whole steps of a model on an open device: decodes at several batch sizes and prefills, each on the base alone, with one
// adapter for all rows, and with one adapter a row. Ratios to the base are of one run: steps of all kinds take turns.
import { Model } from '../../../dist/engine/transformer/model.js';

/**
 * @param options {model, weights, kernels, rank, rows: [1, 4], prefill: [32], context, repeats, columns, gpuMemory, kinds}
 * @returns {startMs, memory, results: [{what, rows, kind, ms, min, bytes, operations}]}
 */
export async function measureSteps(open, options) {
  const { rank, rows: rowCounts, prefill, context, repeats } = options;
  const kinds = options.kinds ?? ['base', 'one', 'distinct'];
  const most = Math.max(1, ...rowCounts);
  const slots = kinds.length > 1 ? most : 0;
  const started = performance.now();
  const model = await Model.create(open, {
    model: options.model,
    servedModelName: null,
    weights: options.weights ?? 'f16',
    seed: 1,
    device: open.candidate,
    maxModelLen: Math.max(context + 2, ...prefill),
    maxNumSeqs: most,
    maxNumBatchedTokens: Math.max(most, ...prefill),
    maxGpuLoras: slots,
    maxCpuLoras: Math.max(1, slots),
    maxLoraRank: rank,
    gpuMemory: options.gpuMemory ?? null,
    batchInvariant: false,
    kernels: options.kernels ?? 'auto',
    merge: null,
    profile: options.profile ?? false,
    validate: false,
  });
  const startMs = performance.now() - started;
  const adapters = Array.from({ length: slots }, (_, i) => {
    const adapter = model.slots.add(`a${i}`, '', rank, 0.5, options.columns ?? false);
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
  const adapterOf = { base: () => null, one: () => adapters[0], distinct: (i) => adapters[i] };
  const steps = [];
  for (const rows of rowCounts) {
    for (const kind of kinds) {
      const parts = Array.from({ length: rows }, (_, i) => part(i, adapterOf[kind](i), context, 1));
      steps.push({ what: 'decode', rows, kind, step: { parts, rows, sampled: parts } });
    }
  }
  for (const rows of prefill) {
    for (const kind of kinds.filter((one) => one !== 'distinct')) {
      const parts = [part(0, adapterOf[kind](0), 0, rows)];
      steps.push({ what: 'prefill', rows, kind, step: { parts, rows, sampled: parts } });
    }
  }
  const times = steps.map(() => []);
  const profiles = steps.map(() => null);
  for (let round = -1; round < repeats; round++) {
    for (const [i, { step }] of steps.entries()) {
      const at = performance.now();
      const submitted = model.submit(step);
      await submitted.ids();
      if (round >= 0) times[i].push(performance.now() - at);
      if (submitted.profile) profiles[i] = await submitted.profile.times();
    }
  }
  const results = steps.map(({ what, rows, kind, step }, i) => {
    const costs = Object.values(model.costOf(step));
    return {
      ...{ what, rows, kind, ms: median(times[i]), min: Math.min(...times[i]) },
      bytes: costs.reduce((sum, { bytes }) => sum + bytes, 0),
      operations: costs.reduce((sum, { operations }) => sum + operations, 0),
      ...(profiles[i] ? { kernels: summed(profiles[i]) } : {}),
    };
  });
  const memory = model.memory.lines;
  const variants = model.variants;
  return { startMs, memory, variants, results };
}

/** A step's dispatches by stage and kernel, ms. */
function summed(dispatches) {
  const sums = {};
  for (const { stage, kernel, ns } of dispatches) {
    const name = `${stage} ${kernel}`;
    sums[name] = (sums[name] ?? 0) + ns / 1e6;
  }
  return sums;
}

export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Lines of a table. @param read bytes a second that the device can read; null leaves the share out */
export function stepLines(results, read) {
  return results.map((r) => {
    const base = results.find((b) => b.what === r.what && b.rows === r.rows && b.kind === 'base');
    const share = read === null ? '' : `  ${((100 * r.bytes) / read / (r.ms / 1e3)).toFixed(1).padStart(5)}% of read`;
    return `${r.what.padEnd(8)} ${String(r.rows).padStart(5)} rows  ${r.kind.padEnd(9)} ${r.ms.toFixed(2).padStart(9)} ms  min ${r.min.toFixed(2).padStart(9)}  ${(r.ms / base.ms).toFixed(3)} x base${share}`;
  });
}
