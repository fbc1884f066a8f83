// Every kernel variant against the portable kernels, on the device at hand: the same steps (a prefill of several sequences over the
// base and adapters of mixed ranks, DoRA's columns among them, then decodes), logits beside logits. What differs is rounding: sums in
// another order, and x in f16 on tensor cores. A wrong kernel differs by as much as the logits themselves.
import { openDevice } from '../../../dist/engine/device/dawn.js';
import { Model } from '../../../dist/engine/transformer/model.js';
import { lackOf, VARIANTS } from '../../../dist/engine/transformer/variants.js';

/** Of the logits' standard deviation: rounding K and V to f16, which both do, moves them by about 0.01. */
const MOST = 0.1;
const RMS = 0.02;

export async function checkVariants(open, quick) {
  const models =
    open.facts.software || quick ? ['llama-3.2-1b@1/8'] : ['llama-3.2-1b@1/8', 'llama-3-8b@1/2', 'llama-3-8b'];
  const formats = quick ? ['f16'] : ['f16', 'int8', 'int4'];
  const checks = [];
  for (const model of models) {
    for (const weights of formats) {
      const want = await logitsOf(open, { model, weights, kernels: 'portable' });
      const there = VARIANTS.filter((variant) => lackOf(variant, open.facts) === null);
      // Sampling is the portable kernels' own where a processor does it.
      const asked = there.filter((variant) => variant !== 'sample-wide' || !open.facts.software);
      for (const kernels of [...asked.map((one) => [one]), 'fast']) {
        const name = Array.isArray(kernels) ? kernels[0] : kernels;
        checks.push({ model, weights, kernels: name, ...(await compared(open, { model, weights, kernels }, want)) });
        const { ok, max, rms, why, variants, ids } = checks.at(-1);
        const found =
          why ??
          `max ${max.toExponential(2)} rms ${rms.toExponential(2)} of the spread, ${ids.equal} of ${ids.all} ids equal; ${variants.join(', ')}`;
        console.log(`${ok ? 'ok   ' : 'WRONG'} ${model} ${weights} ${name}: ${found}`);
      }
    }
  }
  return checks;
}

async function compared(open, how, want) {
  try {
    const got = await logitsOf(open, how);
    let max = 0;
    let squares = 0;
    let count = 0;
    let bad = false;
    for (const [step, logits] of got.logits.entries()) {
      for (const [i, value] of logits.entries()) {
        const off = Math.abs(value - want.logits[step][i]) / want.spread;
        if (!(off >= 0)) bad = true; // NaN
        if (off > max) max = off;
        squares += off * off;
        count++;
      }
    }
    const rms = Math.sqrt(squares / count);
    const pairs = got.ids.flatMap((ids, step) => [...ids].map((id, i) => id === want.ids[step][i]));
    const ids = { equal: pairs.filter(Boolean).length, all: pairs.length };
    // A variant that the model left out was not checked; and from the same logits a sampler must draw the same ids.
    const [only] = Array.isArray(how.kernels) ? how.kernels : [];
    const used = only === undefined || got.variants.includes(only);
    const drawn = only !== 'sample-wide' || ids.equal === ids.all;
    return {
      ok: used && drawn && !bad && max <= MOST && rms <= RMS,
      used,
      max,
      rms,
      nan: bad,
      ids,
      variants: got.variants,
    };
  } catch (error) {
    return { ok: false, why: String(error) };
  }
}

const RANKS = [16, 64, 8, 5];
const PROMPTS = [150, 37, 2, 16, 70];

async function logitsOf({ candidate }, { model: name, weights, kernels }) {
  const open = await openDevice(candidate, { validate: false });
  const model = await Model.create(open, {
    ...{ model: name, servedModelName: null, weights, seed: 3, device: candidate, maxModelLen: 512, maxNumSeqs: 48 },
    ...{ maxNumBatchedTokens: 512, maxGpuLoras: RANKS.length, maxCpuLoras: 8, maxLoraRank: 64, gpuMemory: null },
    ...{ batchInvariant: false, kernels, merge: null, profile: false, validate: false },
  });
  try {
    const adapters = RANKS.map((rank, i) => {
      const adapter = model.slots.add(`a${i}`, '', rank, 0.5, i % 2 === 1);
      model.pools.makeSynthetic(adapter, 10 + i);
      return adapter;
    });
    const logits = [];
    const ids = [];
    const run = async (parts) => {
      const rows = parts.reduce((sum, { count }) => sum + count, 0);
      ids.push(await model.submit({ parts, rows, sampled: parts }).ids());
      logits.push(await model.logits(parts.length));
    };
    const sequences = PROMPTS.map((length, i) => sequenceOf(i, length, i === 0 ? null : adapters[i % adapters.length]));
    // Parts of one adapter lie together, those of the base first.
    const ordered = [...sequences].sort((a, b) => (a.adapter?.slot ?? -1) - (b.adapter?.slot ?? -1));
    await run(
      ordered.map((sequence) => ({ sequence, first: 0, count: sequence.length, samples: true, previous: null })),
    );
    // Decodes of few rows, with teacher-forced tokens; then of many; then decodes beside a prompt.
    await run(
      ordered.map((sequence) => ({ sequence, first: sequence.length, count: 1, samples: true, previous: null })),
    );
    const many = Array.from({ length: 40 }, (_, i) =>
      sequenceOf(100 + i, 1, i < 8 ? null : adapters[i % adapters.length]),
    ).sort((a, b) => (a.adapter?.slot ?? -1) - (b.adapter?.slot ?? -1));
    await run(many.map((sequence) => ({ sequence, first: 0, count: 1, samples: true, previous: null })));
    await run(many.slice(0, 20).map((sequence) => ({ sequence, first: 1, count: 1, samples: true, previous: null })));
    const late = sequenceOf(7, 90, null);
    await run(
      [
        { sequence: late, first: 0, count: 90, samples: true, previous: null },
        ...ordered.map((sequence) => ({
          sequence,
          first: sequence.length + 1,
          count: 1,
          samples: true,
          previous: null,
        })),
      ].sort((a, b) => (a.sequence.adapter?.slot ?? -1) - (b.sequence.adapter?.slot ?? -1)),
    );
    const all = logits[0];
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
    const spread = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
    return { logits, ids, spread, variants: model.variants };
  } finally {
    open.device.destroy();
  }
}

/** A sequence as the step writer reads it; blocks of its own, but for those of one token, which share theirs with nobody that reads it. */
function sequenceOf(id, length, adapter) {
  const first = id >= 100 ? 200 + (id - 100) : id * 12;
  return {
    ...{ id, adapter, length, output: [], planned: 1 },
    blocks: Array.from({ length: Math.ceil((length + 4) / 16) }, (_, i) => first + i),
    request: {
      prompt: Uint32Array.from({ length: length + 4 }, (_, i) => (id * 131 + i * 7919 + 17) % 12000),
      // Greedy, and draws with and without cut-offs.
      ...{ temperature: id % 3 === 0 ? 0 : 1, topP: id % 3 === 1 ? 0.9 : 1, topK: id % 4 === 1 ? 40 : 0, seed: id },
      ...{ minTokens: 0, ignoreEos: true },
    },
  };
}
