/**
 * A run second by second: tokens, requests in flight, what ended, and what the server's own page of metrics said.
 *
 * The part that no latency counts, before steady state and after the last issue, is shaded. A long run is thinned by adding seconds up,
 * so that sums stay; rows carry `x` (seconds since the start), `y`, `series`, or `cut` and `to` for what is shaded.
 */
import type { RunResult } from '../../result/schema.ts';
import { countText, figure, fourDigits } from '../numbers.ts';
import type { LegendEntry, Row, Spec } from './chart.ts';
import type { RunChart } from './close-up.ts';
import { PLAIN } from './lines.ts';
import { CONFIG } from './theme.ts';

const SIZE = { width: 380, height: 130 } as const;
const MOST_POINTS = 240;

type Timeline = RunResult['timeline'];

/** Steps of `stepMs × factor`, as sums, or means of what was known. */
export function thinnedSteps(
  values: readonly (number | null)[],
  factor: number,
  how: 'sum' | 'mean',
): (number | null)[] {
  return Array.from({ length: Math.ceil(values.length / factor) }, (_, i) => {
    const part = values.slice(i * factor, (i + 1) * factor).filter((value) => value !== null);
    if (part.length === 0) return null;
    const sum = part.reduce((total, value) => total + value, 0);
    return how === 'sum' ? sum : sum / part.length;
  });
}

const factorOf = ({ outputTokens }: Timeline): number => Math.max(1, Math.ceil(outputTokens.length / MOST_POINTS));

/** Rates are of a second however many are taken together. */
function points(timeline: Timeline, values: readonly (number | null)[], series: string, how: 'sum' | 'mean'): Row[] {
  const factor = factorOf(timeline);
  const seconds = (timeline.stepMs / 1000) * factor;
  return thinnedSteps(values, factor, how).flatMap((value, i): Row[] =>
    value === null
      ? []
      : [{ x: fourDigits(i * seconds), y: fourDigits(how === 'sum' ? value / seconds : value), series }],
  );
}

/** Before steady state, and after the last issue. */
function cuts({ timeline, window }: RunResult): Row[] {
  if (timeline.from === undefined || window.to <= window.from) return [];
  const end = (timeline.outputTokens.length * timeline.stepMs) / 1000;
  const [from, to] = [window.from, window.to].map((at) => fourDigits((at - timeline.from!) / 1e9)) as [number, number];
  return [...(from > 0.05 ? [{ cut: 0, to: from }] : []), ...(to < end - 0.05 ? [{ cut: to, to: end }] : [])];
}

const withCuts = (run: RunResult, rows: Row[]): Row[] => (rows.length === 0 ? [] : [...cuts(run), ...rows]);

function spec(legend: readonly LegendEntry[], mark: 'area' | 'line' | 'bar', percent = false): Spec {
  const x = {
    field: 'x',
    type: 'quantitative',
    scale: { nice: false },
    axis: { title: 'seconds', labelExpr: PLAIN, tickCount: 6 },
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    scale: { zero: true, nice: true },
    stack: mark === 'bar' ? 'zero' : null,
    axis: { title: null, tickCount: 3, ...(percent ? { format: '~%' } : { labelExpr: PLAIN }) },
  };
  const color = {
    field: 'series',
    type: 'nominal',
    scale: { domain: legend.map(({ series }) => series), range: legend.map((entry) => entry.color) },
    legend: null,
  };
  const tip = {
    calculate: `datum.series + ' at ' + format(datum.x, ',~r') + ' s: ' + format(datum.y, '${percent ? ',.3~%' : ',.4~r'}')`,
    as: 'tip',
  };
  const isPoint = { filter: 'datum.y != null' };
  const marks = {
    area: { type: 'area', opacity: 0.25, line: { strokeWidth: 1.5 }, interpolate: 'step-after' },
    line: { type: 'line', strokeWidth: 1.5, interpolate: 'step-after' },
    bar: { type: 'bar', width: { band: 1 }, binSpacing: 0 },
  } as const;
  const drawn =
    mark === 'bar'
      ? { mark: { type: 'rule', strokeWidth: 3 }, encoding: { x, y, y2: { datum: 0 }, color } }
      : { mark: marks[mark], encoding: { x, y, color } };
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    ...SIZE,
    autosize: { type: 'fit', contains: 'padding' },
    layer: [
      {
        transform: [{ filter: 'datum.cut != null' }],
        mark: { type: 'rect', color: 'var(--muted)', opacity: 0.16 },
        encoding: { x: { ...x, field: 'cut' }, x2: { field: 'to' }, tooltip: { value: 'not counted in latencies' } },
      },
      { transform: [isPoint], ...drawn },
      {
        transform: [isPoint, tip],
        mark: { type: 'point', filled: true, size: 60, opacity: 0 },
        encoding: { x, y, color, tooltip: { field: 'tip' } },
      },
    ],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}

const entry = (series: string, color: string): LegendEntry => ({ series, color, shape: 'square' });
const COLUMNS = { series: 'series', x: 'second', y: 'value', cut: 'not counted from (s)', to: 'to (s)' };

const lengthOf = ({ timeline }: RunResult): string =>
  `${figure((timeline.outputTokens.length * timeline.stepMs) / 1000)} seconds`;

/** What of a run's start and end is left out, in words. */
function cutText(run: RunResult): string {
  const parts = cuts(run).map(({ cut, to }) => `${figure(Number(cut))} to ${figure(Number(to))} s`);
  return parts.length === 0 ? '' : ` Not counted in latencies: ${parts.join(' and ')}.`;
}

const peak = (rows: readonly Row[], series: string): string =>
  figure(Math.max(0, ...rows.filter((row) => row['series'] === series).map(({ y }) => Number(y))));

const TOKENS = [entry('output tokens', 'var(--s1)')];
const FLIGHT = [
  entry('in flight', 'var(--s1)'),
  entry('running on the server', 'var(--s3)'),
  entry('waiting on the server', 'var(--s2)'),
];
const ENDED = [entry('succeeded', 'var(--s3)'), entry('failed', 'var(--s4)')];
const ADAPTERS = [
  entry('adapters running', 'var(--s1)'),
  entry('adapters waiting', 'var(--s2)'),
  entry('slots used', 'var(--s3)'),
  entry('slots', 'var(--s0)'),
];
const CACHE = [entry('KV cache in use', 'var(--s5)')];
const PREEMPTIONS = [entry('preemptions', 'var(--s4)')];

const server = (run: RunResult, name: string, series: string): Row[] => {
  const values = run.timeline.server?.series[name];
  return values === undefined ? [] : points(run.timeline, values, series, 'mean');
};

export const TIMELINE_CHARTS: readonly RunChart[] = [
  {
    key: 'tokens',
    title: 'Output tokens',
    unit: 'a second',
    spec: spec(TOKENS, 'area'),
    columns: COLUMNS,
    legend: [],
    rows: (run) => withCuts(run, points(run.timeline, run.timeline.outputTokens, 'output tokens', 'sum')),
    label: (run, rows) =>
      `Output tokens in each second over ${lengthOf(run)}, at most ${peak(rows, 'output tokens')}.${cutText(run)}`,
  },
  {
    key: 'flight',
    title: 'Requests in flight',
    unit: 'mean of each second',
    spec: spec(FLIGHT, 'line'),
    columns: COLUMNS,
    legend: FLIGHT,
    rows: (run) =>
      withCuts(run, [
        ...points(run.timeline, run.timeline.inFlight, 'in flight', 'mean'),
        ...server(run, 'requestsRunning', 'running on the server'),
        ...server(run, 'requestsWaiting', 'waiting on the server'),
      ]),
    label: (run, rows) => `Requests in flight over ${lengthOf(run)}, at most ${peak(rows, 'in flight')}.`,
  },
  {
    key: 'ended',
    title: 'Requests that ended',
    unit: 'a second',
    spec: spec(ENDED, 'bar'),
    columns: COLUMNS,
    legend: ENDED,
    rows: (run) => {
      const { timeline } = run;
      const some = (rows: Row[]): Row[] => rows.filter(({ y }) => Number(y) > 0);
      return withCuts(run, [
        ...some(points(timeline, timeline.completed, 'succeeded', 'sum')),
        ...some(points(timeline, timeline.failed, 'failed', 'sum')),
      ]);
    },
    label: (run) =>
      `Requests that ended in each second over ${lengthOf(run)}: ${countText(run.counts.ok)} succeeded, ${countText(run.counts.failed)} failed.`,
  },
  {
    key: 'cache',
    title: 'KV cache in use',
    unit: 'share, as the server says',
    spec: spec(CACHE, 'area', true),
    columns: COLUMNS,
    legend: [],
    rows: (run) => withCuts(run, server(run, 'kvCacheUsage', 'KV cache in use')),
    label: (run, rows) =>
      `Share of the server's KV cache in use over ${lengthOf(run)}, at most ${figure(100 * Number(peak(rows, 'KV cache in use')))} %.`,
  },
  {
    key: 'server-adapters',
    title: 'Adapters on the server',
    unit: 'as it says',
    spec: spec(ADAPTERS, 'line'),
    columns: COLUMNS,
    legend: ADAPTERS,
    rows: (run) =>
      withCuts(run, [
        ...server(run, 'lorasRunning', 'adapters running'),
        ...server(run, 'lorasWaiting', 'adapters waiting'),
        ...server(run, 'loraSlotsUsed', 'slots used'),
        ...server(run, 'loraSlots', 'slots'),
      ]),
    label: (run, rows) =>
      `Adapters on the server over ${lengthOf(run)}: at most ${peak(rows, 'adapters running')} running, ${peak(rows, 'slots used')} in slots.`,
  },
  {
    key: 'preemptions',
    title: 'Preemptions',
    unit: 'requests put back to wait, a second, as the server says',
    spec: spec(PREEMPTIONS, 'line'),
    columns: COLUMNS,
    legend: [],
    rows: (run) => {
      const rows = server(run, 'preemptions', 'preemptions');
      return rows.some(({ y }) => Number(y) > 0) ? withCuts(run, rows) : [];
    },
    label: (run, rows) => `Preemptions a second over ${lengthOf(run)}, at most ${peak(rows, 'preemptions')}.`,
  },
];
