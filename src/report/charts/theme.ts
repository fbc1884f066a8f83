/**
 * How every chart looks: colours, marker shapes, and vega-lite's config.
 *
 * Colours are CSS variables, so that one static SVG serves light, dark and paper; `html/style.ts` gives them their
 * values. Series take Okabe and Ito's palette (Color Universal Design, 2008), told apart by shape as well; loads take a
 * ramp of one hue, because they are ordered.
 */
import type { Config } from 'vega-lite';
import type { LegendEntry } from './chart.ts';

export const SERIES_COLORS = 7;
export const RAMP_COLORS = 6;

const SHAPES = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'triangle-right'] as const;

/** Outlines as vega draws them, in a box of 12 by 12. */
const OUTLINES: Record<string, string> = {
  circle: 'M6 2a4 4 0 1 0 0 8a4 4 0 1 0 0-8z',
  square: 'M2.5 2.5h7v7h-7z',
  diamond: 'M6 1l4 5l-4 5l-4-5z',
  'triangle-up': 'M6 2l4.5 8h-9z',
  cross: 'M4.5 2h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z',
  'triangle-right': 'M2.5 1.5l8 4.5l-8 4.5z',
};

/** How a legend shows a series: attributes of a path. Of target B, which is drawn dashed, the mark is hollow. */
export const markOf = ({ color, shape, dash }: LegendEntry): Record<string, string> => ({
  d: OUTLINES[shape] ?? '',
  ...(dash === true ? { fill: 'none', stroke: color, 'stroke-width': '1.6' } : { fill: color }),
});

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
  // That of the page, by name: vega measures labels on a canvas, which knows no "inherit" and would take a smaller one.
  font: 'system-ui, sans-serif',
  padding: 2,
  view: { stroke: null },
  text: { color: 'var(--ink)' },
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
