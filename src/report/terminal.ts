/**
 * The summary at the end of a run: a table that a person reads in ten seconds.
 *
 * A result, a width and whether colours are wanted in; text without a final newline out. Where the terminal is narrow,
 * the columns that matter least go first. Names that come from servers lose their control characters, since a terminal
 * would obey them.
 */
import type { CellResult, Result } from '../result/schema.ts';
import { hasCold, rankText } from './cells-table.ts';
import { costIntervalText, costOf, costText } from './costs.ts';
import { NONE } from './numbers.ts';
import { isCompared, loadOf, loadText, type Panel, panelsOf, serverOf } from './panels.ts';
import { standInNotice, trustOf } from './trust.ts';
import { cellCounts, cellFigure, figureText, type Stat } from './values.ts';
import { modelsOf, targetPhrase } from './words.ts';

export interface SummaryOptions {
  /** Characters in a line. */
  width: number;
  color: boolean;
}

interface Column {
  head: string;
  /** Columns with a higher number go first when room is short; 0 always stays. */
  spare: number;
  /** Whether it has anything to say of a result; always, if not given. */
  onlyIf?: (result: Result) => boolean;
  of: (cell: CellResult, panel: Panel, result: Result) => string;
}

const figureColumn = (head: string, spare: number, metric: string, stat: Stat): Column => ({
  head,
  spare,
  of: (cell) => figureText(cellFigure(cell, metric, stat)),
});

const hasSlo = ({ cells }: Result): boolean =>
  cells.some((cell) => cellFigure(cell, 'goodput_fraction', 'value').value !== null);

const COLUMNS: readonly Column[] = [
  { head: 'target', spare: 0, onlyIf: isCompared, of: (cell, _, result) => serverOf(result, cell) },
  { head: 'rank', spare: 5, of: rankText },
  { head: 'adapters', spare: 0, of: (cell) => (cell.at.adapters === 0 ? 'base' : String(cell.at.adapters)) },
  {
    head: 'load',
    spare: 0,
    of: (cell, panel) => loadText(panel.loadKind, loadOf(cell.at)).replace('concurrency ', '× '),
  },
  figureColumn('TTFT p50', 1, 'ttft', 'p50'),
  figureColumn('p99', 3, 'ttft', 'p99'),
  { ...figureColumn('cold p50', 2, 'ttft_cold', 'p50'), onlyIf: hasCold },
  { ...figureColumn('load p50', 3, 'adapter_load', 'p50'), onlyIf: hasCold },
  figureColumn('ITL p50', 6, 'itl', 'p50'),
  figureColumn('p99', 7, 'itl', 'p99'),
  figureColumn('TPOT p50', 0, 'tpot', 'p50'),
  figureColumn('tok/s', 2, 'output_tokens_per_second', 'value'),
  {
    head: 'cost',
    spare: 0,
    of: (cell, panel) => (cell.at.adapters === 0 ? NONE : costText(costOf(panel, cell, 'tpot', 'p50'))),
  },
  {
    head: 'interval',
    spare: 4,
    onlyIf: (result) => mostPairs(result) > 0,
    of: (cell, panel) =>
      cell.at.adapters === 0 ? NONE : costIntervalText(costOf(panel, cell, 'tpot', 'p50')).replace('×', '') || NONE,
  },
  {
    head: 'SLO',
    spare: 5,
    onlyIf: hasSlo,
    of: (cell) => figureText(cellFigure(cell, 'goodput_fraction', 'value')),
  },
  { head: 'failed', spare: 4, of: (cell) => String(cellCounts(cell).failed) },
];

const GAP = '  ';
const SGR = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;
type Paint = (style: keyof typeof SGR, text: string) => string;

/** A name that a server chose, made harmless: escape sequences could rewrite what stands on the screen. */
export const plainText = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD');

/** Lines of at most `width` characters, broken between words. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

const widthOf = (table: readonly string[][]): number[] =>
  (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));

const lineWidth = (widths: readonly number[]): number =>
  widths.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(0, widths.length - 1);

function fitting(
  columns: readonly Column[],
  rowsOf: (columns: readonly Column[]) => string[][],
  width: number,
): readonly Column[] {
  let kept = columns;
  while (lineWidth(widthOf(rowsOf(kept))) > width) {
    const worst = Math.max(...kept.map((column) => column.spare));
    if (worst === 0) break;
    kept = kept.filter((column) => column.spare !== worst);
  }
  return kept;
}

interface Row {
  cell: CellResult;
  panel: Panel;
}

interface Table {
  label: string;
  rows: Row[];
}

/**
 * Loads together, so that each stands right below the base model it is compared with, and of a comparison each cell right below
 * itself on the other target.
 */
const tablesOf = (result: Result): Table[] =>
  panelsOf(result).map((panel) => ({
    label: panel.label,
    rows: panel.loads.flatMap((load) =>
      panel.series.flatMap(({ cells }) =>
        cells.filter(({ at }) => loadOf(at) === load).map((cell) => ({ cell, panel })),
      ),
    ),
  }));

const rowTexts = (columns: readonly Column[], { cell, panel }: Row, result: Result): string[] =>
  columns.map((column) => column.of(cell, panel, result));

function tableLines(
  { label, rows }: Table,
  columns: readonly Column[],
  { result, widths, paint }: { result: Result; widths: readonly number[]; paint: Paint },
): string[] {
  const line = (texts: readonly string[]): string => texts.map((text, i) => text.padStart(widths[i] ?? 0)).join(GAP);
  const lines = rows.map((row) => {
    const { cell } = row;
    const text = line(rowTexts(columns, row, result));
    const done = cell.runs.length > 0 && cell.runs.every((run) => run.state === 'done');
    if (!done || cellCounts(cell).failed > 0) return paint('red', text);
    return cell.at.adapters === 0 ? paint('bold', text) : text;
  });
  return [
    ...(label === '' ? [] : ['', paint('bold', plainText(label))]),
    paint('dim', line(columns.map((column) => column.head))),
    ...lines,
  ];
}

/** Pairs of runs that the intervals of costs are made of; 1 where they come from within one run of each, 0 where there is none. */
function mostPairs(result: Result): number {
  const costs = panelsOf(result).flatMap((panel) =>
    panel.series.flatMap(({ cells }) => cells.map((cell) => costOf(panel, cell, 'tpot', 'p50'))),
  );
  return Math.max(0, ...costs.filter(({ interval }) => interval !== null).map(({ pairs }) => pairs));
}

function intervalLegend(result: Result): string {
  const pairs = mostPairs(result);
  return pairs > 1
    ? ` interval: 95 %, by ${pairs} pairs of runs.`
    : ' interval: what one run of each can tell; how much runs differ is not in it.';
}

export function summaryTable(result: Result, options: SummaryOptions): string {
  const paint: Paint = (style, text) => (options.color ? `\u001b[${SGR[style]}m${text}\u001b[0m` : text);
  const tables = tablesOf(result);
  const rowsOf = (columns: readonly Column[]): string[][] => [
    columns.map((column) => column.head),
    ...tables.flatMap(({ rows }) => rows.map((row) => rowTexts(columns, row, result))),
  ];
  const cold = hasCold(result);
  const known = COLUMNS.filter(({ onlyIf }) => onlyIf === undefined || onlyIf(result));
  const columns = fitting(known, rowsOf, options.width);
  const widths = widthOf(rowsOf(columns));

  const targets = [...new Set(result.targets.map((target) => targetPhrase(result, target)))].join('; ');
  const about = `${result.scenario.name}: ${modelsOf(result).join(', ')} on ${targets}`;
  const standIn = standInNotice(result);
  const trust = trustOf(result);
  const coldLegend = cold
    ? ' cold: TTFT of requests whose adapter was not on the device; load: their wait for it.'
    : '';
  const legend = `Times in ms. cost: TPOT p50 relative to the base model at the same load.${columns.some(({ head }) => head === 'interval') ? intervalLegend(result) : ''}`;
  const anyAbove = rowsOf(columns).some((row) => row.some((text) => text.startsWith('>')));
  const anyDoubtful = rowsOf(columns).some((row) => row.some((text) => text.endsWith('?')));
  const anyPartial = rowsOf(columns).some((row) => row.some((text) => text.endsWith('†')));
  const say = (text: string): string[] => wrapped(plainText(text), options.width);
  return [
    ...say(about).map((text) => paint('bold', text)),
    ...(standIn === null ? [] : say(standIn.headline).map((text) => paint('yellow', text))),
    ...(tables[0]?.label === '' ? [''] : []),
    ...tables.flatMap((table) => tableLines(table, columns, { result, widths, paint })),
    '',
    ...say(
      legend +
        coldLegend +
        (anyAbove ? ' >: falls among failed requests.' : '') +
        (anyPartial ? ' †: cut short.' : '') +
        (anyDoubtful ? ' ?: doubtful.' : ''),
    ).map((text) => paint('dim', text)),
    ...say(trust.headline).map((text) =>
      paint(trust.level === 'good' ? 'green' : trust.level === 'care' ? 'yellow' : 'red', text),
    ),
  ].join('\n');
}
