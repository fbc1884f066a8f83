/**
 * What each kernel has to give, in float64 and from the batch's own description instead of the words the kernel reads. In: the
 * same inputs. Out: numbers with bounds on the error of a right f32 computation, after Higham, "Accuracy and Stability of
 * Numerical Algorithms", section 3.1: a sum of n products is off by at most n·u·Σ|terms| to first order, in any order, with
 * u = 2^-24. Twice that is allowed, since WGSL may leave products unfused and round other than to nearest.
 *
 * sample.wgsl's oracle is in sample-oracle.ts.
 */
import type { MatmulShape } from '../../../engine/kernels/matmul.ts';
import type { ResidentAdapter } from '../../../engine/lora/slots.ts';
import type { Row } from './batches.ts';
import { type Expected, expected, U } from './close-to.ts';
import type { LoraTensors } from './lora-tensors.ts';

/** [rows, hidden] = table[token]. Exact: widening f16 rounds nothing. */
export function embedOracle(
  rows: readonly Row[],
  hidden: number,
  table: (token: number, column: number) => number,
): Expected {
  const want = expected(rows.length * hidden);
  rows.forEach(({ token }, row) => {
    for (let c = 0; c < hidden; c++) want.values[row * hidden + c] = table(token, c);
  });
  return want;
}

/** [sources, hidden] = x * weight / sqrt(mean(x²) + eps) of the source rows. */
export function rmsnormOracle(
  sources: readonly number[],
  hidden: number,
  eps: number,
  x: Float32Array,
  weight: Float32Array,
): Expected {
  const want = expected(sources.length * hidden);
  sources.forEach((source, row) => {
    let sum = 0;
    for (let c = 0; c < hidden; c++) sum += (x[source * hidden + c] as number) ** 2;
    const scale = 1 / Math.sqrt(sum / hidden + eps);
    for (let c = 0; c < hidden; c++) {
      const value = (x[source * hidden + c] as number) * scale * (weight[c] as number);
      want.values[row * hidden + c] = value;
      // Half the sum's relative error (all terms are positive), and square root, division and two products of a few ulp.
      want.bounds[row * hidden + c] = Math.abs(value) * (hidden + 16) * U;
    }
  });
  return want;
}

export interface Rotated {
  /** [rows, heads * headDim] */
  q: Expected;
  /** [rows, kvHeads * headDim], before rounding to f16 */
  k: Expected;
  v: Expected;
}

/** @param qkv f32 [rows, (heads + 2 kvHeads) * headDim]; @param radians a position for each pair, as transformer/rope.ts has them */
export function ropeOracle(
  rows: readonly Row[],
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
  qkv: Float32Array,
  radians: readonly number[],
): Rotated {
  const half = headDim / 2;
  const width = (heads + 2 * kvHeads) * headDim;
  const q = expected(rows.length * heads * headDim);
  const k = expected(rows.length * kvHeads * headDim);
  const v = expected(rows.length * kvHeads * headDim);
  rows.forEach(({ position }, row) => {
    for (let head = 0; head < heads + 2 * kvHeads; head++) {
      const to = head < heads ? q : head < heads + kvHeads ? k : v;
      const own = head < heads ? head : (head - heads) % kvHeads;
      const base = (row * (head < heads ? heads : kvHeads) + own) * headDim;
      for (let i = 0; i < half; i++) {
        const a = qkv[row * width + head * headDim + i] as number;
        const b = qkv[row * width + head * headDim + half + i] as number;
        const turn = to === v ? 0 : position * (radians[i] as number);
        to.values[base + i] = a * Math.cos(turn) - b * Math.sin(turn);
        to.values[base + half + i] = b * Math.cos(turn) + a * Math.sin(turn);
        // The table's cos and sin are rounded once, two products and a sum once each.
        to.bounds[base + i] = (Math.abs(a) + Math.abs(b)) * 4 * U;
        to.bounds[base + half + i] = to.bounds[base + i] as number;
      }
    }
  });
  return { q, k, v };
}

/**
 * [rows, heads * headDim] = softmax(q · Kᵀ / sqrt(headDim)) · V over positions 0..position of the row's sequence.
 * @param key, value element of (sequence id, kv head, position, i), as f16 holds it
 */
export function attentionOracle(
  rows: readonly Row[],
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
  q: Float32Array,
  key: (sequence: number, head: number, position: number, i: number) => number,
  value: (sequence: number, head: number, position: number, i: number) => number,
): Expected {
  const want = expected(rows.length * heads * headDim);
  rows.forEach(({ sequence: { id }, position }, row) => {
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / (heads / kvHeads));
      const at = (row * heads + head) * headDim;
      const scores = new Float64Array(position + 1);
      let magnitude = 0;
      for (let p = 0; p <= position; p++) {
        let sum = 0;
        let size = 0;
        for (let i = 0; i < headDim; i++) {
          const term = (q[at + i] as number) * key(id, kv, p, i);
          sum += term;
          size += Math.abs(term);
        }
        scores[p] = sum / Math.sqrt(headDim);
        magnitude = Math.max(magnitude, size / Math.sqrt(headDim));
      }
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((a, b) => a + b, 0);
      // A score's error is a relative error of its weight, met above and below the fraction; WGSL's exp adds
      // 3 + 2|x| ulp, and weights of |x| > 16 are too small to count; the sums add one rounding a position.
      const relative = 2 * (2 * (headDim + 2) * U * magnitude + 2 * 35 * U + 2 * (position + 8) * U);
      for (let i = 0; i < headDim; i++) {
        let sum = 0;
        let size = 0;
        for (let p = 0; p <= position; p++) {
          const term = (weights[p] as number) * value(id, kv, p, i);
          sum += term;
          size += Math.abs(term);
        }
        want.values[at + i] = sum / total;
        want.bounds[at + i] = (size / total) * relative;
      }
    }
  });
  return want;
}

export interface Dot {
  value: number;
  /** Σ|terms| */
  size: number;
}

export function dot(length: number, term: (i: number) => number): Dot {
  let value = 0;
  let size = 0;
  for (let i = 0; i < length; i++) {
    const t = term(i);
    value += t;
    size += Math.abs(t);
  }
  return { value, size };
}

/** x[row] · A[slice, r], for one row of an adapter. */
export const shrinkOracle = (
  tensors: LoraTensors,
  adapter: ResidentAdapter,
  k: number,
  x: Float32Array,
  { row, slice, r }: { row: number; slice: number; r: number },
): { value: number; bound: number } => {
  const { value, size } = dot(k, (c) => (x[row * k + c] as number) * tensors.a(adapter, slice, r, c));
  return { value, bound: 2 * k * U * size };
};

export interface MatmulInputs {
  /** W[column, k] */
  w(column: number, k: number): number;
  x: Float32Array;
  residual: Float32Array;
  /** s[row, slice, r] */
  s(row: number, slice: number, r: number): number;
  tensors: LoraTensors | null;
  /** x · Wᵀ, where it is not computed in f32: its own bound comes with it. */
  product?(row: number, column: number): Dot & { bound: number };
}

/** @param adapters of the rows of y: an adapter, or null for the base model */
export function matmulOracle(
  shape: MatmulShape,
  adapters: readonly (ResidentAdapter | null)[],
  inputs: MatmulInputs,
): Expected {
  const { k, n, out, finish, lora } = shape;
  const want = expected(adapters.length * out);
  const projected = (row: number, column: number): { value: number; bound: number } => {
    const inF32 = () => dot(k, (i) => (inputs.x[row * k + i] as number) * inputs.w(column, i));
    const base = inputs.product?.(row, column) ?? { ...inF32(), bound: 0 };
    const roundings = inputs.product ? 0 : k;
    const adapter = adapters[row];
    if (!lora || !adapter || !inputs.tensors) {
      return { value: base.value, bound: base.bound + 2 * roundings * U * base.size };
    }
    const slice = lora.slices.findLastIndex((first) => first <= column);
    const { tensors } = inputs;
    const low = dot(adapter.rank, (r) => inputs.s(row, slice, r) * tensors.b(adapter, r, column));
    const value = base.value + adapter.scale * low.value;
    const size = base.size + Math.abs(adapter.scale) * low.size;
    const bound = base.bound + 2 * (roundings + adapter.rank + 2) * U * size;
    if (!adapter.hasColumns) return { value, bound };
    // g times what came before, and the bias: a product and two sums more.
    const { g1, bias } = tensors.columns(adapter, column);
    const rounded = 2 * 3 * U * (Math.abs(value) * (1 + Math.abs(g1)) + Math.abs(bias));
    return { value: value * (1 + g1) + bias, bound: bound * (1 + Math.abs(g1)) + rounded };
  };
  adapters.forEach((_, row) => {
    for (let column = 0; column < out; column++) {
      const at = row * out + column;
      const own = projected(row, column);
      if (finish === 'swiglu') {
        const up = projected(row, n / 2 + column);
        const silu = own.value / (1 + Math.exp(-own.value));
        want.values[at] = silu * up.value;
        // |silu'| < 1.1; exp is off by 3 + 2|x| ulp, of which at most silu's own share counts.
        const relative = (2 * (3 + 2 * Math.abs(own.value)) + 8) * U;
        want.bounds[at] =
          1.1 * own.bound * (Math.abs(up.value) + up.bound) +
          Math.abs(silu) * (up.bound + relative * Math.abs(up.value));
      } else {
        const extra = finish === 'residual' ? (inputs.residual[at] as number) : 0;
        want.values[at] = own.value + extra;
        want.bounds[at] = own.bound + (finish === 'residual' ? 2 * U * Math.abs(own.value + extra) : 0);
      }
    }
  });
  return want;
}
