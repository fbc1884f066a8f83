/** `bench report`: the report of a folder again, from its recorded data. Nothing is measured or changed in result.json. */
import { EXIT, type ExitCode } from '../errors.ts';
import { summaryTable } from '../report/terminal.ts';
import { writeReport } from '../report/write.ts';
import { readResult } from '../result/read.ts';
import type { CommandIo } from './io.ts';
import { readVerdict } from './read-verdict.ts';
import { folderOf, tableStyle } from './show.ts';

export async function report(path: string, { stdout, env }: CommandIo): Promise<ExitCode> {
  const result = readResult(path);
  const folder = folderOf(path);
  await writeReport(folder, result, readVerdict(folder));
  stdout.write(`${summaryTable(result, tableStyle(stdout, env))}\n\nreport  ${folder}/report.html\n`);
  return EXIT.done;
}
