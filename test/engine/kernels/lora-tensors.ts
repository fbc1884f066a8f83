/**
 * A, B and column words of test adapters, twice: as numbers for an oracle, and packed into pools as shrink.wgsl and matmul.wgsl
 * read them. Words of pages that no adapter owns are NaN, as are the column words of slots whose adapter has none; ranks past
 * an adapter's own are zero, as the engine leaves them.
 */
import type { LoraShape } from '../../../engine/kernels/matmul.ts';
import { RANKS_PER_PAGE, type ResidentAdapter } from '../../../engine/lora/slots.ts';
import { type Halves, halves, pair, type Random } from './random.ts';
import { POISON } from './run-kernel.ts';

export interface LoraTensors {
  aPool: Uint32Array<ArrayBuffer>;
  bPool: Uint32Array<ArrayBuffer>;
  /** A[slice][r][column of x] of an adapter. */
  a(adapter: ResidentAdapter, slice: number, r: number, column: number): number;
  /** B[column of y][r] of an adapter. */
  b(adapter: ResidentAdapter, r: number, column: number): number;
  /** g - 1 and bias of a column of y. */
  columns(adapter: ResidentAdapter, column: number): { g1: number; bias: number };
}

/** What an adapter's column words hold: by turns g alone (DoRA), a bias alone, and both. */
const CONTENT = [
  { g: true, bias: false },
  { g: false, bias: true },
  { g: true, bias: true },
];

/** @param k width of x, n padded columns of y; slots may be left out where no adapter has column words */
export function makeLoraTensors(
  random: Random,
  adapters: readonly ResidentAdapter[],
  { pages, slots }: { pages: number; slots: number },
  { k, n, lora }: { k: number; n: number; lora: LoraShape },
): LoraTensors {
  const slices = lora.slices.length;
  const aPool = new Uint32Array(lora.aAt + (pages * slices * RANKS_PER_PAGE * k) / 2).fill(POISON);
  const pagesEnd = lora.bAt + (pages * RANKS_PER_PAGE * n) / 2;
  if (lora.columnsAt < pagesEnd) throw new Error('column words lie behind the pages');
  const bPool = new Uint32Array(lora.columnsAt + slots * lora.columnWords).fill(POISON);
  const numbers = new Map(
    adapters.map((adapter, turn) => {
      const { rank } = adapter;
      const content = adapter.hasColumns ? CONTENT[turn % 3] : undefined;
      const columns = [content?.g, content?.bias].map((has) => {
        const made = halves(random, n);
        return has ? made : { bits: new Uint16Array(n), values: new Float64Array(n) };
      }) as [Halves, Halves];
      for (let c = 0; adapter.hasColumns && c < n; c++) {
        const [g1, bias] = [columns[0].bits[c], columns[1].bits[c]] as [number, number];
        bPool[lora.columnsAt + adapter.slot * lora.columnWords + c] = pair(g1, bias);
      }
      const a = halves(random, slices * rank * k);
      const b = halves(random, rank * n);
      const aBits = (slice: number, r: number, column: number) =>
        r < rank ? (a.bits[(slice * rank + r) * k + column] as number) : 0;
      const bBits = (r: number, column: number) => (r < rank ? (b.bits[r * n + column] as number) : 0);
      adapter.pages.forEach((page, index) => {
        for (let i = 0; i < RANKS_PER_PAGE; i++) {
          const r = index * RANKS_PER_PAGE + i;
          for (let slice = 0; slice < slices; slice++) {
            for (let c = 0; c < k / 2; c++) {
              const at = lora.aAt + (((page * slices + slice) * RANKS_PER_PAGE + i) * k) / 2 + c;
              aPool[at] = pair(aBits(slice, r, 2 * c), aBits(slice, r, 2 * c + 1));
            }
          }
          if (i % 2 === 1) continue;
          for (let c = 0; c < n; c++) {
            bPool[lora.bAt + (page * 4 + i / 2) * n + c] = pair(bBits(r, c), bBits(r + 1, c));
          }
        }
      });
      return [adapter, { a: a.values, b: b.values, g1: columns[0].values, bias: columns[1].values }] as const;
    }),
  );
  const of = (adapter: ResidentAdapter) => numbers.get(adapter) as Record<'a' | 'b' | 'g1' | 'bias', Float64Array>;
  return {
    aPool,
    bPool,
    a: (adapter, slice, r, column) => of(adapter).a[(slice * adapter.rank + r) * k + column] as number,
    b: (adapter, r, column) => of(adapter).b[r * n + column] as number,
    columns: (adapter, column) => ({
      g1: of(adapter).g1[column] as number,
      bias: of(adapter).bias[column] as number,
    }),
  };
}
