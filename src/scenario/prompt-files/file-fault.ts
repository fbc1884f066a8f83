/** The error for what is wrong in a file of prompts: where, what was found, and what would be accepted. */
import { BenchError } from '../../errors.ts';

/** @param line 1-based; null: the file as a whole */
export const fileFault = (file: string, line: number | null, text: string): BenchError =>
  new BenchError('PLAN_INVALID', `${file}${line === null ? '' : `:${line}`}: ${text}`);
