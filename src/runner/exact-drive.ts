/**
 * A fixed drive: a few of a cell's requests, run by the engine as one schedule, and what it counted of them. In: a target that
 * is up and idle, and the cell. Out: Exact; null where the target has no counters.
 *
 *   adapters on the device -> hold -> submit all -> release -> wait -> counters after less counters before
 *
 * The same cell gives the same counters on the same device with the same kernels: lengths and adapters are drawn from a seed
 * of the drive's own, the engine lets the requests in by their number, and no adapter has to be waited for, since the drive
 * names no more of them than the device holds.
 */
import { BenchError } from '../errors.ts';
import type { Cell } from '../plan/plan.ts';
import type { Exact } from '../result/exact.ts';
import type { RunResult } from '../result/schema.ts';
import { type DriveRequest, EngineWork, noData, type WorkReading } from '../target/engine-work.ts';
import type { Target } from '../target/target.ts';
import type { WorkloadTokenizer } from '../workload/words.ts';
import { workloadOf } from '../workload/workload.ts';

const SEED = 1;
const MOST_REQUESTS = 16;
/** Decode steps are alike: a few of them tell what all do. */
const MOST_OUTPUT_TOKENS = 8;
/** The engine lets go by itself after that: a harness that dies holds up nobody for long. */
const HOLD_SECONDS = 60;
/** So often it is tried for a cell, at its first runs. */
const MOST_TRIES = 2;
const IDLE_MS = 30_000;
const ARRIVE_MS = 30_000;

export interface DriveOptions {
  target: Target;
  cell: Cell;
  tokenizer: WorkloadTokenizer;
  signal: AbortSignal;
}

/** The drives of a sweep: once for each cell of a target, however often it is measured or its server started. */
export class ExactDrives {
  readonly #kept = new Map<string, Exact>();
  readonly #failures = new Map<string, number>();

  /**
   * A run that is done, with the counters of its cell. Without them where the target has none, or they could not be had,
   * which is told: whoever asked for them finds none, and that is no pass.
   * @param side tells targets apart
   */
  async addedTo(run: RunResult, side: string, note: (why: string) => void, options: DriveOptions): Promise<RunResult> {
    const key = JSON.stringify([side, options.cell.id]);
    if (run.state !== 'done' || (this.#failures.get(key) ?? 0) >= MOST_TRIES) return run;
    try {
      const exact = this.#kept.get(key) ?? (await driveExactly(options));
      if (exact === null) throw noData('the server is not the engine, and counts nothing');
      this.#kept.set(key, exact);
      return { ...run, exact: exact.counters, exactFor: exact.validFor };
    } catch (error) {
      if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
      this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
      note(`${options.cell.id}: no exact counters: ${error.message}`);
      return run;
    }
  }
}

/** @throws BenchError NO_DATA with why there are no counters: others use the server, a request was refused, it is gone */
export async function driveExactly(options: DriveOptions): Promise<Exact | null> {
  const work = new EngineWork(options.target, options.signal);
  const first = await work.read();
  if (first === null) return null;
  const requests = driveRequests(options, first.slots);
  const adapters = [...new Set(requests.flatMap(({ adapter }) => adapter ?? []))];
  // An adapter that is folded into the weights is there without a slot.
  if (first.slots === 0 || adapters.length === 0) return exactOf(requests, await drive(work, requests));
  const { idleTier, onDevice } = await work.residency();
  if (idleTier !== 'device') await work.setIdleTier('device');
  try {
    await arrange(work, adapters);
    return exactOf(requests, await drive(work, requests));
  } finally {
    await arrange(work, onDevice); // the next run finds them as it would have without the drive
    if (idleTier !== 'device') await work.setIdleTier(idleTier);
  }
}

/** Has these on the device and no others: one that is brought in must not make one leave that was. */
async function arrange(work: EngineWork, adapters: readonly string[]): Promise<void> {
  const { onDevice } = await work.residency();
  for (const other of onDevice.filter((name) => !adapters.includes(name))) await work.takeOffDevice(other);
  for (const adapter of adapters) await work.bringToDevice(adapter);
}

/** Some of the cell's requests. With more adapters than slots, those beyond give way to those that fit. */
export function driveRequests(
  { cell, tokenizer }: Pick<DriveOptions, 'cell' | 'tokenizer'>,
  slots: number,
): DriveRequest[] {
  const { load, adapters } = cell;
  const count = load.kind === 'closed' ? Math.min(MOST_REQUESTS, 2 * load.concurrency) : MOST_REQUESTS;
  const held = slots === 0 ? adapters : adapters.slice(0, slots);
  const placeOf = new Map(adapters.map(({ name }, i) => [name, i]));
  const requests: DriveRequest[] = [];
  const workload = workloadOf(cell, { seed: SEED, nonce: 'drive', tokenizer });
  for (const { adapter, promptTokens, outputTokens } of workload.measured()) {
    requests.push({
      adapter: adapter === null ? null : held[placeOf.get(adapter)! % held.length]!.name,
      promptTokens,
      outputTokens: Math.min(outputTokens, MOST_OUTPUT_TOKENS),
    });
    if (requests.length === count) break;
  }
  return requests;
}

interface Driven {
  before: WorkReading;
  after: WorkReading;
}

async function drive(work: EngineWork, requests: readonly DriveRequest[]): Promise<Driven> {
  const isIdle = ({ running, waiting }: WorkReading) => running + waiting === 0;
  await work.until(isIdle, 'the server is not idle', IDLE_MS);
  await work.hold(HOLD_SECONDS);
  let held = true;
  try {
    const before = await work.until(isIdle, 'others use the server', IDLE_MS);
    let early: unknown = null;
    const answers = Promise.all(requests.map((request, i) => work.complete(request, i)));
    answers.then(
      () => {
        early = noData('requests were answered while they were held');
      },
      (error: unknown) => {
        early = error;
      },
    );
    const allWait = ({ waiting }: WorkReading) => {
      if (early !== null) throw early;
      return waiting === requests.length;
    };
    await work.until(allWait, `${requests.length} requests did not arrive`, ARRIVE_MS);
    const released = await work.release();
    held = false;
    if (released !== requests.length) throw noData(`others use the server: ${released} requests were let in`);
    await answers;
    return { before, after: await work.until(isIdle, 'others use the server', IDLE_MS) };
  } finally {
    if (held) await work.release().catch((error: unknown) => rethrowBug(error));
  }
}

/** What cannot be released ends by itself; why the drive ended says more. */
function rethrowBug(error: unknown): void {
  if (!(error instanceof BenchError) || error.code === 'BUG') throw error;
}

function exactOf(requests: readonly DriveRequest[], { before, after }: Driven): Exact {
  const difference = (name: string): number => {
    const value = (after.counters[name] ?? Number.NaN) - (before.counters[name] ?? Number.NaN);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw noData(`the engine does not count ${name}`);
  };
  const steps = difference('steps');
  const dispatches = difference('dispatches');
  const promptTokens = difference('prompt_tokens');
  const generatedTokens = difference('generated_tokens');
  if (promptTokens !== sum(requests, 'promptTokens') || generatedTokens !== sum(requests, 'outputTokens')) {
    const wanted = `${sum(requests, 'promptTokens')} and ${sum(requests, 'outputTokens')} tokens`;
    throw noData(`others use the server: ${promptTokens} and ${generatedTokens} tokens were run, not ${wanted}`);
  }
  if (difference('adapter_loads') > 0) throw noData('adapters were moved during the drive');
  const weightBytes = difference('weight_bytes');
  const kvBytes = difference('kv_bytes');
  const adapterBytes = difference('adapter_bytes');
  const kernelBytes = weightBytes + kvBytes + adapterBytes;
  const created = ['pipelines_compiled', 'buffers_created', 'bind_groups_created'].map(difference);
  return {
    counters: {
      requests: requests.length,
      prompt_tokens: promptTokens,
      generated_tokens: generatedTokens,
      steps,
      dispatches,
      dispatches_per_step: dispatches / steps,
      rows: difference('rows'),
      padded_rows: difference('padded_rows'),
      lora_rows: difference('lora_rows'),
      adapters_per_step: difference('step_adapters') / steps,
      weight_bytes: weightBytes,
      kv_bytes: kvBytes,
      adapter_bytes: adapterBytes,
      kernel_bytes: kernelBytes,
      kernel_bytes_per_step: kernelBytes / steps,
      upload_bytes: difference('upload_bytes'),
      pipelines_compiled: after.counters['pipelines_compiled']!,
      created_in_steps: created.reduce((total, value) => total + value, 0),
    },
    validFor: after.validFor,
  };
}

const sum = (requests: readonly DriveRequest[], of: 'promptTokens' | 'outputTokens'): number =>
  requests.reduce((total, request) => total + request[of], 0);
