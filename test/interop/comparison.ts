/**
 * aiperf-comparison.md: what both tools measured, side by side, and why they differ where they do.
 *
 * In: the pairs that aiperf.interop.ts measured. Out: the file, from differences.md (the words) and tables of the figures,
 * with the machine and versions they are from. Nothing in it is typed in by hand but the words.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { isDistribution, type Machine } from '../../src/result/schema.ts';
import type { BenchRun, Block, Export, Load } from './tools.ts';
import { figure } from './tools.ts';

export interface Pair {
  load: Load;
  bench: BenchRun;
  aiperf: { exported: Export };
}
/** `served` is what the server itself says of that run. */
export interface TimedPair extends Pair {
  bench: BenchRun & { served: Export };
  aiperf: { exported: Export; served: Export };
}

export interface Measured {
  machine?: Machine;
  timed: TimedPair[];
  chunks?: { plain: TimedPair; told: Export };
  failures?: TimedPair;
  llama: Pair[];
  llamaVersion?: string;
}

const FILE = new URL('aiperf-comparison.md', import.meta.url);
const WORDS = new URL('differences.md', import.meta.url);

const LATENCIES = ['time_to_first_token', 'request_latency', 'inter_token_latency', 'inter_chunk_latency'];
const WHOLE_RUN = ['benchmark_duration', 'request_throughput', 'output_token_throughput', 'total_token_throughput'];
const COUNTS = ['request_count', 'output_sequence_length', 'total_osl'];
const LENGTHS = ['input_sequence_length', 'total_isl'];

/** @throws Error when something was not measured */
export async function writeComparison(measured: Measured): Promise<void> {
  const { machine, chunks, failures, timed, llama } = measured;
  if (machine === undefined || chunks === undefined || failures === undefined || timed.length < 2 || llama.length < 2) {
    throw new Error('aiperf-comparison.md needs every comparison: run all of aiperf.interop.ts');
  }
  const versions = `bench ${llama[0]!.bench.result.tool.version}, AIPerf ${String(llama[0]!.aiperf.exported['aiperf_version'])}`;
  const sections = [
    '# bench and AIPerf side by side',
    `Written by \`LORABENCH_COMPARISON=write npm run test:interop\`; not edited. Measured with ${versions} on ${machine.cpu}, ${machine.cores} cores, ${machine.os.split(' ')[0]}, Node ${machine.node}, both tools and the server on that machine. Times in milliseconds; figures of ours are from \`profile_export_aiperf.json\`.`,
    '## A server whose timings are known',
    'It writes the first chunk 100 ms after it has read a request and one every 10 ms after that, 20 in all, and says when it really did. "Server" is what it says of that tool\'s run, so the difference beside it is the client\'s.',
    ...timed.flatMap((pair) => [heading(pair.load), servedTable(pair)]),
    '### 4 tokens a chunk, one every 40 ms',
    chunksTable(chunks),
    '### Every fifth request answered with status 500',
    failuresTable(failures),
    '## SmolLM2-135M-Instruct in llama.cpp',
    `xllamacpp ${measured.llamaVersion}, one thread for the model; 64 tokens in, 16 out, nothing cached, a connection for each request (llama.cpp closes its own after a streamed answer without saying so).`,
    ...llama.flatMap((pair) => [heading(pair.load), plainTable(pair)]),
    await readFile(WORDS, 'utf8'),
  ];
  await writeFile(FILE, `${sections.map((section) => section.trim()).join('\n\n')}\n`);
}

const heading = ({ concurrency, requests }: Load): string => `### ${concurrency} at a time, ${requests} requests`;

function servedTable({ bench, aiperf }: TimedPair): string {
  const head = ['metric', '', 'server', 'bench', 'difference', 'server', 'AIPerf', 'difference'];
  const rows = LATENCIES.flatMap((tag) =>
    ['p50', 'p90', 'p99'].map((statistic) => {
      const side = ({ served, exported }: { served: Export; exported: Export }) => {
        const [truth, got] = [figure(served, tag, statistic), figure(exported, tag, statistic)];
        return [number(truth), number(got), signed(got - truth)];
      };
      return [`\`${tag}\``, statistic, ...side(bench), ...side(aiperf)];
    }),
  );
  return `${table(head, rows)}\n\n${scalars({ bench, aiperf }, [...WHOLE_RUN.slice(0, 3), ...COUNTS])}`;
}

function plainTable({ bench, aiperf }: Pair): string {
  const rows = LATENCIES.flatMap((tag) =>
    ['avg', 'p50', 'p90'].map((statistic) => {
      const [ours, theirs] = [figure(bench.exported, tag, statistic), figure(aiperf.exported, tag, statistic)];
      return [`\`${tag}\``, statistic, number(ours), number(theirs), percent(ours, theirs)];
    }),
  );
  return `${table(['metric', '', 'bench', 'AIPerf', 'difference'], rows)}\n\n${scalars({ bench, aiperf }, [...WHOLE_RUN, ...COUNTS, ...LENGTHS])}`;
}

function scalars({ bench, aiperf }: Pick<Pair, 'bench' | 'aiperf'>, tags: string[]): string {
  const rows = tags.map((tag) => {
    const [ours, theirs] = [figure(bench.exported, tag), figure(aiperf.exported, tag)];
    return [`\`${tag}\``, (bench.exported[tag] as Block).unit, number(ours), number(theirs), percent(ours, theirs)];
  });
  return table(['metric', 'unit', 'bench', 'AIPerf', 'difference'], rows);
}

function chunksTable({ plain, told }: NonNullable<Measured['chunks']>): string {
  const rows = LATENCIES.map((tag) => [
    `\`${tag}\``,
    ...[plain.bench.served, plain.bench.exported, plain.aiperf.exported, told].map((one) =>
      number(figure(one, tag, 'p50')),
    ),
  ]);
  return table(['metric, p50', 'server', 'bench', 'AIPerf', 'AIPerf --per-chunk-usage'], rows);
}

function failuresTable({ bench, aiperf }: TimedPair): string {
  const { e2e } = bench.result.cells[0]!.runs[0]!.metrics;
  const ofResult = (statistic: 'p50' | 'p90' | 'p99'): string => {
    const value = isDistribution(e2e) ? e2e[statistic] : Number.NaN;
    return typeof value === 'number' ? number(value) : `> ${number(value.gt)}`;
  };
  const maybe = (exported: Export, tag: string, statistic: string): string => {
    const value = (exported[tag] as Block | undefined)?.[statistic];
    return typeof value === 'number' ? number(value) : '–';
  };
  const rows = (['p50', 'p90', 'p99'] as const).map((statistic) => [
    statistic,
    ofResult(statistic),
    ...[bench.exported, aiperf.exported].flatMap((one) =>
      ['request_latency', 'adj_request_latency'].map((tag) => maybe(one, tag, statistic)),
    ),
  ]);
  const latencies = table(
    ['', 'result.json, e2e', 'bench, request_latency', 'bench, adj_', 'AIPerf, request_latency', 'AIPerf, adj_'],
    rows,
  );
  const tags = ['request_count', 'error_request_count', 'completed_request_count', 'request_error_rate'];
  return `${latencies}\n\n${scalars({ bench, aiperf }, tags)}`;
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Four significant digits, and no more than two behind the point. */
const number = (value: number): string =>
  Number(value.toPrecision(Math.abs(value) < 1000 ? 4 : 6)).toLocaleString('en-US', { maximumFractionDigits: 2 });

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;

const percent = (one: number, other: number): string =>
  one === other ? '0' : `${one < other ? '−' : '+'}${Math.abs((100 * (one - other)) / other).toFixed(1)} %`;
