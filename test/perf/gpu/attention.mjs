// Times of attention and sampling on a device, at the shapes of Llama 3 8B and 70B: decodes in split-kv, prompts in flash, and
// the portable kernel beside them; greedy and filtered sampling. gpu-measure.mjs calls measure(); alone:
//
//   npm run build && node test/perf/gpu/attention.mjs [--device auto] [--quick]
//
// Bytes are those of keys and values each read once, or of the logits read once; flops those of the two products, of the
// positions each row may see. One layer, its cache as large as the context: rotated over copies beyond 256 MB, so that no
// level of a GPU's cache holds it.
import { parseArgs } from 'node:util';

const BLOCK = 16;
const VOCAB = 128_256;
const SHAPES = {
  '8b': { heads: 32, kvHeads: 8, headDim: 128, blockSize: BLOCK },
  '70b': { heads: 64, kvHeads: 8, headDim: 128, blockSize: BLOCK },
};
const ROTATED = 256e6;
const HALVES = Uint16Array.from({ length: 2 ** 21 }, (_, i) => 0x3000 + (Math.imul(i, 0x9e3779b1) >>> 21));

/** @returns rows {kernel, shape, rows, context, seconds, bytes, flops}; seconds is the median of `repeats` */
export async function measure(device, facts, { quick = facts.software } = {}) {
  const [attention, split, flash, sampling, { KernelCompiler }, { HEADER }] = await Promise.all(
    [
      'kernels/attention',
      'kernels/attention-split',
      'kernels/attention-flash',
      'kernels/sample',
      'kernels/kernel',
      'scheduler/step-data',
    ].map((file) => import(`../../../dist/engine/${file}.js`)),
  );
  const bench = new Bench(device, facts, new KernelCompiler(device), quick ? 2 : 15);
  const rows = [];
  const add = async (kernel, shape, counts, work) => rows.push({ kernel, shape, ...counts, ...(await work) });
  const decodes = quick
    ? [
        [1, 64],
        [2, 96],
      ]
    : [1, 32, 64].flatMap((n) => [512, 2048, 8192].map((context) => [n, context]));
  const prompts = quick
    ? [[40, 40]]
    : [
        [2048, 2048],
        [512, 8192],
      ];

  for (const [name, shape] of Object.entries(SHAPES)) {
    const team = split.splitTeam(shape.headDim, facts);
    const tile = flash.flashTile(shape, facts);
    const kernels = {
      split: await bench.compiler.compile(split.attentionSplit(shape, team), split.attentionSplitConstants(shape)),
      merge: await bench.compiler.compile(split.attentionMerge, split.attentionMergeConstants(shape)),
      flash: await bench.compiler.compile(
        flash.attentionFlash(shape, tile),
        flash.attentionFlashConstants(shape, 'all'),
      ),
      portable: await bench.compiler.compile(attention.attention, attention.attentionConstants(shape)),
    };
    for (const [sequences, context] of decodes) {
      const step = stepOf(
        HEADER,
        Array.from({ length: sequences }, () => [context - 1, 1]),
      );
      const pieces = split.splitsOf(shape, step);
      const work = workOf(shape, step);
      const memory = bench.memory(shape, step, split.pieceBytes(shape));
      const counts = { rows: sequences, context, pieces };
      const dispatches = (cache) => [
        [
          kernels.split,
          split.attentionSplitGrid(shape, step),
          [memory.step, memory.q, cache.k, cache.v, memory.pieces, memory.o],
        ],
        ...(pieces > 1
          ? [[kernels.merge, split.attentionMergeGrid(shape, step), [memory.step, memory.pieces, memory.o]]]
          : []),
      ];
      await add('attention split-kv', name, counts, bench.time(memory, work, dispatches));
      // The portable kernel reads keys once for each head, and takes long where there are many.
      if (sequences * context <= 32 * 2048)
        await add(
          'attention portable',
          name,
          counts,
          bench.time(memory, work, portable(kernels.portable, memory, attention.attentionGrid(shape, sequences))),
        );
      memory.destroy();
    }
    for (const [count, context] of prompts) {
      const step = stepOf(HEADER, [[context - count, count]]);
      const work = workOf(shape, step);
      const memory = bench.memory(shape, step, 16);
      const counts = { rows: count, context, tile };
      const grid = flash.attentionFlashGrid(shape, tile, step, 'all');
      await add('attention flash', name, counts, bench.time(memory, work, portable(kernels.flash, memory, grid)));
      await add(
        'attention portable',
        name,
        counts,
        bench.time(memory, work, portable(kernels.portable, memory, attention.attentionGrid(shape, count))),
      );
      memory.destroy();
    }
  }

  const vocab = quick ? 4099 : VOCAB;
  const { kernel, lanes } = sampling.sampler(facts);
  const sampler = await bench.compiler.compile(kernel, sampling.sampleConstants(vocab, lanes));
  const asks = { greedy: [0, 1, 0], draw: [1, 1, 0], 'top-p 0.9': [1, 0.9, 0], 'top-k 50': [1, 1, 50] };
  for (const samples of quick ? [1, 2] : [1, 32, 64]) {
    const logits = bench.buffer(4 * samples * vocab, normals(samples * vocab));
    const ids = bench.buffer(4 * samples);
    for (const [ask, [temperature, topP, topK]] of Object.entries(asks)) {
      const step = bench.buffer(4 * 1024, samplesOf(HEADER, samples, temperature, topP, topK));
      const dispatches = () => [[sampler, sampling.sampleGrid(samples), [step, logits, ids]]];
      const work = { bytes: logits.size, flops: 0 };
      await add('sample', ask, { rows: samples, lanes, vocab }, bench.time({ caches: [{}] }, work, dispatches));
      step.destroy();
    }
    logits.destroy();
    ids.destroy();
  }
  return rows;
}

const portable = (kernel, memory, grid) => (cache) => [
  [kernel, grid, [memory.step, memory.q, cache.k, cache.v, memory.o]],
];

/** A step's words as attention reads them (scheduler/step-data.ts): parts are [first position, rows]. */
function stepOf(HEADER, parts) {
  const words = new Array(HEADER.WORDS).fill(0);
  const begin = (header) => {
    words[header] = words.length;
  };
  const blocksOf = ([first, count]) => Math.ceil((first + count) / BLOCK);
  words[HEADER.ROW_COUNT] = parts.reduce((sum, [, count]) => sum + count, 0);
  begin(HEADER.ROWS_AT);
  parts.forEach(([first, count], entry) => {
    for (let position = first; position < first + count; position++) words.push(0, position, entry, 0xffffffff);
  });
  begin(HEADER.SEQUENCES_AT);
  let blocks = 0;
  for (const part of parts) {
    words.push(blocks);
    blocks += blocksOf(part);
  }
  begin(HEADER.BLOCKS_AT);
  // Blocks lie about as after hours of serving: neighbours in a table are no neighbours in memory.
  let stride = Math.floor(blocks * 0.618) | 1;
  while (gcd(stride, blocks) !== 1) stride += 2;
  for (let i = 0; i < blocks; i++) words.push((i * stride) % blocks);
  const step = { decodes: 0, longest: 0, queryTiles: 0 };
  begin(HEADER.QUERIES_AT);
  let row = 0;
  let table = words[HEADER.BLOCKS_AT];
  for (const part of parts) {
    const [first, count] = part;
    for (let done = 0; done < count; done += 16)
      words.push(row + done, Math.min(16, count - done), first + done, table);
    if (count > 1) step.queryTiles += Math.ceil(count / 16);
    else {
      step.decodes++;
      step.longest = Math.max(step.longest, first + 1);
    }
    row += count;
    table += blocksOf(part);
  }
  words[HEADER.DECODES] = step.decodes;
  words[HEADER.LONGEST] = step.longest;
  return { ...step, parts, rows: row, blocks, words: Uint32Array.from(words) };
}

const gcd = (a, b) => (b === 0 ? a : gcd(b, a % b));

function samplesOf(HEADER, samples, temperature, topP, topK) {
  const words = new Uint32Array(1024);
  const floats = new Float32Array(words.buffer);
  words[HEADER.SAMPLES_AT] = HEADER.WORDS;
  for (let i = 0; i < samples; i++) {
    const at = HEADER.WORDS + 6 * i;
    floats[at + 1] = temperature;
    floats[at + 2] = topP;
    words.set([topK, 1000 + i, 0], at + 3);
  }
  return words;
}

/** Logits as random weights give them: normal, of spread 1. */
function normals(length) {
  const seeds = Float32Array.from(
    { length: 1 << 16 },
    () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()),
  );
  return Float32Array.from({ length }, (_, i) => seeds[(i * 40_503 + (i >> 16)) & 0xffff]);
}

function workOf({ heads, kvHeads, headDim }, { parts }) {
  let bytes = 0;
  let pairs = 0;
  for (const [first, count] of parts) {
    bytes += 2 * 2 * (first + count) * kvHeads * headDim;
    pairs += count * first + (count * (count + 1)) / 2;
  }
  return { bytes, flops: 4 * pairs * heads * headDim };
}

class Bench {
  constructor(device, facts, compiler, repeats) {
    Object.assign(this, { device, facts, compiler, repeats });
    if (facts.timestamps) this.stamps = device.createQuerySet({ type: 'timestamp', count: 2 });
    this.resolved = device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
    this.read = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  }

  buffer(size, data) {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: Math.max(16, Math.ceil(size / 4) * 4), usage });
    if (data) this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  /** Ordinary f16 numbers, the same 4 MiB over and over. */
  cache(bytes) {
    const buffer = this.buffer(bytes);
    for (let at = 0; at < bytes; at += HALVES.byteLength) {
      this.device.queue.writeBuffer(buffer, at, HALVES, 0, Math.min(HALVES.length, (bytes - at) / 2));
    }
    return buffer;
  }

  /** A layer's buffers for a step; its cache in as many copies as pass what caches hold. */
  memory({ heads, kvHeads, headDim }, { words, rows, blocks }, pieceBytes) {
    const cacheBytes = blocks * BLOCK * kvHeads * headDim * 2;
    const copies = this.facts.software ? 1 : Math.max(1, Math.ceil(ROTATED / (2 * cacheBytes)));
    const width = rows * heads * headDim;
    const made = {
      step: this.buffer(words.byteLength, words),
      q: this.buffer(
        4 * width,
        Float32Array.from({ length: width }, (_, i) => ((i * 37) % 101) / 50 - 1),
      ),
      o: this.buffer(4 * width),
      pieces: this.buffer(pieceBytes),
      caches: Array.from({ length: Math.min(copies, 64) }, () => ({
        k: this.cache(cacheBytes),
        v: this.cache(cacheBytes),
      })),
    };
    const destroy = () => {
      for (const one of [made.step, made.q, made.o, made.pieces, ...made.caches.flatMap(({ k, v }) => [k, v])])
        one.destroy();
    };
    return { ...made, destroy };
  }

  /** Seconds that the dispatches take, over all copies of the cache; the median of several goes, the first left out. */
  async time(memory, work, dispatches) {
    const calls = memory.caches.map((cache) =>
      dispatches(cache).map(([kernel, grid, bound]) => ({ kernel, grid, group: kernel.bind(...bound) })),
    );
    const taken = [];
    for (let go = 0; go <= this.repeats; go++) taken.push((await this.pass(calls.flat())) / calls.length);
    const sorted = taken.slice(1).sort((a, b) => a - b);
    return { seconds: sorted[Math.floor(sorted.length / 2)], ...work };
  }

  async pass(calls) {
    const encoder = this.device.createCommandEncoder();
    const { stamps } = this;
    const pass = encoder.beginComputePass(
      stamps ? { timestampWrites: { querySet: stamps, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } } : {},
    );
    for (const { kernel, grid, group } of calls) {
      pass.setPipeline(kernel.pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(...grid);
    }
    pass.end();
    if (stamps) {
      encoder.resolveQuerySet(stamps, 0, 2, this.resolved, 0);
      encoder.copyBufferToBuffer(this.resolved, 0, this.read, 0, 16);
    }
    const started = performance.now();
    this.device.queue.submit([encoder.finish()]);
    await this.read.mapAsync(GPUMapMode.READ);
    const wall = (performance.now() - started) / 1e3;
    const [begin, end] = new BigUint64Array(this.read.getMappedRange().slice(0));
    this.read.unmap();
    return stamps ? Number(end - begin) / 1e9 : wall;
  }
}

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({
    options: { device: { type: 'string', default: 'auto' }, quick: { type: 'boolean', default: false } },
  });
  const { onDevice } = await import('./on-device.mjs');
  await onDevice(values.device, async (chosen) => {
    const { openDevice } = await import('../../../dist/engine/device/dawn.js');
    const { device, facts } = await openDevice(chosen.candidate, { validate: false });
    for (const row of await measure(device, facts, { quick: values.quick || facts.software }))
      console.log(JSON.stringify(row));
  });
}
