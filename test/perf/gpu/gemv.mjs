// What the kernels for few rows reach on a device: products of Llama 3 8B's and 70B's shapes in every format, with and without
// adapters, the shrinks and the norms beside them, and the product in the tiles that a device could be tuned to.
//
// Weights and adapters rotate over half a GiB and more, so that none is in a cache when its turn comes. Dispatches of a batch wait
// for each other, as in a step: a figure holds the cost of a dispatch.

import {
  GEMV_ROWS,
  gemv,
  gemvBytes,
  gemvConstants,
  gemvGrid,
  gemvKey,
  gemvTile,
} from '../../../dist/engine/kernels/gemv.js';
import { KernelCompiler } from '../../../dist/engine/kernels/kernel.js';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../../../dist/engine/kernels/rmsnorm.js';
import { rmsnormWide, rmsnormWideConstants } from '../../../dist/engine/kernels/rmsnorm-wide.js';
import { shrink, shrinkConstants, shrinkGrid } from '../../../dist/engine/kernels/shrink.js';
import { SHRINK_FEW, shrinkFew, shrinkFewConstants, shrinkFewGrid } from '../../../dist/engine/kernels/shrink-few.js';
import { widePack, wordsOf } from '../../../dist/engine/kernels/weight-format.js';
import { HEADER, TILE_ROWS } from '../../../dist/engine/scheduler/step-data.js';
import { Bench } from './bench.mjs';

const RANK = 16;
const MOST_ADAPTERS = 32;

/** Widths of a model's products; the first, alone, is what the target for a single one is stated for. */
const modelShapes = (model, hidden, intermediate, qkv, vocab) => [
  { name: `${model} qkv`, k: hidden, n: qkv, finish: 'none', slices: [0, hidden, (hidden + qkv) / 2] },
  { name: `${model} o`, k: hidden, n: hidden, finish: 'residual', slices: [0] },
  { name: `${model} gateUp`, k: hidden, n: 2 * intermediate, finish: 'swiglu', slices: [0, intermediate] },
  { name: `${model} down`, k: intermediate, n: hidden, finish: 'residual', slices: [0] },
  { name: `${model} head`, k: hidden, n: vocab, finish: 'none', slices: [0] },
];
const FULL = {
  shapes: [
    { name: '14336x4096', k: 4096, n: 14336, finish: 'none', slices: [0] },
    ...modelShapes('8b', 4096, 14336, 6144, 128256),
    ...modelShapes('70b', 8192, 28672, 10240, 128256),
  ],
  swept: ['14336x4096', '8b o', '70b down'],
  sweptFormats: ['f16', 'int4'],
  rows: [1, 2, 4, 8],
  arena: 1.125 * 2 ** 30,
  batch: 24,
  repeats: 7,
};
/** Runs anywhere, and shows nothing but that. */
const TINY = {
  shapes: modelShapes('tiny', 256, 512, 384, 1024).filter(({ name }) => !name.endsWith(' o')),
  swept: ['tiny down'],
  sweptFormats: ['f16'],
  rows: [1, 8],
  arena: 2 ** 23,
  batch: 3,
  repeats: 2,
};

/**
 * @param options {quick: small shapes and few of them, sweep: other tiles too (default: unless quick)}
 * @returns [{kernel, shape, format, rows, adapters, tile, seconds, median, bytes, bytesPerSecond}], seconds the best of the batches
 */
export async function measure(device, facts, { quick = false, sweep = !quick } = {}) {
  if (!facts.subgroups) return [{ kernel: 'gemv', error: 'the device has no subgroups' }];
  const sizes = quick || facts.software ? TINY : FULL;
  const bench = new Products(device, facts, sizes);
  try {
    const rows = [];
    for (const format of ['f16', 'int8', 'int4']) {
      for (const shape of sizes.shapes) {
        for (const count of sizes.rows) rows.push(await bench.product(shape, format, count, 0));
        if (format !== 'f16' || shape.name.endsWith('head')) continue; // adapters are f16 whatever the base is
        for (const count of sizes.rows) rows.push(await bench.product(shape, format, count, count));
      }
    }
    for (const shape of sizes.shapes.filter(({ name }) => !name.endsWith('head'))) {
      const others = sweep && sizes.swept.includes(shape.name);
      for (const [count, adapters] of [
        [1, 1],
        [8, 8],
        [32, 32],
        [32, 1],
      ]) {
        rows.push(...(await bench.shrinks(shape, count, adapters, others)));
      }
    }
    for (const count of [1, 8, 32]) rows.push(...(await bench.norms(sizes.shapes[0].k, count)));
    if (sweep) for (const row of await bench.sweep(sizes)) rows.push(row);
    return rows.filter((row) => row !== null);
  } finally {
    bench.destroy();
  }
}

/** Tiles worth trying: 64 and 128 bytes a lane under way, within WebGPU's promised workgroup memory. */
function tilesOf(shape, rows) {
  const { tm } = gemvTile(shape, rows);
  const tiles = [];
  for (const [tn, unroll] of [
    [1, 4],
    [2, 2],
    [2, 4],
    [4, 1],
    [4, 2],
  ]) {
    if (tn === 1 && shape.finish === 'swiglu') continue;
    for (const [columns, threads] of [
      [8, 256],
      [16, 256],
      [32, 256],
      [16, 128],
    ]) {
      const tile = { tm, tn, columns, threads, unroll };
      if (gemvBytes(shape.weights, tile) <= 16384) tiles.push(tile);
    }
  }
  return tiles;
}

class Products extends Bench {
  constructor(device, facts, sizes) {
    super(device, facts, sizes);
    this.compiler = new KernelCompiler(device);
    this.x = this.buffer(4 * MOST_ADAPTERS * 32768);
    this.fill(this.x);
    this.y = this.buffer(4 * MOST_ADAPTERS * 131072);
    this.residual = this.buffer(4 * MOST_ADAPTERS * 32768);
    this.s = this.buffer(4 * MOST_ADAPTERS * 3 * RANK);
    this.step = this.buffer(4096 * 4);
  }

  /** A step of decodes, by turns of these adapters: what kernels of products read of it. */
  writeStep(rows, adapters) {
    const words = new Uint32Array(4096);
    const pagesEach = RANK / 8;
    const [rowsAt, slotsAt] = [HEADER.WORDS, HEADER.WORDS + 4 * rows];
    const pagesAt = slotsAt + 4 * adapters;
    const tilesAt = pagesAt + adapters * pagesEach;
    words[HEADER.ROW_COUNT] = rows;
    words[HEADER.SAMPLE_COUNT] = rows;
    words[HEADER.ROWS_AT] = rowsAt;
    words[HEADER.SLOTS_AT] = slotsAt;
    words[HEADER.PAGES_AT] = pagesAt;
    words[HEADER.TILES_AT] = tilesAt;
    const each = adapters === 0 ? rows : Math.ceil(rows / adapters);
    const slotOf = (row) => (adapters === 0 ? 0xffffffff : Math.floor(row / each));
    for (let row = 0; row < rows; row++) words.set([0, row, row, slotOf(row)], rowsAt + 4 * row);
    const scale = new Uint32Array(Float32Array.of(0.5).buffer)[0];
    for (let slot = 0; slot < adapters; slot++) {
      words.set([RANK, scale, slot * pagesEach, 0], slotsAt + 4 * slot);
      for (let page = 0; page < pagesEach; page++) words[pagesAt + slot * pagesEach + page] = slot * pagesEach + page;
    }
    let tiles = 0;
    for (let slot = 0; slot < adapters; slot++) {
      for (let done = 0; done < each; done += TILE_ROWS, tiles++) {
        words.set([slot * each + done, Math.min(TILE_ROWS, each - done), slot, 0], tilesAt + 4 * tiles);
      }
    }
    this.device.queue.writeBuffer(this.step, 0, words);
    return { tiles, maxRank: RANK };
  }

  loraOf({ n, slices }) {
    const columnsAt = ((MOST_ADAPTERS * RANK) / 2) * n;
    return { slices, ranks: RANK, aAt: 0, bAt: 0, columnsAt, columnWords: n };
  }

  async product(shape, format, rows, adapters, tile = undefined) {
    const { k, n, finish } = shape;
    const weights = { format, pack: widePack(format) };
    const out = finish === 'swiglu' ? n / 2 : n;
    const lora = adapters > 0 ? this.loraOf(shape) : null;
    const full = { k, n, out, finish, rows: 'all', weights, lora };
    const used = tile ?? gemvTile(full, rows, this.facts.software);
    const bytes = 4 * wordsOf(weights, n, k);
    const places = this.places(bytes);
    // Of the pages of B as many as fit beside: each layer has its own.
    const pools = adapters > 0 ? this.places(2 * MOST_ADAPTERS * RANK * n) : [this.residual];
    if (!places || !pools) return null;
    this.writeStep(rows, adapters);
    const kernel = await this.compiler.compile(gemv, gemvConstants(full, used));
    const calls = places.map((w, i) =>
      this.call(kernel, this.step, w, this.x, this.y, this.residual, this.s, pools[i % pools.length]),
    );
    const loraBytes = 2 * adapters * RANK * n;
    const row = { kernel: 'gemv', shape: shape.name, format, rows, adapters, tile: gemvKey(used) };
    return this.read({ ...row, bytes: bytes + loraBytes }, calls, gemvGrid(full, used, rows));
  }

  async shrinks(shape, rows, adapters, others) {
    const { k, slices } = shape;
    const lora = this.loraOf(shape);
    const bytes = 2 * adapters * slices.length * RANK * k;
    const places = this.places(2 * MOST_ADAPTERS * slices.length * RANK * k);
    if (!places) return [];
    const step = this.writeStep(rows, adapters);
    const tiles = [1, 2, 4].flatMap((ranksEach) =>
      [128, 256].flatMap((threads) => [1, 2, 4].map((unroll) => ({ ranksEach, threads, unroll }))),
    );
    const kinds = [
      [shrink, shrinkConstants(k, lora), shrinkGrid(lora, step), ''],
      ...(others ? tiles : [SHRINK_FEW]).map((tile) => [
        shrinkFew,
        shrinkFewConstants(k, lora, tile),
        shrinkFewGrid(lora, step, tile),
        `${tile.ranksEach}/${tile.threads}/${tile.unroll}`,
      ]),
    ];
    const results = [];
    for (const [what, constants, grid, tile] of kinds) {
      const kernel = await this.compiler.compile(what, constants);
      const calls = places.map((a) => this.call(kernel, this.step, this.x, a, this.s));
      const row = { kernel: what.name, shape: shape.name, format: 'f16', rows, adapters, tile };
      results.push(await this.read({ ...row, bytes }, calls, grid));
    }
    return results;
  }

  async norms(hidden, rows) {
    this.writeStep(rows, 0);
    const results = [];
    for (const [what, constants] of [
      [rmsnorm, rmsnormConstants(hidden, 1e-5, false)],
      [rmsnormWide, rmsnormWideConstants(hidden, 1e-5, false)],
    ]) {
      const kernel = await this.compiler.compile(what, constants);
      const row = { kernel: what.name, shape: `${hidden}`, format: 'f32', rows, adapters: 0, tile: '' };
      const calls = [this.call(kernel, this.step, this.x, this.residual, this.y)];
      results.push(await this.read({ ...row, bytes: 4 * hidden * (2 * rows + 1) }, calls, rmsnormGrid(rows)));
    }
    return results;
  }

  /** The product in other tiles than those chosen; the chosen one is among them. */
  async sweep({ shapes, swept, sweptFormats }) {
    const results = [];
    for (const shape of shapes.filter(({ name }) => swept.includes(name))) {
      for (const format of sweptFormats) {
        for (const rows of [1, GEMV_ROWS]) {
          for (const tile of tilesOf({ ...shape, weights: { format, pack: widePack(format) } }, rows)) {
            const row = await this.product(shape, format, rows, 0, tile);
            if (row) results.push({ ...row, swept: true });
          }
        }
      }
    }
    return results;
  }

  call(kernel, ...buffers) {
    return { pipeline: kernel.pipeline, group: kernel.bind(...buffers) };
  }

  async read(row, calls, grid) {
    const timed = await this.timed(row, calls, grid);
    return { ...timed, bytesPerSecond: timed.bytes / timed.seconds };
  }
}
