/** A run's numbers and whether they are fit to judge by, in one call: what a RunResult takes from its records. */
import { measure, type RunContext } from '../metrics/measure.ts';
import type { RequestRecord, RunResult } from '../result/schema.ts';
import { type ClientFacts, NOTHING_KNOWN } from './client-error.ts';
import { judgeRun } from './judge.ts';

export type RunNumbers = Pick<
  RunResult,
  'window' | 'counts' | 'errors' | 'metrics' | 'perAdapter' | 'timeline' | 'slowest' | 'validity'
>;

export function measureRun(
  records: readonly RequestRecord[],
  context: RunContext,
  client: ClientFacts = NOTHING_KNOWN,
): RunNumbers {
  const { input, ...numbers } = measure(records, context);
  return { ...numbers, validity: judgeRun({ input, ...numbers }, client) };
}
