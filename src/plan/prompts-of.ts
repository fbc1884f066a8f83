/**
 * What a cell sends and asks for. In: a scenario, one of its workloads, the load, and the file of prompts for the cell's
 * model, if there is one. Out: the cell's `prompt`, `output` lengths, `measure`, and how all that is called.
 */
import type { MeasureLength, Scenario, ScenarioWorkload } from '../scenario/scenario.ts';
import { lengthsLabel } from './labels.ts';
import { nonceTokens } from './lengths-range.ts';
import type { At, Cell, Lengths, Load, PromptFile } from './plan.ts';
import { reusedPromptsSeed } from './seeds.ts';

type Sent = Pick<Cell, 'prompt' | 'measure'> & { outputLengths: Lengths } & Pick<At, 'promptTokens' | 'outputTokens'>;

export function sentBy(scenario: Scenario, workload: ScenarioWorkload, load: Load, file: PromptFile | null): Sent {
  const { promptReuse: reuse, sharedPrefix, measure: measured } = scenario;
  const measure = measureOf(scenario, load, file);
  const source = file && replayedPart(file, measure);
  const promptLengths = workload.prompt ?? fileLengths(source, 'promptTokens', reuse);
  const outputLengths = workload.output ?? fileLengths(source, 'outputTokens', reuse);
  const seed = reuse ? { seed: reusedPromptsSeed(measured.seed, promptLengths, source ?? undefined) } : {};
  const fileLabel = file === null ? '' : `${file.kind}(${file.name})`;
  return {
    prompt: {
      lengths: promptLengths,
      reuse,
      ...seed,
      ...(sharedPrefix === null ? {} : { sharedPrefix }),
      ...(source === null ? {} : { file: source }),
    },
    outputLengths,
    measure,
    promptTokens: workload.prompt === null ? fileLabel : promptLabel(workload.prompt, scenario),
    outputTokens: workload.output === null ? fileLabel : lengthsLabel(workload.output),
  };
}

/** 200, or "200 (100 shared)". */
function promptLabel(lengths: NonNullable<ScenarioWorkload['prompt']>, { sharedPrefix }: Scenario): number | string {
  const label = lengthsLabel(lengths);
  return sharedPrefix === null ? label : `${label} (${sharedPrefix.tokens} shared)`;
}

/** `per_concurrency` counts for closed loops; an open loop, which has no concurrency, takes `at_least`. */
function measureOf({ measure: { length } }: Scenario, load: Load, file: PromptFile | null): Cell['measure'] {
  if (load.kind === 'open' && load.arrivals === 'trace') return { requests: replayed(length, load.speed, file) };
  switch (length.kind) {
    case 'all':
      throw new TypeError('a run without a length passed validation');
    case 'duration':
      return { durationMs: length.durationMs };
    case 'requests':
      return { requests: length.requests };
    case 'per_concurrency': {
      const byLoad = load.kind === 'closed' ? length.perConcurrency * load.concurrency : 0;
      return { requests: Math.max(length.atLeast, byLoad) };
    }
  }
}

/** How many requests of a trace are replayed, never more than it has; a duration takes those that come within it. */
function replayed(length: MeasureLength, speed: number, file: PromptFile | null): number {
  if (file?.kind !== 'trace') throw new TypeError('a trace is replayed, and none was read');
  const all = file.entries.length;
  if (length.kind === 'all') return all;
  if (length.kind === 'duration') {
    const after = file.entries.findIndex(({ atMs }) => atMs / speed >= length.durationMs);
    return after === -1 ? all : after;
  }
  return Math.min(all, length.kind === 'requests' ? length.requests : length.atLeast);
}

/** A trace is sent from its start on: what a run doesn't reach neither limits nor describes it. */
function replayedPart(file: PromptFile, measure: Cell['measure']): PromptFile {
  if (file.kind !== 'trace' || !('requests' in measure) || measure.requests >= file.entries.length) return file;
  return { ...file, entries: file.entries.slice(0, measure.requests) };
}

function fileLengths(file: PromptFile | null, key: 'promptTokens' | 'outputTokens', reuse: boolean): Lengths {
  if (file === null) throw new TypeError('prompts come from a file, and none was read');
  let sum = 0;
  let [min, max] = [Number.POSITIVE_INFINITY, 0];
  for (const entry of file.entries) {
    const tokens = entry[key];
    if (tokens === null) throw new TypeError('an entry without output length was read where it is needed');
    sum += tokens;
    min = Math.min(min, tokens);
    max = Math.max(max, tokens);
  }
  const added = key === 'promptTokens' ? nonceTokens(file, reuse) : 0;
  return { kind: 'file', mean: sum / file.entries.length + added, min: min + added, max: max + added };
}

/** Requests a second of a trace at that speed, to three digits; all at once count as if they took a second. */
export function meanRate(file: PromptFile | null, speed: number): number {
  if (file?.kind !== 'trace') throw new TypeError('a trace is replayed, and none was read');
  const seconds = file.entries.at(-1)!.atMs / 1000 / speed;
  const rate = seconds > 0 ? (file.entries.length - 1) / seconds : file.entries.length;
  return Number(rate.toPrecision(3));
}
