/**
 * How every chart looks: colours, marker shapes, and vega-lite's config.
 *
 * Colours are CSS variables, so that one static SVG serves light, dark and paper; `html/style.ts` gives them their
 * values. Series take Okabe and Ito's palette (Color Universal Design, 2008), told apart by shape as well; loads take a
 * ramp of one hue, because they are ordered.
 */
import type { Config } from 'vega-lite';

export const SERIES_COLORS = 7;
export const RAMP_COLORS = 6;

const SHAPES = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'triangle-right'] as const;

/** Colour 0 is the base model's and never reused; the others come round again, then with another shape. */
export const seriesColor = (index: number): string =>
  `var(--s${index === 0 ? 0 : 1 + ((index - 1) % (SERIES_COLORS - 1))})`;

export const shapeOf = (index: number): string => SHAPES[index % SHAPES.length]!;

/** The `index`-th of `count` ordered things, spread over the whole ramp. */
export const rampColor = (index: number, count: number): string =>
  `var(--q${count < 2 ? RAMP_COLORS - 2 : Math.round((index * (RAMP_COLORS - 1)) / (count - 1))})`;

/** Width and height of the static drawings in CSS pixels; with JavaScript they follow the page. */
export const CHART_SIZE = { width: 380, height: 230 } as const;
export const HISTOGRAM_SIZE = { width: 380, height: 150 } as const;

export const CONFIG: Config = {
  aria: false, // the figure carries one text alternative; a label on each of a hundred marks only drowns it
  background: 'transparent',
  font: 'inherit',
  padding: 2,
  view: { stroke: null },
  axis: {
    labelColor: 'var(--muted)',
    titleColor: 'var(--muted)',
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    gridColor: 'var(--grid)',
    domainColor: 'var(--axis)',
    tickColor: 'var(--axis)',
    tickSize: 4,
    labelPadding: 4,
    titlePadding: 8,
    labelOverlap: true,
  },
  axisY: { domain: false, ticks: false, grid: true },
  axisX: { grid: false },
};
