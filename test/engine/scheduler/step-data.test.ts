/** The step's words, one by one, for a batch worked out by hand. */
import { expect, it } from 'vitest';
import type { SequenceRequest } from '../../../engine/core.ts';
import { lowbias32 } from '../../../engine/lora/random-f16.ts';
import { ResidentAdapter } from '../../../engine/lora/slots.ts';
import type { Part, Step } from '../../../engine/scheduler/scheduler.ts';
import { Sequence } from '../../../engine/scheduler/sequence.ts';
import { StepWriter, stepCapacity } from '../../../engine/scheduler/step-data.ts';

const ONE = 0x3f800000; // 1 as f32 bits
const HALF = 0x3f000000;
const NONE = 0xffffffff;

function sequence(
  id: number,
  prompt: number[],
  blocks: number[],
  adapter: ResidentAdapter | null,
  fields: Partial<SequenceRequest> = {},
) {
  const rest = { maxTokens: 8, minTokens: 0, ignoreEos: false, temperature: 0, topP: 1, topK: 0, seed: 0, ...fields };
  const made = new Sequence(id, { prompt: Uint32Array.from(prompt), adapter: null, ...rest }, adapter, 0);
  made.blocks = blocks;
  return made;
}

const adapter = (slot: number, rank: number, pages: number[], scale: number): ResidentAdapter =>
  new ResidentAdapter({ name: `slot ${slot}`, path: 'test', slot, rank, scale, pages });

/** Three sequences past planning: a base decode, a decode and a prompt of one adapter, a decode of another. */
function batch(): Step {
  const small = adapter(0, 4, [9], 0.5);
  const large = adapter(2, 20, [5, 1, 7], 1);
  const base = sequence(0, [11, 12], [3], null, { temperature: 1, topP: 0.5, topK: 40, seed: 6, minTokens: 3 });
  base.planned = 2;
  const known = sequence(1, [13], [4, 2], small);
  known.output.push(99);
  known.planned = 2;
  const prompt = sequence(2, [21, 22, 23, 24, 25, 26], [8, 0, 6], small, { minTokens: 1, ignoreEos: true });
  const other = sequence(3, [31, 32, 33], [1], large, { minTokens: 1 });
  other.planned = 1;
  const parts: Part[] = [
    { sequence: base, first: 2, count: 1, samples: true, previous: 1 },
    { sequence: known, first: 1, count: 1, samples: true, previous: null },
    { sequence: prompt, first: 1, count: 4, samples: false, previous: null },
    { sequence: other, first: 0, count: 3, samples: true, previous: null },
  ];
  return { parts, rows: 9, sampled: parts.filter(({ samples }) => samples) };
}

const draw = (seed: number, index: number): number => lowbias32((lowbias32(seed) + index) >>> 0);
// biome-ignore format: sections, a row a line
const WORDS = [
  // rows, samples, then where rows, samples, slots, pages, tiles, sequences and blocks begin, four end ids,
  // where queries begin, decodes, positions of the longest
  9, 3, 16, 63, 81, 89, 93, 52, 56, 2, 7, NONE, NONE, 105, 2, 3,
  // token, position, sequence, slot entry
  0x80000001, 2, 0, NONE,
  99, 1, 1, 0,
  22, 1, 2, 0,
  23, 2, 2, 0,
  24, 3, 2, 0,
  25, 4, 2, 0,
  31, 0, 3, 1,
  32, 1, 3, 1,
  33, 2, 3, 1,
  // where each block table begins, and the tables
  0, 1, 3, 6,
  3,  4, 2,  8, 0, 6,  1,
  // row, temperature, top_p, top_k, draw, whether end ids are masked
  0, ONE, HALF, 40, draw(6, 1), 1,
  1, 0, ONE, 0, draw(0, 1), 0,
  8, 0, ONE, 0, draw(0, 0), 1,
  // rank, scale, where its pages begin
  4, HALF, 0, 0,
  20, ONE, 1, 0,
  9,  5, 1, 7,
  // first row, rows, slot entry: five rows of one adapter, three of the other
  1, 4, 0, 0,
  5, 1, 0, 0,
  6, 3, 1, 0,
  // first row, rows, first position, where the block table begins: both decodes, then both prompts
  0, 1, 2, 56,
  1, 1, 1, 57,
  2, 4, 1, 59,
  6, 3, 0, 62,
];

it('are these', () => {
  const { data, shape } = new StepWriter(200, [2, 7]).write(batch());
  expect([...data]).toEqual(WORDS);
  const queries = { decodes: 2, longest: 3, queryTiles: 2 };
  expect(shape).toEqual({ rows: 9, samples: 3, tiles: 3, maxRank: 20, loraRows: 8, ...queries });
});

it('do not depend on the step before', () => {
  const writer = new StepWriter(200, [2, 7]);
  const step = batch();
  const [first, ...rest] = step.parts;
  writer.write(step);
  const small: Step = { parts: [first!], rows: 1, sampled: [first!] };
  const again = writer.write(small);
  expect([...again.data]).toEqual([...new StepWriter(200, [2, 7]).write(small).data]);
  const queries = { decodes: 1, longest: 3, queryTiles: 0 };
  expect(again.shape).toEqual({ rows: 1, samples: 1, tiles: 0, maxRank: 0, loraRows: 0, ...queries });
  expect(rest.length).toBe(3);
});

it('of the largest step fit what stepCapacity says', () => {
  // Every row its own sequence and its own adapter of two pages, every sequence its full table of blocks.
  const count = 16;
  const parts = Array.from({ length: count }, (_, i): Part => {
    const own = sequence(i, [1], [3 * i, 3 * i + 1, 3 * i + 2], adapter(i, 16, [2 * i, 2 * i + 1], 1));
    own.planned = 1;
    return { sequence: own, first: 0, count: 1, samples: true, previous: null };
  });
  const capacity = stepCapacity({ rows: count, sequences: count, blocks: 3 * count, pages: 2 * count });
  const { data } = new StepWriter(capacity, []).write({ parts, rows: count, sampled: parts });
  expect(data.length).toBe(capacity);
});

it('cut the rows of a prompt into tiles of queries that stay within what stepCapacity says', () => {
  const prompt = sequence(0, new Array<number>(41).fill(1), [7, 3, 5], null);
  const decode = sequence(1, [1], [2], null);
  decode.planned = 1;
  const parts: Part[] = [
    { sequence: prompt, first: 5, count: 33, samples: false, previous: null },
    { sequence: decode, first: 0, count: 1, samples: true, previous: null },
  ];
  const { data, shape } = new StepWriter(1000, []).write({ parts, rows: 34, sampled: parts.slice(1) });
  const table = data[8] as number;
  expect([...data.subarray(data[13])]).toEqual([
    ...[33, 1, 0, table + 3],
    ...[0, 16, 5, table],
    ...[16, 16, 21, table],
    ...[32, 1, 37, table],
  ]);
  expect(shape).toMatchObject({ decodes: 1, longest: 1, queryTiles: 3 });
  const limits = { rows: 34, sequences: 2, blocks: 4, pages: 0 };
  const atMost = stepCapacity(limits) - 4 * 34 - 4 * 34 - 6; // no adapters, one sample fewer
  expect(data.length).toBeLessThanOrEqual(atMost);
});

it('take no token from the host that it does not know', () => {
  const unknown = sequence(4, [1, 2], [0], null);
  unknown.planned = 1;
  const part: Part = { sequence: unknown, first: 2, count: 1, samples: true, previous: null };
  expect(() => new StepWriter(100, []).write({ parts: [part], rows: 1, sampled: [part] })).toThrow(
    /sequence 4.*position 2/,
  );
});
