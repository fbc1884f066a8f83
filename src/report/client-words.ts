/** What the client added to times, in words: from the self-check before the sweep, and from the runs' own probes. */
import type { Result, StampError } from '../result/schema.ts';
import { cellName } from './panels.ts';

const ms = (value: number): string => `${value.toFixed(value < 1 ? 2 : 1)} ms`;
const late = ({ p50, p99 }: StampError): string => `${ms(p50)} at the median, ${ms(p99)} at p99`;

export interface ClientWords {
  /** null where it was left out. */
  selfCheck: string | null;
  /** Of the run whose stamps were the latest; null where no run had a probe. */
  runs: string | null;
}

export function clientWords(result: Result): ClientWords {
  const check = result.client.selfCheck;
  const probed = result.cells.flatMap((cell) =>
    cell.runs.flatMap(({ client }) => (client?.stampError == null ? [] : [{ cell, error: client.stampError }])),
  );
  const [worst] = probed.sort((a, b) => b.error.p99 - a.error.p99);
  return {
    selfCheck:
      check === null
        ? null
        : `at ${check.streams} streams of ${Math.round(1000 / check.gapMs)} tokens/s in step: TTFT late by ${late(check.ttft)}; TPOT off by ${ms(check.tpot.p50)} at the median, ${ms(check.tpot.p99)} at p99`,
    runs:
      worst === undefined
        ? null
        : `stamps late by ${late(worst.error)} in the worst run (${cellName(result, worst.cell)})`,
  };
}
