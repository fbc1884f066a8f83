/**
 * Runs every kernel of a forward pass once, on a problem so small that its answer is known, and compares.
 *
 * In: the device's compiler. Out: nothing, or an EngineError with the kernel and the two numbers. Drivers differ in which
 * shaders they get wrong or abort on, so these are the engine's own kernels in the engine's own tiles, and not a stand-in;
 * the product comes as a step has it: with and without adapters, each finish, the tiles of one row and of many.
 * Inputs are whole numbers from -2 to 2: sums of their products are exact in any order, as f32 and as f16.
 */
import { EngineError } from '../errors.ts';
import { attention, attentionConstants, attentionGrid, ropeKv, ropeKvGrid } from '../kernels/attention.ts';
import { embed, embedConstants, embedGrid } from '../kernels/embed.ts';
import { dispatch, type Grid, type Kernel, type KernelCompiler } from '../kernels/kernel.ts';
import { type MatmulShape, matmul, matmulConstants, matmulGrid, matmulTile } from '../kernels/matmul.ts';
import { rmsnorm, rmsnormConstants, rmsnormGrid } from '../kernels/rmsnorm.ts';
import { sample, sampleConstants, sampleGrid } from '../kernels/sample.ts';
import { shrink, shrinkConstants, shrinkGrid } from '../kernels/shrink.ts';
import { encodeColumns, type WeightLayout, widePack } from '../kernels/weight-format.ts';
import { ResidentAdapter } from '../lora/slots.ts';
import { Sequence } from '../scheduler/sequence.ts';
import { type StepShape, StepWriter, stepCapacity } from '../scheduler/step-data.ts';

/** Two prompts of four tokens, 0 to 3 for the base model and 4 to 7 for the adapter: row r is token r, at position r % 4. */
const ROWS = 8;
const POSITIONS = 4;
const RANK = 8;
const SCALE = 2;
/** Width of x, of a head, and of every sum here. */
const WIDTH = 64;
/** q, k and v beside each other, padded. */
const COLUMNS = 256;
const VOCAB = 96;
const BEST = [17, 64];
const EPS = 1e-5;
/** As the models of such a device have them (transformer/weight-layouts.ts). */
const layoutFor = (software: boolean): WeightLayout => ({ format: 'f16', pack: software ? 1 : widePack('f16') });

/** A whole number from -2 to 2; `of` tells the tensors apart. */
const whole = (of: number, i: number, j: number): number => ((11 * of + 7 * i + 3 * j + i * j) % 5) - 2;
const [X, W, A, B, RESIDUAL, G, BIAS] = [1, 2, 3, 4, 5, 6, 7];
const F16 = [0xc000, 0xbc00, 0, 0x3c00, 0x4000];
/** Two of them as f16, the first in the low half. */
const pair = (a: number, b: number): number => ((F16[a + 2] as number) | ((F16[b + 2] as number) << 16)) >>> 0;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const table = (rows: number, columns: number, at: (row: number, column: number) => number): number[] =>
  range(rows).flatMap((row) => range(columns).map((column) => at(row, column)));
const sum = (count: number, at: (i: number) => number): number => range(count).reduce((total, i) => total + at(i), 0);

interface Problem {
  kernel: Kernel;
  constants: Record<string, number>;
  grid: Grid;
  bound: GPUBuffer[];
  /** What the buffer must then hold, up to this share of the value or of 1: none where every sum is exact. */
  answers: { buffer: GPUBuffer; expected: number[]; within: number }[];
}

/** @throws EngineError no_device (a wrong number), or bug (a kernel does not compile) */
export async function checkKernels(compiler: KernelCompiler, software: boolean): Promise<void> {
  const { device } = compiler;
  const problems = problemsFor(device, software);
  const compiled = await Promise.all(problems.map(({ kernel, constants }) => compiler.compile(kernel, constants)));
  device.pushErrorScope('validation');
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  problems.forEach(({ bound, grid }, i) => {
    const { pipeline, bind } = compiled[i] as (typeof compiled)[number];
    dispatch(pass, { pipeline, group: bind(...bound) }, grid);
  });
  pass.end();
  const answers = problems.flatMap((problem) => problem.answers.map((answer) => ({ ...answer, problem })));
  const copies = answers.map(({ buffer }) => {
    const copy = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  const refused = await device.popErrorScope();
  if (refused) throw new EngineError('no_device', `its self-test was refused: ${refused.message.split('\n')[0]}`);
  await Promise.all(copies.map((copy) => copy.mapAsync(GPUMapMode.READ)));
  answers.forEach(({ problem, expected, within }, i) => {
    const mapped = (copies[i] as GPUBuffer).getMappedRange();
    const got = problem.kernel === sample ? new Uint32Array(mapped) : new Float32Array(mapped);
    const wrong = expected.findIndex(
      (value, at) => !(Math.abs((got[at] as number) - value) <= within * Math.max(1, Math.abs(value))),
    );
    if (wrong < 0) return;
    throw new EngineError(
      'no_device',
      `its self-test gave ${got[wrong]} where ${expected[wrong]} is right (kernel ${problem.kernel.name} with ${JSON.stringify(problem.constants)}, element ${wrong})`,
    );
  });
}

function problemsFor(device: GPUDevice, software: boolean): Problem[] {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const empty = (elements: number) => device.createBuffer({ size: 4 * elements, usage });
  const filled = (data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>) => {
    const buffer = empty(data.length);
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const words = (data: number[]) => filled(Uint32Array.from(data));
  const floats = (data: number[]) => filled(Float32Array.from(data));

  const { data, shape: step } = stepOf();
  const steps = filled(data.slice());
  const unused = empty(4);
  const x = table(ROWS, WIDTH, (row, k) => whole(X, row, k));
  const xs = floats(x);
  const problems: Problem[] = [];
  const add = (
    kernel: Kernel,
    constants: Record<string, number>,
    grid: Grid,
    bound: GPUBuffer[],
    ...answers: Problem['answers']
  ) => problems.push({ kernel, constants, grid, bound: [steps, ...bound], answers });

  const embedded = empty(ROWS * WIDTH);
  const layout = layoutFor(software);
  const encoded = (seed: number, n: number) =>
    filled(encodeColumns(Float32Array.from(table(n, WIDTH, (row, k) => whole(seed, row, k))), n, WIDTH, layout));
  const tokens = encoded(X, 32);
  add(embed, embedConstants(WIDTH, layout), embedGrid(WIDTH, ROWS), [unused, tokens, embedded], {
    buffer: embedded,
    expected: x,
    within: 0,
  });

  const ones = floats(range(WIDTH).map(() => 1));
  const normal = (row: number, k: number) =>
    whole(X, row, k) / Math.sqrt(sum(WIDTH, (i) => whole(X, row, i) ** 2) / WIDTH + EPS);
  for (const sources of [range(ROWS), [POSITIONS - 1, ROWS - 1]]) {
    const y = empty(sources.length * WIDTH);
    const expected = table(sources.length, WIDTH, (row, k) => normal(sources[row] as number, k));
    const constants = rmsnormConstants(WIDTH, EPS, sources.length < ROWS);
    add(rmsnorm, constants, rmsnormGrid(sources.length), [xs, ones, y], { buffer: y, expected, within: 1e-4 });
  }

  addProducts();
  addAttention();

  const logits = floats(table(2, VOCAB, (row, id) => (id === BEST[row] ? 3 : whole(X, row, id))));
  const ids = empty(4);
  add(sample, sampleConstants(VOCAB), sampleGrid(2), [logits, ids], { buffer: ids, expected: BEST, within: 0 });
  return problems;

  function addProducts(): void {
    const pageWords = (RANK / 2) * COLUMNS;
    const places = { aAt: 0, bAt: 0, columnsAt: pageWords, columnWords: COLUMNS };
    const lora = { slices: [0, WIDTH, 2 * WIDTH], ranks: RANK, ...places };
    const sliceOf = (n: number) => Math.min(2, Math.floor(n / WIDTH));
    const shrunkAt = (row: number, slice: number, rank: number) =>
      row < POSITIONS ? 0 : sum(WIDTH, (k) => whole(X, row, k) * whole(A, slice * RANK + rank, k));
    const shrunk = empty(ROWS * 3 * RANK);
    const a = words(
      table(3 * RANK, WIDTH / 2, (line, two) => pair(whole(A, line, 2 * two), whole(A, line, 2 * two + 1))),
    );
    const expected = table(ROWS, 3 * RANK, (row, line) => shrunkAt(row, Math.floor(line / RANK), line % RANK));
    add(shrink, shrinkConstants(WIDTH, lora), shrinkGrid(lora, step), [xs, a, shrunk], {
      buffer: shrunk,
      expected,
      within: 0,
    });

    const product = (row: number, n: number) => sum(WIDTH, (k) => whole(X, row, k) * whole(W, n, k));
    const expanded = (row: number, n: number) =>
      SCALE * sum(RANK, (rank) => shrunkAt(row, sliceOf(n), rank) * whole(B, rank, n));
    const b = words([
      ...table(RANK / 2, COLUMNS, (two, n) => pair(whole(B, 2 * two, n), whole(B, 2 * two + 1, n))),
      ...table(1, COLUMNS, (_, n) => pair(whole(G, 0, n), whole(BIAS, 0, n))),
    ]);
    const residual = floats(table(ROWS, COLUMNS, (row, n) => whole(RESIDUAL, row, n)));
    const w = encoded(W, COLUMNS);
    const silu = (v: number) => v / (1 + Math.exp(-v));
    const withLora = (row: number, n: number) =>
      row < POSITIONS
        ? product(row, n)
        : (product(row, n) + expanded(row, n)) * (1 + whole(G, 0, n)) + whole(BIAS, 0, n);
    const finishes: [MatmulShape['finish'], boolean, rows: number, at: (row: number, n: number) => number][] = [
      ['none', true, 1, withLora],
      ['none', false, ROWS, product],
      ['residual', true, ROWS, (row, n) => whole(RESIDUAL, row, n) + withLora(row, n)],
      ['swiglu', false, ROWS, (row, n) => silu(product(row, n)) * product(row, COLUMNS / 2 + n)],
    ];
    for (const [finish, hasLora, rows, at] of finishes) {
      const out = finish === 'swiglu' ? COLUMNS / 2 : COLUMNS;
      const shared = { k: WIDTH, n: COLUMNS, out, rows: 'all', weights: layout } as const;
      const shape: MatmulShape = { ...shared, finish, lora: hasLora ? lora : null };
      const tile = matmulTile(rows, { software, batchInvariant: false });
      const y = empty(ROWS * out);
      add(
        matmul(layout),
        matmulConstants(shape, tile),
        matmulGrid(shape, tile, ROWS),
        [w, xs, y, residual, shrunk, b],
        {
          buffer: y,
          expected: table(ROWS, out, at),
          within: finish === 'swiglu' ? 1e-4 : 0,
        },
      );
    }
  }

  function addAttention(): void {
    const shape = { heads: 1, kvHeads: 1, headDim: WIDTH, blockSize: 16 };
    const half = WIDTH / 2;
    const qkv = floats(table(ROWS, 3 * WIDTH, (row, n) => whole(W, row, n)));
    // A quarter turn at odd positions, none at even ones: whole numbers stay whole.
    const angles = floats(table(POSITIONS, WIDTH, (position, i) => (position % 2 === i % 2 ? 1 : 0)));
    const turned = (row: number, at: number, i: number) => {
      const [a, b] = [whole(W, row, at + (i % half)), whole(W, row, at + half + (i % half))];
      if (row % 2 === 0) return i < half ? a : b;
      return i < half ? -b : a;
    };
    const [q, keys, values, out] = [empty(ROWS * WIDTH), empty(16 * WIDTH), empty(16 * WIDTH), empty(ROWS * WIDTH)];
    const constants = attentionConstants(shape);
    add(ropeKv, constants, ropeKvGrid(shape, ROWS), [qkv, angles, q, keys, values], {
      buffer: q,
      expected: table(ROWS, WIDTH, (row, i) => turned(row, 0, i)),
      within: 0,
    });
    const attended = (row: number): number[] => {
      const seen = range((row % POSITIONS) + 1).map((back) => row - (row % POSITIONS) + back);
      const scores = seen.map(
        (other) => sum(WIDTH, (i) => turned(row, 0, i) * turned(other, WIDTH, i)) / Math.sqrt(WIDTH),
      );
      const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const total = weights.reduce((all, weight) => all + weight, 0);
      return range(WIDTH).map(
        (i) => sum(seen.length, (s) => (weights[s] as number) * whole(W, seen[s] as number, 2 * WIDTH + i)) / total,
      );
    };
    add(attention, constants, attentionGrid(shape, ROWS), [q, keys, values, out], {
      buffer: out,
      expected: range(ROWS).flatMap(attended),
      within: 1e-3,
    });
  }
}

/** The step of the two prompts, as the engine writes it. */
function stepOf(): { data: Uint32Array<ArrayBuffer>; shape: StepShape } {
  const adapter = new ResidentAdapter({
    name: '',
    path: '',
    slot: 0,
    rank: RANK,
    scale: SCALE,
    pages: [0],
    hasColumns: true,
  });
  const parts = [null, adapter].map((one, i) => {
    // The first takes its best token, the second draws among its one best.
    const sampling = { temperature: i, topP: 1, topK: i, seed: 0, minTokens: 0, maxTokens: 1, ignoreEos: true };
    const prompt = Uint32Array.from(range(POSITIONS), (position) => i * POSITIONS + position);
    const sequence = new Sequence(i, { ...sampling, prompt, adapter: null }, one, 0);
    sequence.blocks = [i];
    sequence.planned = 1;
    return { sequence, first: 0, count: POSITIONS, samples: true, previous: null };
  });
  const writer = new StepWriter(stepCapacity({ rows: ROWS, sequences: 2, blocks: 2, pages: 1 }), []);
  return writer.write({ parts, rows: ROWS, sampled: parts });
}
