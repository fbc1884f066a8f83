/** x = table[token], with tokens from the host and from the previous step's ids. */
import { expect, it } from 'vitest';
import { embed, embedConstants, embedGrid } from '../../../engine/kernels/embed.ts';
import { batchOfRows, makeBatch } from './batches.ts';
import { expectClose } from './close-to.ts';
import { embedOracle } from './oracles.ts';
import { halves, pair, randomFrom } from './random.ts';
import { asFloats, type Input, runKernel } from './run-kernel.ts';

const VOCAB = 96;

/** f16 tiles [vocab / 32][hidden / 2][32], and element (token, column). */
function makeTable(hidden: number) {
  const { bits, values } = halves(randomFrom(hidden), VOCAB * hidden);
  const words = new Uint32Array((VOCAB * hidden) / 2);
  for (let token = 0; token < VOCAB; token++) {
    for (let c = 0; c < hidden; c += 2) {
      const at = (Math.floor(token / 32) * (hidden / 2) + c / 2) * 32 + (token % 32);
      words[at] = pair(bits[token * hidden + c] as number, bits[token * hidden + c + 1] as number);
    }
  }
  return { words, at: (token: number, column: number) => values[token * hidden + column] as number };
}

const run = async (data: Input, previous: Input, table: Input, hidden: number, rows: number) => {
  const bound = [data, previous, table, { words: rows * hidden }];
  const [x] = await runKernel(embed, embedConstants(hidden), bound, embedGrid(hidden, rows));
  return asFloats(x!);
};

it.each([2, 62, 126, 128, 130, 192, 576])('gives rows of width %i, whoever knows the token', async (hidden) => {
  const table = makeTable(hidden);
  for (const rows of [1, 2, 3, 4, 5, 8, 9, 33]) {
    const batch = batchOfRows(rows, [null], rows);
    expect(batch.rows.some(({ previous }) => previous !== null)).toBe(true);
    const x = await run(batch.data, batch.previousIds, table.words, hidden, rows);
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
  const x = await run(batch.data, batch.previousIds, table.words, 64, 5);
  expectClose(x, embedOracle(batch.rows, 64, table.at), 'host tokens');
});

it('stays inside the table when the step before sampled no id', async () => {
  const batch = makeBatch({ decodes: [{ context: 4 }] });
  const table = makeTable(64);
  const x = await run(batch.data, Uint32Array.of(0xffffffff), table.words, 64, 1);
  expectClose(x, embedOracle([{ ...batch.rows[0]!, token: VOCAB - 1 }], 64, table.at), 'no id');
});
