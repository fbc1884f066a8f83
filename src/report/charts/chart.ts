/**
 * What a chart is before it is drawn: a vega-lite spec without data, its rows, and the same figures in words.
 *
 * Chart builders (cost, percentiles, trade-off, histograms) make these; `render.ts` draws them. Specs hold no data and
 * no names, so that equal charts share one compiled spec, and nothing that came from a server ever becomes code.
 */
import type { TopLevelSpec } from 'vega-lite';

export type Row = Record<string, string | number | null>;

/** vega-lite without `data`: rows are supplied as the data set "rows". */
export type Spec = Omit<Extract<TopLevelSpec, { layer: unknown }>, 'data'>;

export interface Chart {
  title: string;
  /** Unit of the y axis, in words, as the caption shows it. */
  unit: string;
  spec: Spec;
  rows: Row[];
  /** The chart in words, for those who cannot see it. */
  label: string;
  /** What of the rows the page offers as CSV: fields with their titles, units included. */
  columns?: Record<string, string>;
}

export interface LegendEntry {
  /** Equals the rows' `series`, which is how a click finds them. */
  series: string;
  color: string;
  shape: string;
  /** The other one of two targets that are compared. */
  dash?: boolean;
}

export interface Table {
  columns: string[];
  rows: string[][];
}

/** Charts that share a legend and a table of their figures. */
export interface ChartGroup {
  title: string;
  /** One or two sentences: what is drawn, and how to read it. */
  lead: string;
  legend: LegendEntry[];
  charts: Chart[];
  table: Table;
}
