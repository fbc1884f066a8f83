/**
 * Where a step's time goes, drawn: a bar for each kind of step of each profiled cell, in stages, and how near each stage came to what
 * the device can do. In: step times. Out: charts; none where nothing was profiled.
 */
import type { CellResult } from '../../result/schema.ts';
import { figure, shareText } from '../numbers.ts';
import { adaptersText } from '../panels.ts';
import { type CellStepTime, STAGES, type StageTime, type StepTime, stageWords } from '../step-time.ts';
import type { Chart, ChartGroup, LegendEntry, Row, Spec } from './chart.ts';
import { PLAIN } from './lines.ts';
import { CONFIG, seriesColor, shapeOf } from './theme.ts';

const LEGEND: LegendEntry[] = STAGES.map((stage, i) => ({
  series: stageWords(stage),
  color: i < 7 ? seriesColor(i) : 'var(--axis)',
  shape: shapeOf(i),
}));

/** Bars beyond that are in the tables only. */
const MOST_BARS = 16;

interface Bar {
  name: string;
  time: StepTime;
}

export function stepTimeGroup(times: readonly CellStepTime[]): ChartGroup | null {
  const bars = times.flatMap(({ cell, kinds }) => kinds.map((time) => ({ name: barName(cell, time), time })));
  if (bars.length === 0) return null;
  const shown = bars.slice(0, MOST_BARS);
  const more = bars.length - shown.length;
  const ceilings = ceilingChart(shown);
  return {
    title: 'By stage',
    lead: `One bar is one step, on average.${ceilings === null ? '' : ' At 100 % of the ceiling a stage would read or compute as fast as the device was ever measured to.'}${more === 0 ? '' : ` ${more} more are in the tables below.`}`,
    legend: LEGEND.filter(({ series }) =>
      shown.some(({ time }) => time.stages.some(({ stage }) => stageWords(stage) === series)),
    ),
    charts: [timeChart(shown), ...(ceilings === null ? [] : [ceilings])],
    table: {
      columns: ['step', 'stage', 'ms a step', 'share', 'of the ceiling'],
      rows: shown.flatMap(({ name, time }) =>
        time.stages.map((stage) => [
          name,
          stageWords(stage.stage),
          figure(stage.ms),
          shareText(stage.share),
          ofCeiling(stage),
        ]),
      ),
    },
  };
}

const ofCeiling = ({ ofCeiling: of }: StageTime): string => (of === null ? '–' : shareText(of.share));

function barName({ id, at }: CellResult, { kind, rows: { least, most } }: StepTime): string {
  const rows = least === most ? `${least}` : `${least}–${most}`;
  return `${id}: ${adaptersText(at.adapters)}, ${kind === 'decode' ? 'decode' : 'prompts'} of ${rows}`;
}

function timeChart(bars: readonly Bar[]): Chart {
  const rows: Row[] = bars.flatMap(({ name, time }) =>
    time.stages.map((stage, i) => ({
      name,
      series: stageWords(stage.stage),
      value: stage.ms,
      order: i,
      tip: `${name}, ${stageWords(stage.stage)}: ${figure(stage.ms)} ms a step (${shareText(stage.share)})`,
    })),
  );
  return {
    title: 'Time in kernels',
    unit: 'ms a step',
    spec: spec('ms a step', true),
    rows,
    columns: { name: 'step', series: 'stage', value: 'ms a step' },
    label: `Time in kernels by stage. ${bars.map(({ name, time }) => `${name}: ${figure(time.kernelMs)} ms, most in ${longest(time)}`).join('; ')}.`,
  };
}

const longest = ({ stages }: StepTime): string => {
  const [first, ...rest] = stages;
  if (first === undefined) return 'nothing';
  return stageWords(rest.reduce((a, b) => (b.ms > a.ms ? b : a), first).stage);
};

function ceilingChart(bars: readonly Bar[]): Chart | null {
  const rows: Row[] = bars.flatMap(({ name, time }) =>
    time.stages.flatMap((stage): Row[] => {
      const of = stage.ofCeiling;
      if (of === null) return [];
      const what = of.of === 'read' ? 'reading' : 'computing';
      const tip = `${name}, ${stageWords(stage.stage)}: ${shareText(of.share)} of ${what}`;
      return [{ name, series: stageWords(stage.stage), value: of.share, of: what, tip }];
    }),
  );
  if (rows.length === 0) return null;
  return {
    title: 'Share of the ceiling',
    unit: 'of reading or computing, whichever is nearer',
    spec: spec('share of the ceiling', false),
    rows,
    columns: { name: 'step', series: 'stage', value: 'share of the ceiling', of: 'ceiling' },
    label: `Share of the device's ceiling by stage. ${rows.map(({ tip }) => tip).join('; ')}.`,
  };
}

function spec(title: string, stacked: boolean): Spec {
  const color = {
    field: 'series',
    type: 'nominal',
    scale: { domain: LEGEND.map(({ series }) => series), range: LEGEND.map((entry) => entry.color) },
    legend: null,
  };
  const shape = {
    field: 'series',
    type: 'nominal',
    scale: { domain: LEGEND.map(({ series }) => series), range: LEGEND.map((entry) => entry.shape) },
    legend: null,
  };
  const opacity = { condition: { test: 'focus === null || focus === datum.series', value: 1 }, value: 0.12 };
  const axis = stacked ? { labelExpr: PLAIN } : { format: '~%' };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 780,
    height: { step: 22 },
    autosize: { type: 'fit-x', contains: 'padding', resize: true },
    params: [{ name: 'focus', value: null }],
    layer: [
      {
        mark: stacked
          ? { type: 'bar', stroke: 'var(--card)', strokeWidth: 0.5 }
          : { type: 'point', filled: true, size: 70 },
        encoding: {
          x: {
            field: 'value',
            type: 'quantitative',
            stack: stacked ? 'zero' : null,
            scale: { zero: true },
            axis: { title, tickCount: 6, ...axis },
          },
          y: {
            field: 'name',
            type: 'nominal',
            sort: null,
            axis: { title: null, labelLimit: 250, domain: false, ticks: false, grid: !stacked },
          },
          color,
          opacity,
          tooltip: { field: 'tip' },
          ...(stacked ? { order: { field: 'order', type: 'quantitative' } } : { shape }),
        },
      },
    ],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}
