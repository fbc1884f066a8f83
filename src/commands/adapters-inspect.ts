/**
 * `bench adapters inspect`: what adapter files hold, and whether they would load. In: paths, and the base they are for. Out:
 * a report of each, for people or as JSON; exit 0 when all would load, 2 when one would be refused.
 */
import { type AdapterReport, inspectAdapter } from '../../engine/adapter-files/inspect.ts';
import { findModel } from '../../engine/models/find-model.ts';
import type { Geometry } from '../../engine/models/geometry.ts';
import { MODULES, type ModuleName } from '../../engine/models/projections.ts';
import { EXIT, type ExitCode } from '../errors.ts';
import { humanSize } from '../scenario/units.ts';
import type { CommandIo } from './io.ts';
import { asPlanError } from './models.ts';

export interface InspectArguments {
  files: string[];
  /** A preset, a stand-in, or a Hugging Face folder; null: what can be told without. */
  base: string | null;
  json: boolean;
}

export async function inspectAdapters({ files, base, json }: InspectArguments, io: CommandIo): Promise<ExitCode> {
  const geometry = base === null ? null : await geometryOf(base);
  const reports: AdapterReport[] = [];
  for (const file of files) {
    const report = await inspectAdapter(file, geometry);
    reports.push(report);
    if (!json) io.stdout.write(`${reports.length > 1 ? '\n' : ''}${reportLines(report, geometry).join('\n')}\n`);
  }
  if (json) io.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
  return reports.some(({ problems }) => problems.length > 0) ? EXIT.usage : EXIT.done;
}

async function geometryOf(base: string): Promise<Geometry> {
  try {
    return (await findModel(base)).geometry;
  } catch (error) {
    throw asPlanError(error, '--base');
  }
}

/** One adapter in words. */
export function reportLines(report: AdapterReport, geometry: Geometry | null): string[] {
  const { path, format, kind, base, bytes, parameters, modules, layers, notes, problems } = report;
  const size = [
    ...(bytes === null ? [] : [humanSize(bytes)]),
    ...(parameters === null ? [] : [`${parameters.toLocaleString('en')} parameters`]),
  ];
  return [
    row('adapter', path),
    ...(format === null ? [] : [row('format', `${kind ?? 'kind unknown'} (${format})`)]),
    ...(base === null ? [] : [row('for', `${base}, as it says`)]),
    ...(size.length === 0 ? [] : [row('size', size.join(', '))]),
    ...(modules.length === 0 ? [] : [row('changes', `${modules.join(', ')} in layers ${layers}`)]),
    ...groupLines(report),
    ...normLines(report),
    ...notes.map((note) => row('note', note)),
    ...verdict(problems, geometry),
  ];
}

const WIDTH = 9;
const row = (head: string, text: string): string => `${head.padEnd(WIDTH)}${text}`;

const verdict = (problems: readonly string[], geometry: Geometry | null): string[] => {
  const fit = geometry === null ? 'as far as can be told without the base (--base)' : `into ${geometry.name}`;
  if (problems.length === 0) return [row('loads', `yes, ${fit}`)];
  return [row('loads', 'no'), ...problems.map((problem) => row('', `- ${problem}`))];
};

/** Which modules share rank, alpha and scale. */
function groupLines({ groups }: AdapterReport): string[] {
  if (groups.length === 0) return [];
  const cells = [
    ['modules', 'layers', 'rank', 'alpha', 'scale'],
    ...groups.map(({ modules, layers, rank, alpha, scale }) => [
      modules.join(','),
      layers,
      String(rank),
      alpha === null ? '–' : String(alpha),
      short(scale),
    ]),
  ];
  return table(cells);
}

/** ‖ΔW‖ of each module over the layers. */
function normLines({ norm, norms }: AdapterReport): string[] {
  if (norm === null || norms.length === 0) return [];
  const cells = MODULES.flatMap((module: ModuleName) => {
    const own = norms.filter((one) => one.module === module).map((one) => one.norm);
    if (own.length === 0) return [];
    own.sort((a, b) => a - b);
    return [[module, short(own[0]!), short(own[(own.length - 1) >> 1]!), short(own.at(-1)!)]];
  });
  return [row('‖ΔW‖', `${short(norm)} over all`), ...table([['module', 'least', 'median', 'most'], ...cells])];
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

function table(cells: readonly string[][]): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return cells.map((line) =>
    row('', line.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  ')),
  );
}
