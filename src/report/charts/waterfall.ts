/**
 * Where the slowest requests of a run spent their time, each as one bar from when it should have been sent.
 *
 * In: runs[].slowest. Out: rows, a part of a bar each: `name` (the request), `part`, `from` and `to` in ms, `ms`. What the server said of
 * its own time splits the wait for the first token; where it claims more than there was, it is cut. The longest gap between two chunks
 * is a part over the others (`gap`), and how a request failed stands at its end (`error`).
 */
import { BASE_MODEL } from '../../metrics/per-adapter.ts';
import type { RunResult, SlowRequest } from '../../result/schema.ts';
import { figure, plural } from '../numbers.ts';
import type { LegendEntry, Row, Spec } from './chart.ts';
import type { RunChart } from './close-up.ts';
import { PLAIN } from './lines.ts';
import { CONFIG } from './theme.ts';

/** Parts in the order in which they come. */
const PARTS = [
  { part: 'sent late', color: 'var(--s4)' },
  { part: 'queue', color: 'var(--s2)' },
  { part: 'wait for the adapter', color: 'var(--s5)' },
  { part: 'prefill', color: 'var(--s6)' },
  { part: 'to the first token', color: 'var(--axis)' },
  { part: 'decode', color: 'var(--s1)' },
  { part: 'until it ended', color: 'var(--grid)' },
] as const;

type Part = (typeof PARTS)[number]['part'];
const kept = (value: number): number => Math.round(value * 100) / 100;

/** Parts that follow each other without a hole, none negative, from 0 to when it ended. */
export function partsOf(request: SlowRequest): { part: Part; from: number; to: number }[] {
  const { sent, first, last, end, timings } = request;
  const parts: { part: Part; from: number; to: number }[] = [];
  let at = 0;
  const until = (part: Part, to: number): void => {
    const next = Math.max(at, Math.min(to, end));
    if (next > at) parts.push({ part, from: at, to: next });
    at = next;
  };
  until('sent late', sent);
  const firstContent = first ?? end;
  for (const [part, ms] of [
    ['queue', timings?.queue_ms ?? 0],
    ['wait for the adapter', timings?.adapter_ms ?? 0],
    ['prefill', timings?.prefill_ms ?? 0],
  ] as const) {
    until(part, Math.min(at + Math.max(0, ms), firstContent));
  }
  until('to the first token', firstContent);
  if (last !== null) until('decode', last);
  until('until it ended', end);
  return parts;
}

const nameOf = ({ i, adapter }: SlowRequest): string => `#${i} ${adapter === null ? BASE_MODEL : adapter}`;

function rowsOf(requests: readonly SlowRequest[]): Row[] {
  return requests.flatMap((request): Row[] => {
    const name = nameOf(request);
    const { longestGap, end, error, outcome } = request;
    return [
      ...partsOf(request).map(({ part, from, to }) => ({
        name,
        part,
        from: kept(from),
        to: kept(to),
        ms: kept(to - from),
      })),
      ...(longestGap === null
        ? []
        : [{ name, gap: kept(longestGap.from), to: kept(longestGap.from + longestGap.ms), ms: kept(longestGap.ms) }]),
      ...(outcome === 'ok' ? [] : [{ name, error: error ?? outcome, at: kept(end) }]),
    ];
  });
}

function spec(): Spec {
  const x = (field: string) => ({
    field,
    type: 'quantitative',
    scale: { zero: true, nice: true },
    axis: { title: 'ms since it should have been sent', labelExpr: PLAIN, tickCount: 6 },
  });
  const y = {
    field: 'name',
    type: 'nominal',
    sort: null,
    axis: { title: null, labelLimit: 120, domain: false, ticks: false, grid: false },
    scale: { paddingInner: 0.35, paddingOuter: 0.2 },
  };
  const color = {
    field: 'part',
    type: 'nominal',
    scale: { domain: PARTS.map(({ part }) => part), range: PARTS.map((one) => one.color) },
    legend: null,
  };
  const tip = (text: string) => ({ calculate: text, as: 'tip' });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: 780,
    height: { step: 19 },
    autosize: { type: 'fit-x', contains: 'padding', resize: true },
    layer: [
      {
        transform: [
          { filter: 'datum.part != null' },
          tip("datum.name + ', ' + datum.part + ': ' + format(datum.ms, ',.4~r') + ' ms'"),
        ],
        mark: { type: 'bar' },
        encoding: { x: x('from'), x2: { field: 'to' }, y, color, tooltip: { field: 'tip' } },
      },
      {
        transform: [
          { filter: 'datum.gap != null' },
          tip("datum.name + ', longest gap between chunks: ' + format(datum.ms, ',.4~r') + ' ms'"),
        ],
        mark: { type: 'rule', color: 'var(--ink)', strokeWidth: 3 },
        encoding: { x: x('gap'), x2: { field: 'to' }, y, tooltip: { field: 'tip' } },
      },
      {
        transform: [{ filter: 'datum.error != null' }],
        mark: { type: 'text', align: 'left', dx: 4, fontSize: 11, color: 'var(--bad)' },
        encoding: { x: x('at'), y, text: { field: 'error' } },
      },
    ],
    config: CONFIG,
  } as unknown as Spec; // vega-lite's type is a union too deep for literals built in pieces; compiling checks it
}

const LEGEND: LegendEntry[] = PARTS.map(({ part, color }) => ({ series: part, color, shape: 'square' }));

export const WATERFALL_CHARTS: readonly RunChart[] = [
  {
    key: 'waterfall',
    title: 'The slowest requests',
    unit: 'where their time went; the black line is the longest gap between two chunks',
    spec: spec(),
    columns: {
      name: 'request',
      part: 'part',
      from: 'from (ms)',
      gap: 'longest gap from (ms)',
      to: 'to (ms)',
      ms: 'ms',
      error: 'error',
      at: 'ended (ms)',
    },
    legend: LEGEND,
    rows: (run: RunResult) => rowsOf(run.slowest ?? []),
    label: ({ slowest = [] }) => {
      const [worst] = slowest;
      if (worst === undefined) return 'The slowest requests: not kept.';
      const longest = partsOf(worst).reduce((a, b) => (b.to - b.from > a.to - a.from ? b : a));
      return `${plural(slowest.length, 'request')} that took longest: the longest, ${nameOf(worst)}, took ${figure(worst.end)} ms, most of it in “${longest.part}” (${figure(longest.to - longest.from)} ms).`;
    },
  },
];
