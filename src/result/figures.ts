/** Figures of one run by metric and statistic, wherever they are from: what `bench compare` sets side by side. */
export const FIGURE_STATS = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999'] as const;
export type FigureStat = (typeof FIGURE_STATS)[number] | 'value';

export interface Figure {
  value: number;
  /** It is at least that: it fell among requests that failed. */
  atLeast: boolean;
  /** 99% interval within the run; null where it has none. */
  within: [number, number] | null;
}

/** "tpot p50" and the like -> its figure. */
export type Figures = ReadonlyMap<string, Figure>;
export const figureKey = (metric: string, stat: FigureStat): string => `${metric} ${stat}`;

/** One that is known, but not how well. */
export const plainFigure = (value: number): Figure => ({ value, atLeast: false, within: null });
