/** x = table[token], with tokens from the host and from the previous step's ids. */
import { expect, it } from 'vitest';
import { embed, embedConstants, embedGrid } from '../../../engine/kernels/embed.ts';
import { encodeColumns, type WeightLayout } from '../../../engine/kernels/weight-format.ts';
import { batchOfRows, makeBatch } from './batches.ts';
import { expectClose } from './close-to.ts';
import { embedOracle } from './oracles.ts';
import { halves, randomFrom } from './random.ts';
import { asFloats, type Input, runKernel } from './run-kernel.ts';

const VOCAB = 96;

const PLAIN: WeightLayout = { format: 'f16', pack: 1 };
const PACKED: WeightLayout = { format: 'f16', pack: 8 };

/** The table on the device, and element (token, column). */
function makeTable(hidden: number, layout = PLAIN) {
  const { values } = halves(randomFrom(hidden), VOCAB * hidden);
  const words = encodeColumns(Float32Array.from(values), VOCAB, hidden, layout);
  return { words, layout, at: (token: number, column: number) => values[token * hidden + column] as number };
}
type Table = ReturnType<typeof makeTable>;

const run = async (data: Input, previous: Input, table: Table, hidden: number, rows: number) => {
  const bound = [data, previous, table.words, { words: rows * hidden }];
  const [x] = await runKernel(embed, embedConstants(hidden, table.layout), bound, embedGrid(hidden, rows));
  return asFloats(x!);
};

it.each([
  ...[2, 62, 126, 128, 130, 192, 576].map((hidden) => ({ hidden, layout: PLAIN })),
  ...[16, 48, 144, 576].map((hidden) => ({ hidden, layout: PACKED })),
])('gives rows of width $hidden in words by $layout.pack, whoever knows the token', async ({ hidden, layout }) => {
  const table = makeTable(hidden, layout);
  for (const rows of [1, 2, 3, 4, 5, 8, 9, 33]) {
    const batch = batchOfRows(rows, [null], rows);
    expect(batch.rows.some(({ previous }) => previous !== null)).toBe(true);
    const x = await run(batch.data, batch.previousIds, table, hidden, rows);
    expectClose(
      x,
      embedOracle(batch.rows, hidden, table.at),
      `${rows} rows`,
      (i) => `row ${Math.floor(i / hidden)}, column ${i % hidden}`,
    );
  }
});

it('takes decode tokens from the host when they have come back', async () => {
  const batch = makeBatch({ decodes: [{ context: 4 }, { context: 17 }], prefills: [{ rows: 3 }], late: false });
  expect(batch.rows.every(({ previous }) => previous === null)).toBe(true);
  const table = makeTable(64);
  const x = await run(batch.data, batch.previousIds, table, 64, 5);
  expectClose(x, embedOracle(batch.rows, 64, table.at), 'host tokens');
});

it('stays inside the table when the step before sampled no id', async () => {
  const batch = makeBatch({ decodes: [{ context: 4 }] });
  const table = makeTable(64);
  const x = await run(batch.data, Uint32Array.of(0xffffffff), table, 64, 1);
  expectClose(x, embedOracle([{ ...batch.rows[0]!, token: VOCAB - 1 }], 64, table.at), 'no id');
});
