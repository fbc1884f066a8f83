/**
 * A plan in plain words, for `bench validate` and before a run: what will be measured, on what, how long it takes, and
 * what it will not show. One sentence a line; no colours, so that it can go anywhere.
 */
import type { Scenario } from '../scenario/scenario.ts';
import { humanDuration, humanSize } from '../scenario/units.ts';
import { meanTokens, nonceTokens } from './lengths-range.ts';
import type { At, Cell, Load, Plan } from './plan.ts';

const CELLS_SHOWN = 12;

export function describePlan(plan: Plan, scenario: Scenario): string[] {
  const { estimate, standIn } = plan;
  const models = distinct(plan.cells, (cell) => cell.at.model);
  return [
    ...(scenario.description === null ? [] : [`${scenario.name}: ${scenario.description}`]),
    `Target: ${targetText(scenario)}, ${models.length === 1 ? 'model' : 'models'} ${models.join(', ')}.`,
    ...(standIn
      ? [`Stand-in: ${standIn.for} at scale ${standIn.scale}, because ${standIn.why}. ${ranksText(plan)}`.trimEnd()]
      : []),
    `Sweep: ${counted(estimate.cells, 'cell')}, ${axesText(plan)}.`,
    ...cellLines(plan),
    ...promptLines(plan),
    `Each run: ${measureText(plan, scenario)}.`,
    `Total: ${counted(estimate.runs, 'run')}, ${requestsText(plan)}, ${timeText(estimate.seconds)}.`,
    ...tokensText(plan),
    ...filesText(estimate.adapterFiles),
    ...plan.warnings.map((warning) => `Warning: ${warning}.`),
  ];
}

/**
 * A plan that is run in pairs, with what every run is held against.
 * @param arms which is called what, in words
 */
export function describePair(
  plan: Plan,
  scenario: Scenario,
  other: { plan: Plan; scenario: Scenario },
  arms = 'B; the target above is A',
): string[] {
  const lines = describePlan(plan, scenario);
  const models = distinct(other.plan.cells, (cell) => cell.at.model);
  const what = `${targetText(other.scenario)}, ${models.length === 1 ? 'model' : 'models'} ${models.join(', ')}`;
  const compared = `Compared with: ${what} (${arms}). Every run is made on either, one after the other, in random order.`;
  const behind = 1 + lines.findIndex((line) => line.startsWith('Target: '));
  return [...lines.slice(0, behind), compared, ...lines.slice(behind)];
}

const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const distinct = <T>(cells: readonly Cell[], of: (cell: Cell) => T): T[] => [...new Set(cells.map(of))];

function targetText({ target }: Scenario): string {
  if (target.kind === 'engine') return 'the bundled engine';
  const at = `${target.url ?? 'the endpoint given'} (${target.api} API)`;
  return target.start === null
    ? `the server at ${at}`
    : `the server that \`${target.start.command.join(' ')}\` starts, at ${at}`;
}

function ranksText(plan: Plan): string {
  const scaled = new Map<number, number>();
  for (const { rank, servedRank } of plan.cells.flatMap((cell) => cell.adapters)) {
    if (rank !== null && servedRank !== null) scaled.set(rank, servedRank);
  }
  const pairs = [...scaled].sort(([a], [b]) => a - b).map(([rank, served]) => `${rank} as ${served}`);
  return pairs.length === 0 ? '' : `Adapter ranks scale with it: ${pairs.join(', ')}.`;
}

/** The axes on which cells differ, with their values. */
function axesText({ cells }: Plan): string {
  const axes: [string, (cell: Cell) => string | number | null][] = [
    ['model', ({ at }) => at.model],
    ['weights', ({ at }) => at.weights],
    ['rank', ({ at }) => at.rank],
    ['adapters', ({ at }) => at.adapters],
    ['popularity', ({ at }) => at.popularity],
    ['base share', ({ at, adapters }) => (adapters.length === 0 ? null : at.base_share)],
    ['kind', ({ at }) => at.kind],
    ['mode', ({ at }) => at.mode],
    ['residency', ({ at }) => at.residency],
    ['prompt tokens', ({ at }) => at.promptTokens],
    ['output tokens', ({ at }) => at.outputTokens],
    ['control', ({ at }) => at.control],
    ['concurrency', ({ at }) => at.concurrency],
    ['requests a second', ({ at }) => at.rate],
  ];
  const swept = axes
    .map(([name, of]) => ({ name, values: distinct(cells, of).filter((value) => value !== null) }))
    .filter(({ values }) => values.length > 1)
    .map(({ name, values }) => `${name} ${values.join(', ')}`);
  return swept.length === 0 ? 'nothing swept' : `over ${swept.join('; ')}`;
}

function cellLines({ cells }: Plan): string[] {
  const lines = cells.slice(0, CELLS_SHOWN).map((cell) => `  ${cell.id}: ${cellText(cell)}`);
  return cells.length > CELLS_SHOWN ? [...lines, `  .. and ${cells.length - CELLS_SHOWN} more`] : lines;
}

/** One cell in words, such as "8 adapters of rank 16 (uniform), 200 tokens in, 200 out, 4 in flight". */
export function cellText({ at, load, baseShare, prompt, output }: Cell): string {
  const adapters = at.adapters === 0 ? 'base model alone' : adaptersText(at, baseShare);
  const sent = prompt.file === undefined ? `${at.promptTokens} tokens in` : `prompts of ${prompt.file.name}`;
  const length = output.lengths.kind === 'file' ? 'as many out as there' : `${at.outputTokens} out`;
  const asked = at.control === 'cap' ? `at most ${length}` : length;
  return `${at.model}, ${adapters}, ${sent}, ${asked}, ${loadText(load)}`;
}

function loadText(load: Load): string {
  if (load.kind === 'closed') return `${load.concurrency} in flight`;
  if (load.arrivals !== 'trace') return `${load.rate}/s ${load.arrivals}`;
  return `${load.rate}/s as the trace came${load.speed === 1 ? '' : `, at speed ${load.speed}`}`;
}

/** What is in a file of prompts, as far as it is sent: "Prompts: 812 of chat.jsonl, 4 to 1024 tokens, 210 on average.". */
function promptLines({ cells }: Plan): string[] {
  const lines = cells.flatMap(({ prompt: { file, lengths, reuse } }) => {
    if (file === undefined || lengths.kind !== 'file') return [];
    const nonce = nonceTokens(file, reuse);
    const { min, max, mean } = lengths;
    const range = min === max ? `${min} tokens each` : `${min} to ${max} tokens, ${Math.round(mean)} on average`;
    const added = nonce === 0 ? '' : `, with ${nonce} put before each that differ in every run`;
    return [`Prompts: ${file.entries.length} of ${file.name}, ${range}${added}.`];
  });
  return [...new Set(lines)];
}

/** "8 dora adapters of rank 16 on q,v (uniform, cold_disk)", "1 adapter of rank 16 merged into the weights". */
function adaptersText(at: At, baseShare: number): string {
  const kind = at.kind === null || at.kind === 'lora' ? '' : `${at.kind} `;
  const rank = at.rank === null ? '' : ` of rank ${at.rank}`;
  const modules = at.modules === null || at.modules === 'all' ? '' : ` on ${at.modules}`;
  const what = `${counted(at.adapters, `${kind}adapter`)}${rank}${modules}`;
  if (at.mode === 'merged') return `${what} merged into the weights`;
  const base = baseShare > 0 ? [`${Math.round(baseShare * 100)}% of requests to the base`] : [];
  const residency = at.residency === null || at.residency === 'warm' ? [] : [at.residency];
  return `${what} (${[at.popularity, ...base, ...residency].join(', ')})`;
}

function measureText({ cells }: Plan, { measure }: Scenario): string {
  const requests = distinct(cells, (cell) => ('requests' in cell.measure ? cell.measure.requests : null));
  const durations = distinct(cells, (cell) => ('durationMs' in cell.measure ? cell.measure.durationMs : null));
  const counts = requests.filter((count) => count !== null);
  const times = durations.filter((duration) => duration !== null).map(humanDuration);
  const length = counts.length > 0 ? `${either(counts)} request${counts.at(-1) === 1 ? '' : 's'}` : either(times);
  const warmup =
    measure.warmupPerAdapter === 0
      ? 'without warm-up'
      : `after ${counted(measure.warmupPerAdapter, 'warm-up request')} to the base and to each adapter`;
  return `${length}, ${warmup}; ${counted(measure.repeats, 'run')} for each cell`;
}

/** What a server must read and write for it: the bill, where tokens are paid for. Runs that end by time have no number. */
function tokensText({ cells, runs }: Plan): string[] {
  const sums = { input: 0, output: 0 };
  for (const run of runs) {
    const cell = cells.find(({ id }) => id === run.cell);
    if (cell === undefined || !('requests' in cell.measure)) return [];
    sums.input += cell.measure.requests * meanTokens(cell.prompt.lengths);
    sums.output += cell.measure.requests * meanTokens(cell.output.lengths);
  }
  const text = (count: number): string => Math.round(count).toLocaleString('en-US');
  return [`Tokens: about ${text(sums.input)} in and ${text(sums.output)} out, warm-up not counted.`];
}

function filesText(files: Plan['estimate']['adapterFiles']): string[] {
  if (files === null) return [];
  return [
    `Files: ${counted(files.count, 'adapter')} made in the folder for temporary files, about ${humanSize(files.bytes)}, removed at the end.`,
  ];
}

const either = (values: readonly (string | number)[]): string =>
  values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;

function requestsText({ cells, estimate }: Plan): string {
  const open = cells.some((cell) => 'durationMs' in cell.measure);
  return `${open ? 'at least ' : ''}${counted(estimate.requests, 'measured request')}`;
}

const timeText = (seconds: number | null): string =>
  seconds === null ? "time unknown: it depends on the server's speed" : `about ${humanDuration(seconds * 1000)}`;
