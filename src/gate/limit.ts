/** A limit of a threshold as it is written, in its metric's unit. In: the unit, the text. Out: a number, or what was expected. */
import {
  DURATION_EXPECTED,
  durationMs,
  PERCENT_EXPECTED,
  percentShare,
  RATE_EXPECTED,
  ratePerSecond,
} from '../scenario/units.ts';

interface Reading {
  expected: string;
  read(text: string): number | null;
}

const plain = (text: string): number | null => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : null);

const PER_SECOND: Reading = { expected: RATE_EXPECTED, read: ratePerSecond };
const READINGS: Readonly<Record<string, Reading>> = {
  ms: { expected: DURATION_EXPECTED, read: durationMs },
  ratio: {
    expected: `${PERCENT_EXPECTED}, or a share, such as 0.05`,
    read: (text) => percentShare(text) ?? plain(text),
  },
  'requests/s': PER_SECOND,
  'tokens/s': PER_SECOND,
  '×': { expected: 'how many times, such as 1.5x', read: (text) => plain(text.replace(/[x×]$/, '')) },
};

/** Of what is counted. */
const NUMBER: Reading = { expected: 'a number without a unit', read: plain };

export function limitIn(unit: string, text: string): { limit: number | null; expected: string } {
  const { expected, read } = READINGS[unit] ?? NUMBER;
  return { limit: read(text), expected };
}
