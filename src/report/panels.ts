/**
 * Which cells belong in one chart.
 *
 * A result in; panels out: cells that differ only in adapter count and load, with the base model's cells beside them.
 * Everything else (target, model, weights, rank, lengths, ..) separates panels, because different models or plans are
 * never overlaid; cells with an adapter merged into the weights have the base cells of the same model beside them. The
 * two targets of a comparison ran the same cells, and lie over each other. Colours follow the adapter count, so that one
 * count looks the same everywhere in a report; of two targets B is dashed and hollow.
 */
import type { At } from '../plan/plan.ts';
import { ARMS, type Arm } from '../result/arms.ts';
import type { CellResult, Result } from '../result/schema.ts';
import { plural } from './numbers.ts';

export type LoadKind = 'concurrency' | 'rate';

export interface Series {
  adapters: number;
  /** Whose cells they are, where two targets are compared. */
  arm: Arm | null;
  /** "base", "1 adapter", "8 adapters"; of a comparison "A: base", "B: base". */
  label: string;
  /** 0 for the base model; index into the palette. */
  color: number;
  /** By rising load. */
  cells: CellResult[];
}

export interface Panel {
  id: string;
  /** What sets this panel apart from the result's others, such as "rank 16 · weights int8"; empty for the only one. */
  label: string;
  loadKind: LoadKind;
  /** Concurrency, or requests a second, rising. */
  loads: number[];
  /** By rising adapter count, of a comparison A before B. */
  series: Series[];
}

/** Coordinates that a cell of the base model alone shares with the cells it is the reference for. */
const SHARED = ['model', 'weights', 'control', 'promptTokens', 'outputTokens', 'arrivals'] as const;
/** Coordinates that only cells with adapters have. */
const ADAPTER_ONLY = ['rank', 'popularity', 'base_share', 'kind', 'modules', 'mode', 'residency'] as const;

const WORDS: Record<(typeof SHARED)[number] | (typeof ADAPTER_ONLY)[number], (value: unknown) => string> = {
  model: (value) => `${value}`,
  weights: (value) => `weights ${value}`,
  control: (value) => `output ${value}`,
  promptTokens: (value) => `${value} tokens in`,
  outputTokens: (value) => `${value} tokens out`,
  arrivals: (value) => (value === null ? 'closed loop' : `open loop, ${value} arrivals`),
  rank: (value) => (value === null ? 'rank unknown' : `rank ${value}`),
  popularity: (value) => `${value}`,
  base_share: (value) => `base share ${value}`,
  kind: (value) => `${value}`,
  modules: (value) => `modules ${value}`,
  mode: (value) => `${value}`,
  residency: (value) => (value === null ? 'in the weights' : `${value}`),
};

export const loadOf = (at: At): number => at.concurrency ?? at.rate ?? 0;
export const loadKindOf = (at: At): LoadKind => (at.concurrency === null ? 'rate' : 'concurrency');

/** "concurrency 4", "2.5 requests/s". */
export const loadText = (kind: LoadKind, load: number): string =>
  kind === 'concurrency' ? `concurrency ${load}` : `${load} requests/s`;

export const adaptersText = (adapters: number): string => (adapters === 0 ? 'base' : plural(adapters, 'adapter'));

/**
 * The server a cell was measured on, as far as results must tell servers apart. Engines are one: what sets them apart
 * (model, weights, an adapter in these) is in `at`.
 */
export function serverOf(result: Result, cell: CellResult): string {
  const target = result.targets.find(({ id }) => id === cell.target);
  // Of two that are compared each has its letter, whatever it is.
  return target?.arm ?? (target?.kind === 'engine' ? 'engine' : cell.target);
}

/** Which side of a comparison a cell was measured on; null where one target was. */
export const armOf = (result: Result, cell: CellResult): Arm | null =>
  result.targets.find(({ id }) => id === cell.target)?.arm ?? null;

/** A cell's name in sentences and lists: its id, and where two targets have cells of that id, whose it is. */
export const cellName = (result: Result, cell: CellResult): string =>
  result.cells.some(({ id, target }) => id === cell.id && target !== cell.target)
    ? `${cell.id} on ${serverOf(result, cell)}`
    : cell.id;

/** Unique in a result, of a comparison too: "c3", "B.c3". */
export function cellKey(result: Result, cell: CellResult): string {
  const arm = armOf(result, cell);
  return arm === null ? cell.id : `${arm}.${cell.id}`;
}

/** The first panel that has a cell; base cells stand in several. */
export const panelWith = (panels: readonly Panel[], cell: CellResult): Panel | undefined =>
  panels.find(({ series }) => series.some(({ cells }) => cells.includes(cell)));

/** What an axis of loads is called. */
export const loadTitle = (kind: LoadKind): string =>
  kind === 'concurrency' ? 'requests at a time' : 'requests sent per second';

const keyOf = (result: Result, cell: CellResult, keys: readonly (keyof At)[]): string =>
  JSON.stringify([serverOf(result, cell), ...keys.map((key) => cell.at[key] ?? null)]);

/** Adapter counts of the whole result, rising; a count's place in it is its colour. */
export const adapterCounts = (result: Result): number[] =>
  [...new Set(result.cells.map((cell) => cell.at.adapters))].sort((a, b) => a - b);

/** The base model is always colour 0; counts take 1, 2, .. in rising order. */
export function colorOf(result: Result, adapters: number): number {
  return adapters === 0
    ? 0
    : 1 +
        adapterCounts(result)
          .filter((count) => count > 0)
          .indexOf(adapters);
}

function panelOf(result: Result, cells: CellResult[], id: string, label: string): Panel {
  const counts = [...new Set(cells.map((cell) => cell.at.adapters))].sort((a, b) => a - b);
  const byLoad = (a: CellResult, b: CellResult): number => loadOf(a.at) - loadOf(b.at);
  const arms: (Arm | null)[] = isCompared(result) ? [...ARMS] : [null];
  return {
    id,
    label,
    loadKind: loadKindOf(cells[0]!.at),
    loads: [...new Set(cells.map((cell) => loadOf(cell.at)))].sort((a, b) => a - b),
    series: counts.flatMap((adapters) =>
      arms.flatMap((arm): Series[] => {
        const own = cells.filter((cell) => cell.at.adapters === adapters && armOf(result, cell) === arm).sort(byLoad);
        const name = adaptersText(adapters);
        const text = arm === null ? name : `${arm}: ${name}`;
        return own.length === 0 ? [] : [{ adapters, arm, label: text, color: colorOf(result, adapters), cells: own }];
      }),
    ),
  };
}

function labelsOf(result: Result, groups: CellResult[][]): string[] {
  const cells = groups.flat();
  const differing = (among: CellResult[], keys: readonly (keyof typeof WORDS)[]): (keyof typeof WORDS)[] =>
    keys.filter((key) => new Set(among.map((cell) => JSON.stringify(cell.at[key] ?? null))).size > 1);
  const withAdapters = cells.filter((cell) => cell.at.adapters > 0);
  const varying = [...differing(cells, SHARED), ...differing(withAdapters, ADAPTER_ONLY)];
  const severalTargets = new Set(cells.map((cell) => serverOf(result, cell))).size > 1;
  return groups.map((group) => {
    const typical = group.find((cell) => cell.at.adapters > 0) ?? group[0]!;
    const adapterOnly: readonly string[] = ADAPTER_ONLY;
    const words = varying
      .filter((key) => typical.at.adapters > 0 || !adapterOnly.includes(key))
      .map((key) => WORDS[key](typical.at[key]));
    return [...(severalTargets ? [`target ${serverOf(result, typical)}`] : []), ...words].join(' · ');
  });
}

/** Two targets ran the same cells. */
export const isCompared = ({ targets }: Pick<Result, 'targets'>): boolean =>
  targets.some(({ arm }) => arm !== undefined);

/** The panels of a result, in the order of its cells. Base cells stand in every panel they are the reference for. */
export function panelsOf(result: Result): Panel[] {
  // A cell has one id on both targets, which may know its model by other names: A's say which belong together.
  const ofB = isCompared(result) ? result.cells.filter((cell) => armOf(result, cell) === 'B') : [];
  const groups = groupsOf(
    result,
    result.cells.filter((cell) => !ofB.includes(cell)),
  );
  const ofA = new Set(groups.flat().map(({ id }) => id));
  const labels = labelsOf(result, groups);
  const panels = groups.map((cells, i) => {
    const ids = new Set(cells.map(({ id }) => id));
    return { cells: [...cells, ...ofB.filter(({ id }) => ids.has(id))], label: labels[i]! };
  });
  // What only B ran, since A was not there any more.
  const alone = groupsOf(
    result,
    ofB.filter(({ id }) => !ofA.has(id)),
  );
  const all = [...panels, ...alone.map((cells) => ({ cells, label: 'only on B' }))];
  return all.map(({ cells, label }, i) => panelOf(result, cells, `p${i + 1}`, label));
}

function groupsOf(result: Result, among: readonly CellResult[]): CellResult[][] {
  const adapterGroups = new Map<string, CellResult[]>();
  const baseGroups = new Map<string, CellResult[]>();
  for (const cell of among) {
    const groups = cell.at.adapters > 0 ? adapterGroups : baseGroups;
    const key = keyOf(result, cell, cell.at.adapters > 0 ? [...SHARED, ...ADAPTER_ONLY] : SHARED);
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  const used = new Set<string>();
  const groups = [...adapterGroups.values()].map((cells) => {
    const baseKey = keyOf(result, cells[0]!, SHARED);
    used.add(baseKey);
    return [...(baseGroups.get(baseKey) ?? []), ...cells];
  });
  for (const [key, cells] of baseGroups) if (!used.has(key)) groups.push(cells);
  return groups;
}
