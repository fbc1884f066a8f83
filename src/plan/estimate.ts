/**
 * What a plan will take: cells, runs, measured requests, seconds.
 *
 * Seconds are computed for software devices, where arithmetic is the bottleneck by far and the time is the number of
 * operations over the rate they run at. They are a rough guide: attention, adapters and gaps between steps are left out.
 * A GPU's or an endpoint's speed isn't known ahead, so there `seconds` is null.
 */
import { type Geometry, parameterCount } from '../../engine/models/geometry.ts';
import { adapterFilesOf } from './adapter-files.ts';
import { geometryIn, type TargetFacts } from './facts.ts';
import { meanTokens } from './lengths-range.ts';
import type { Cell, Plan, PlannedRun } from './plan.ts';
import { serverOf } from './server-of.ts';
import { WARMUP_TOKENS } from './warmup.ts';

export { WARMUP_TOKENS };

/** Operations a second of f16-weight matrix products on SwiftShader, measured on two cores: many rows, and one row. */
const PREFILL_FLOPS = 2.5e9;
const DECODE_FLOPS = 1.5e9;
/** From so many rows on, a decode step runs at the rate of a prefill. */
const ROWS_FOR_FULL_RATE = 4;
/** Allowance for starting the engine and compiling its kernels, for each server. */
const START_SECONDS = 8;

export function estimateOf(cells: readonly Cell[], runs: readonly PlannedRun[], facts: TargetFacts): Plan['estimate'] {
  const byId = new Map(cells.map((cell) => [cell.id, cell]));
  const planned = runs.flatMap((run) => byId.get(run.cell) ?? []);
  const requests = planned.reduce((sum, cell) => sum + requestsOf(cell), 0);
  const known = facts.kind === 'engine' && facts.software;
  const servers = new Set(cells.map(serverOf)).size;
  const geometry = (model: string) => geometryIn(facts, model);
  const seconds = known
    ? planned.reduce((sum, cell) => sum + runSeconds(cell, geometry(cell.at.model)), servers * START_SECONDS)
    : null;
  return {
    cells: cells.length,
    runs: runs.length,
    requests: Math.round(requests),
    seconds,
    adapterFiles: adapterFilesOf(cells, facts),
  };
}

/** Measured requests of one run; at least one for each in flight where a closed loop ends by time. */
function requestsOf({ measure, load }: Cell): number {
  if ('requests' in measure) return measure.requests;
  return load.kind === 'open' ? Math.max(1, (load.rate * measure.durationMs) / 1000) : load.concurrency;
}

function runSeconds(cell: Cell, geometry: Geometry | null): number {
  if (geometry === null) return 0;
  const rows = cell.load.kind === 'closed' ? cell.load.concurrency : 1;
  const warmups = cell.warmupPerAdapter * (cell.adapters.length + 1);
  const warmup = warmups * requestSeconds(geometry, WARMUP_TOKENS.prompt, WARMUP_TOKENS.output, rows);
  const { measure, load } = cell;
  if ('durationMs' in measure) return warmup + measure.durationMs / 1000;
  const each = requestSeconds(geometry, meanTokens(cell.prompt.lengths), meanTokens(cell.output.lengths), rows);
  const arriving = load.kind === 'open' ? measure.requests / load.rate : 0;
  return warmup + Math.max(arriving, measure.requests * each);
}

/** A weight is one multiplication and one addition for each row. The first output token comes out of the prefill. */
function requestSeconds(geometry: Geometry, prompt: number, output: number, rows: number): number {
  const head = geometry.vocab * geometry.hidden;
  const layers = parameterCount(geometry) - head * (geometry.tied ? 1 : 2);
  const filled = Math.min(1, (rows - 1) / (ROWS_FOR_FULL_RATE - 1));
  const decodeFlops = DECODE_FLOPS + (PREFILL_FLOPS - DECODE_FLOPS) * filled;
  const prefill = 2 * (prompt * layers + head);
  const decode = 2 * Math.max(0, output - 1) * (layers + head);
  return prefill / PREFILL_FLOPS + decode / decodeFlops;
}
