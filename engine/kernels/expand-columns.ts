/** What parts/expand-columns.wgsl is compiled with: where the step has rows and slots, and a projection's places in the pools. */
import { HEADER } from '../scheduler/step-data.ts';
import type { LoraShape } from './matmul.ts';

/** @param lora null: no row's adapter is looked at */
export const expandConstants = (lora: LoraShape | null): Record<string, number> => ({
  ROWS_AT: HEADER.ROWS_AT,
  SLOTS_AT: HEADER.SLOTS_AT,
  PAGES_AT: HEADER.PAGES_AT,
  LORA: lora ? 1 : 0,
  SLICES: lora?.slices.length ?? 1,
  SLICE1: lora?.slices[1] ?? 0xffffffff,
  SLICE2: lora?.slices[2] ?? 0xffffffff,
  RANKS: lora?.ranks ?? 8,
  B_AT: lora?.bAt ?? 0,
  COLUMNS_AT: lora?.columnsAt ?? 0,
  COLUMN_WORDS: lora?.columnWords ?? 0,
});
