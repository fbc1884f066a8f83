/**
 * Which of AIPerf's files a result becomes, and where they lie in its folder.
 *
 *   profile_export_aiperf.json                                           always: the run, where there is only one
 *   aiperf/c3/profile_runs/run_0001/profile_export_aiperf.json           each run, where there are several,
 *   aiperf/c3/aggregate/profile_export_aiperf_aggregate.json             and each cell over its runs
 *   aiperf/c3-B/..                                                       where two targets have a cell of that name
 *
 * With several runs the file at the top has no metrics and lists the others: no run stands for the rest, and whoever looks
 * a figure up in it is told at once. The folders are those that AIPerf makes for a sweep, so that `aiperf plot aiperf/`
 * finds the cells; their labels are in the files. In: a result and its folder, which exists. Out: files, each whole or not
 * at all.
 */
import { dirname, join } from 'node:path';
import { AIPERF_SCHEMA, aiperfExport, documentOf } from './aiperf.ts';
import { aiperfAggregate } from './aiperf-aggregate.ts';
import type { CellResult, Result } from './schema.ts';
import { makeFolder, writeWhole } from './write.ts';

export const AIPERF_FILE = 'profile_export_aiperf.json';
const AGGREGATE_FILE = 'profile_export_aiperf_aggregate.json';

export interface AiperfFile {
  /** From the result's folder, with "/". */
  path: string;
  document: Record<string, unknown>;
}

/** @throws BenchError USAGE when a histogram in the result can't be read */
export function aiperfFiles(result: Result): AiperfFile[] {
  const cells = result.cells.map((cell) => ({
    folder: folderOf(result, cell),
    runs: cell.runs.map((_, i) => aiperfExport(result, cell, i)),
  }));
  const [only, ...more] = cells.flatMap(({ runs }) => runs);
  if (only !== undefined && more.length === 0) return [{ path: AIPERF_FILE, document: documentOf(only) }];
  const files = cells.flatMap(({ folder, runs }): AiperfFile[] => {
    const aggregate = aiperfAggregate(runs);
    return [
      ...runs.map((run, i) => ({
        path: `aiperf/${folder}/profile_runs/run_${String(i + 1).padStart(4, '0')}/${AIPERF_FILE}`,
        document: documentOf(run),
      })),
      ...(aggregate === null ? [] : [{ path: `aiperf/${folder}/aggregate/${AGGREGATE_FILE}`, document: aggregate }]),
    ];
  });
  const index = {
    schema_version: AIPERF_SCHEMA,
    benchmark_id: result.session,
    metadata: {
      exported_by: `${result.tool.name} ${result.tool.version}`,
      note: 'several runs: their figures are in the files listed here',
      files: files.map(({ path }) => path),
    },
  };
  return [{ path: AIPERF_FILE, document: index }, ...files];
}

const folderOf = ({ cells }: Result, { id, target }: CellResult): string =>
  cells.some((other) => other.id === id && other.target !== target) ? `${id}-${target}` : id;

/** @throws BenchError OUTPUT_DISK_FULL, OUTPUT_NOT_WRITABLE, or USAGE when a histogram in the result can't be read */
export function writeAiperf(folder: string, result: Result): void {
  for (const { path, document } of aiperfFiles(result)) {
    const file = join(folder, path);
    if (path !== AIPERF_FILE) makeFolder(dirname(file));
    writeWhole(file, `${JSON.stringify(document, null, 2)}\n`);
  }
}
