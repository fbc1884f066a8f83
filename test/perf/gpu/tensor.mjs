// What the kernels on tensor cores reach on a device: split-k (8 to 64 rows) with the reductions that follow, and tiles (prefill,
// and the head), at the shapes of Llama 3 8B and 70B, in every weight format, with and without adapters; then the tiles and
// splits that a device could be tuned to. gpu-measure.mjs calls measure().
//
// Weights and adapters rotate over 512 MB and more, so that none is in a cache when its turn comes. Dispatches of a batch wait
// for each other, as in a step: a figure holds the cost of a dispatch. On a software device sizes and tiles are tiny: it shows
// that all of it runs, and nothing else.

import { HEADER, TILE_ROWS } from '../../../dist/engine/scheduler/step-data.js';
import { Bench } from './bench.mjs';

const RANK = 16;
const MOST_ADAPTERS = 32;
const EPS = 1e-5;
const KV_BLOCK = 16;

const modelShapes = (model, hidden, intermediate, heads, kvHeads, vocab) => {
  const [headDim, q] = [128, heads * 128];
  const qkv = (heads + 2 * kvHeads) * headDim;
  const attention = { heads, kvHeads, headDim, blockSize: KV_BLOCK };
  return [
    { name: `${model} qkv`, k: hidden, n: qkv, finish: 'none', slices: [0, q, q + kvHeads * headDim], attention },
    { name: `${model} o`, k: q, n: hidden, finish: 'residual', slices: [0] },
    { name: `${model} gateUp`, k: hidden, n: 2 * intermediate, finish: 'swiglu', slices: [0, intermediate] },
    { name: `${model} down`, k: intermediate, n: hidden, finish: 'residual', slices: [0] },
    { name: `${model} head`, k: hidden, n: vocab, finish: 'none', slices: [0] },
  ];
};
const FULL = {
  shapes: [...modelShapes('8b', 4096, 14336, 32, 8, 128256), ...modelShapes('70b', 8192, 28672, 64, 8, 128256)],
  formats: ['f16', 'int8', 'int4'],
  few: [8, 16, 32, 64],
  many: [128, 512, 2048],
  adapted: { few: 32, many: 2048 },
  swept: { few: ['8b qkv', '8b o', '8b gateUp', '8b down'], many: ['8b gateUp', '8b down'], formats: ['f16', 'int4'] },
  arena: 1.125 * 2 ** 30,
  batch: 12,
  repeats: 5,
};
const TINY = {
  shapes: modelShapes('tiny', 256, 256, 1, 1, 256).filter(({ name }) => !name.endsWith(' o')),
  formats: ['f16', 'int4'],
  few: [8],
  many: [70],
  adapted: { few: 8, many: 70 },
  swept: { few: [], many: [], formats: [] },
  arena: 2 ** 23,
  batch: 2,
  repeats: 1,
};

/**
 * @param options {quick: small shapes and few of them, sweep: other tiles too (default: unless quick)}
 * @returns [{kernel, shape, format, rows, adapters, tile, seconds, median, bytes, flops}], seconds the best of the batches
 */
export async function measure(device, facts, { quick = false, sweep = !quick } = {}) {
  const kernels = await Promise.all(
    ['split-k', 'tiles', 'reduce', 'shrink', 'shrink-tiles', 'tensor-product', 'kernel', 'weight-format'].map(
      (name) => import(`../../../dist/engine/kernels/${name}.js`),
    ),
  );
  const api = Object.assign({}, ...kernels);
  const cores = api.tensorCoresOf(facts);
  if (!cores) return [{ kernel: 'split-k', error: 'the device has no tensor cores for f16 summed in f32' }];
  const sizes = quick || facts.software ? TINY : FULL;
  const bench = new Products(device, facts, { ...sizes, api, cores });
  try {
    const rows = [];
    const add = async (work) => rows.push(...[await work].flat().filter((row) => row !== null));
    for (const shape of sizes.shapes) {
      const head = shape.name.endsWith('head');
      for (const format of sizes.formats) {
        for (const count of sizes.few) {
          if (!head) await add(bench.splitK(shape, format, count, 0));
          if (head || format === 'f16') await add(bench.tiles(shape, format, count, 0));
        }
        if (!head) for (const count of sizes.many) await add(bench.tiles(shape, format, count, 0));
      }
      if (head) continue;
      for (const adapters of [1, MOST_ADAPTERS]) {
        await add(bench.splitK(shape, 'f16', sizes.adapted.few, Math.min(adapters, sizes.adapted.few)));
        await add(bench.reduce(shape, sizes.adapted.few, Math.min(adapters, sizes.adapted.few)));
      }
      await add(bench.reduce(shape, sizes.adapted.few, 0));
      await add(bench.tiles(shape, 'f16', sizes.adapted.many, 1));
      await add(bench.shrink(shape, sizes.adapted.many, 1));
    }
    if (sweep) await add(bench.sweep(sizes.swept));
    return rows;
  } finally {
    bench.destroy();
  }
}

class Products extends Bench {
  constructor(device, facts, { arena, batch, repeats, shapes, few, many, api, cores }) {
    super(device, facts, { arena, batch, repeats });
    Object.assign(this, { api, cores });
    this.compiler = new api.KernelCompiler(device);
    this.most = Math.max(...few, ...many);
    const widest = (pick) => Math.max(...shapes.map(pick));
    const rowsOf = ({ name }) => (name.endsWith('head') ? Math.max(...few) : this.most);
    this.x = this.buffer(4 * this.most * widest(({ k }) => k));
    this.y = this.buffer(4 * widest((shape) => shape.n * rowsOf(shape)));
    this.residual = this.buffer(4 * this.most * widest(({ k }) => k));
    this.s = this.buffer(4 * this.most * 3 * RANK);
    this.angles = this.buffer(4 * this.most * 128);
    this.caches = [0, 1].map(() => this.buffer(this.most * 8 * KV_BLOCK * 128 * 2));
    this.partials = this.buffer(
      Math.max(
        ...shapes.flatMap((shape) =>
          few.map((rows) => 4 * api.MOST_PARTS * Math.max(16, rows) * Math.min(shape.n, 65536)),
        ),
      ),
    );
    this.normed = this.buffer(4 * this.most * widest(({ k }) => k));
    this.step = this.buffer(4 * (64 + 16 * this.most));
    for (const filled of [this.x, this.residual, this.s, this.partials]) this.fill(filled);
  }

  /** A step of decodes, each adapter's rows together: what kernels of products and reductions read of it. */
  writeStep(rows, adapters) {
    const words = new Array(HEADER.WORDS).fill(0);
    const begin = (header) => {
      words[header] = words.length;
    };
    const each = adapters === 0 ? rows : Math.ceil(rows / adapters);
    words[HEADER.ROW_COUNT] = words[HEADER.SAMPLE_COUNT] = rows;
    begin(HEADER.ROWS_AT);
    for (let row = 0; row < rows; row++) {
      words.push(0, row % KV_BLOCK, row, adapters === 0 ? 0xffffffff : Math.floor(row / each));
    }
    begin(HEADER.SEQUENCES_AT);
    for (let row = 0; row < rows; row++) words.push(row);
    begin(HEADER.BLOCKS_AT);
    for (let row = 0; row < rows; row++) words.push(row);
    begin(HEADER.SLOTS_AT);
    const scale = new Uint32Array(Float32Array.of(0.5).buffer)[0];
    for (let slot = 0; slot < adapters; slot++) words.push(RANK, scale, (slot * RANK) / 8, 0);
    begin(HEADER.PAGES_AT);
    for (let page = 0; page < (adapters * RANK) / 8; page++) words.push(page);
    begin(HEADER.TILES_AT);
    let tiles = 0;
    for (let from = 0; adapters > 0 && from < rows; from += each) {
      for (let row = from; row < Math.min(rows, from + each); row += TILE_ROWS, tiles++) {
        words.push(row, Math.min(TILE_ROWS, rows - row, from + each - row), Math.floor(from / each), 0);
      }
    }
    begin(HEADER.QUERIES_AT);
    this.device.queue.writeBuffer(this.step, 0, Uint32Array.from(words));
    return { rows, tiles, maxRank: adapters > 0 ? RANK : 0 };
  }

  shapeOf({ k, n, finish, slices }, format, adapters) {
    const columnsAt = ((MOST_ADAPTERS * RANK) / 2) * n;
    const lora = adapters > 0 ? { slices, ranks: RANK, aAt: 0, bAt: 0, columnsAt, columnWords: n } : null;
    const weights = { format, pack: this.api.widePack(format) };
    return { k, n, out: finish === 'swiglu' ? n / 2 : n, finish, rows: 'all', weights, lora };
  }

  /** What a processor compiles in a second instead of minutes; a GPU's own choice. */
  chosen(choose, rows, shape, split) {
    if (!this.facts.software) return choose(rows, shape, this.cores);
    const { m, n } = this.cores.matrix;
    const columns = { columns: 32, subgroupColumns: shape.finish === 'swiglu' ? 2 * n : n };
    const tile = { rows: 16, ...columns, subgroupRows: m, depth: 32, buffers: 1, direct: false };
    return split ? { tile, split } : tile;
  }

  /** The product's parts, with the adapters' shrinks among them. */
  async splitK(shape, format, rows, adapters, how = undefined) {
    const { api, cores } = this;
    const full = this.shapeOf(shape, format, adapters);
    const used = how ?? this.chosen(api.splitKTile, rows, full, 2);
    if (!used) return null;
    const bytes = 4 * api.wordsOf(full.weights, full.n, full.k);
    const loraBytes = 2 * adapters * shape.slices.length * RANK * full.k;
    const places = this.places(bytes);
    const pools = this.places(Math.max(256, loraBytes));
    if (!places || api.partialBytes(used, full.n) > this.partials.size) return null;
    const step = this.writeStep(rows, adapters);
    const kernel = await this.compiler.compile(
      api.splitK(used.tile, full.weights, cores),
      api.splitKConstants(full, used),
    );
    const calls = places.map((w, i) =>
      this.call(kernel, this.step, w, this.x, this.partials, pools[i % pools.length], this.s),
    );
    const tile = `${api.tensorTileKey(used.tile)} in ${used.split}`;
    const flops = 2 * rows * full.k * full.n + 2 * rows * (adapters > 0 ? RANK : 0) * full.k * shape.slices.length;
    const row = { kernel: 'split-k', shape: shape.name, format, rows, adapters, tile };
    return this.timed({ ...row, bytes: bytes + loraBytes, flops }, calls, api.splitKGrid(full, used, step));
  }

  /** What finishes the projection, from the parts of its default tile. */
  async reduce(shape, rows, adapters) {
    const { api } = this;
    const full = this.shapeOf(shape, 'f16', adapters);
    const used = this.chosen(api.splitKTile, rows, full, 2);
    if (!used) return null;
    const sums = { split: used.split, rows: used.tile.rows };
    const loraBytes = 2 * adapters * RANK * full.n;
    const pools = this.places(Math.max(256, 2 * MOST_ADAPTERS * RANK * full.n));
    this.writeStep(rows, adapters);
    const threads = api.reduceNormThreads(full.out, this.facts.maxInvocations);
    const [kernel, constants, grid, rest] = {
      none: () => [
        api.reduceRope,
        api.reduceRopeConstants(full, sums, shape.attention),
        api.reduceRopeGrid(shape.attention, rows),
        [this.angles, this.y, ...this.caches],
      ],
      residual: () => [
        api.reduceNorm,
        api.reduceNormConstants(full, sums, EPS, threads),
        api.reduceNormGrid(rows),
        [this.residual, this.x, this.y, this.normed],
      ],
      swiglu: () => [
        api.reduceSwiglu,
        api.reduceSwigluConstants(full, sums),
        api.reduceSwigluGrid(full.out, rows),
        [this.y],
      ],
    }[shape.finish]();
    const compiled = await this.compiler.compile(kernel, constants);
    const calls = pools.map((pool) => this.call(compiled, this.step, this.partials, this.s, pool, ...rest));
    const bytes = 4 * used.split * rows * full.n + loraBytes;
    const row = { kernel: kernel.name, shape: shape.name, format: 'f16', rows, adapters, tile: `${used.split} parts` };
    return this.timed({ ...row, bytes, flops: 0 }, calls, grid);
  }

  async tiles(shape, format, rows, adapters, tile = undefined) {
    const { api, cores } = this;
    const full = this.shapeOf(shape, format, adapters);
    const used = tile ?? this.chosen(api.tilesTile, rows, full);
    if (!used) return null;
    const bytes = 4 * api.wordsOf(full.weights, full.n, full.k);
    const places = this.places(bytes);
    const pools = adapters > 0 ? this.places(2 * MOST_ADAPTERS * RANK * full.n) : [this.residual];
    if (!places || !pools) return null;
    this.writeStep(rows, adapters);
    const kernel = await this.compiler.compile(api.tiles(used, full.weights, cores), api.tilesConstants(full));
    const calls = places.map((w, i) =>
      this.call(kernel, this.step, w, this.x, this.y, this.residual, this.s, pools[i % pools.length]),
    );
    const flops = 2 * rows * full.k * full.n;
    const row = { kernel: 'tiles', shape: shape.name, format, rows, adapters, tile: api.tensorTileKey(used) };
    return this.timed({ ...row, bytes, flops }, calls, api.tilesGrid(full, used, rows));
  }

  /** The shrink at prefill, on tensor cores and the portable one: it stands before tiles, and must be a small part beside it. */
  async shrink(shape, rows, adapters) {
    const { api, cores } = this;
    const { lora, k } = this.shapeOf(shape, 'f16', adapters);
    const step = this.writeStep(rows, adapters);
    const { m, n } = cores.matrix;
    const small = { rows: 16, columns: 32, subgroupRows: m, subgroupColumns: n, depth: 32, buffers: 1, direct: false };
    const used = this.facts.software ? small : api.shrinkTile(k, cores);
    const bytes = 4 * rows * k + 2 * adapters * shape.slices.length * RANK * k;
    const flops = 2 * rows * k * RANK * shape.slices.length;
    const row = { shape: shape.name, format: 'f16', rows, adapters, bytes, flops };
    const results = [];
    if (used) {
      const kernel = await this.compiler.compile(api.shrinkTiles(used, cores), api.shrinkTilesConstants(k, lora));
      const calls = [this.call(kernel, this.step, this.arena, this.x, this.s)];
      const own = { kernel: 'shrink-tiles', tile: api.tensorTileKey(used), ...row };
      results.push(await this.timed(own, calls, api.shrinkTilesGrid(lora, used, step)));
    }
    const kernel = await this.compiler.compile(api.shrink, api.shrinkConstants(k, lora));
    const calls = [this.call(kernel, this.step, this.x, this.arena, this.s)];
    results.push(await this.timed({ kernel: 'shrink', tile: '', ...row }, calls, api.shrinkGrid(lora, step)));
    return results;
  }

  /** Other tiles and splits than those chosen, where they fit the device. */
  async sweep({ few, many, formats }) {
    const results = [];
    const { shapes } = FULL;
    const tried = async (work) => {
      const row = await work;
      if (row) results.push({ ...row, swept: true });
    };
    for (const format of formats) {
      for (const shape of shapes.filter(({ name }) => few.includes(name))) {
        for (const how of this.splits(this.shapeOf(shape, format, 0), 32)) {
          await tried(this.splitK(shape, format, 32, 0, how));
        }
      }
      for (const shape of shapes.filter(({ name }) => many.includes(name))) {
        for (const tile of this.larges(this.shapeOf(shape, format, 0))) {
          await tried(this.tiles(shape, format, 2048, 0, tile));
        }
      }
    }
    return results;
  }

  fitting(shapes, full) {
    const most = full.finish === 'swiglu' ? 2 * this.cores.matrix.n : this.cores.matrix.n;
    return shapes.filter(
      (tile) => tile.subgroupColumns % most === 0 && this.api.fits(tile, full.k, full.weights, this.cores),
    );
  }

  splits(full, rows) {
    const [directs, columns] =
      full.weights.format === 'f16'
        ? [
            [true, false],
            [64, 128, 256],
          ]
        : [[false], [64, 128, 256]];
    const tiles = directs.flatMap((direct) =>
      columns.flatMap((wide) =>
        [4, 8].flatMap((subgroups) =>
          [64, 128].flatMap((depth) =>
            [1, 2].map((buffers) => {
              const each = { rows, columns: wide, subgroupRows: rows, subgroupColumns: wide / subgroups };
              return { ...each, depth, buffers, direct };
            }),
          ),
        ),
      ),
    );
    return this.fitting(tiles, { ...full, finish: 'none' }).flatMap((tile) => {
      const even = Math.max(1, Math.round(264 / Math.ceil(full.n / tile.columns)));
      const splits = new Set([Math.ceil(even / 2), even, 2 * even].map((split) => Math.min(16, split)));
      return [...splits].map((split) => ({ tile, split }));
    });
  }

  larges(full) {
    const shapes = [
      [128, 128, 64, 32],
      [128, 128, 32, 64],
      [128, 128, 64, 64],
      [128, 256, 64, 64],
      [256, 128, 64, 64],
      [64, 128, 32, 32],
      [256, 64, 64, 32],
    ];
    const directs = full.weights.format === 'f16' ? [true, false] : [false];
    const tiles = shapes.flatMap(([rows, columns, subgroupRows, subgroupColumns]) =>
      directs.flatMap((direct) =>
        [32, 64].flatMap((depth) =>
          [1, 2].map((buffers) => ({ rows, columns, subgroupRows, subgroupColumns, depth, buffers, direct })),
        ),
      ),
    );
    return this.fitting(tiles, full);
  }

  call(kernel, ...buffers) {
    return { pipeline: kernel.pipeline, group: kernel.bind(...buffers) };
  }
}
