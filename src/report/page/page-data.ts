/** What the page's script is given beside the result: everything it draws. Packed by html/packed.ts, read by start.js. */
import type { Row } from '../charts/chart.ts';
import type { CloseUpData } from '../charts/close-up.ts';
import type { DistributionData } from '../charts/distributions.ts';
import type { ExploreData } from '../charts/explore.ts';

export interface PageDrawing {
  /** Index into `templates`. */
  template: number;
  rows: Row[];
  /** Fields of the rows that are saved as CSV, with their titles. */
  columns: Record<string, string>;
  /** The file's name without its ending. */
  name: string;
}

export interface PageData {
  /** Compiled vega specs that read the data set "rows". */
  templates: unknown[];
  /** By their number on the page (`data-chart`). */
  drawings: PageDrawing[];
  /** Templates that the reader's choices are drawn by, by name. */
  live: Record<string, number>;
  /** How a legend shows a series that a chart names by number: attributes of its path. */
  marks: Record<string, Record<string, string>>;
  explore: ExploreData | null;
  distributions: DistributionData | null;
  closeUp: CloseUpData | null;
}
