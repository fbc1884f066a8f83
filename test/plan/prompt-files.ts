/** Files of prompts as they are once read, for the tests of plan and workload. */
import type { DatasetFile, TraceFile } from '../../src/scenario/prompt-files/entries.ts';

type Request = [atMs: number, promptTokens: number, outputTokens: number | null, hashIds?: number[]];

export const traceFile = (requests: Request[]): TraceFile => ({
  kind: 'trace',
  name: 'x.jsonl',
  hash: JSON.stringify(requests),
  entries: requests.map(([atMs, promptTokens, outputTokens, hashIds = null]) => ({
    atMs,
    promptTokens,
    outputTokens,
    hashIds,
  })),
});

export const datasetFile = (
  entries: { text: string; promptTokens: number; outputTokens?: number }[],
  more: Partial<DatasetFile> = {},
): DatasetFile => ({
  kind: 'dataset',
  name: 'chat.json',
  hash: JSON.stringify(entries),
  entries: entries.map((entry) => ({ ...entry, outputTokens: entry.outputTokens ?? null })),
  leftOut: null,
  cut: false,
  ...more,
});
