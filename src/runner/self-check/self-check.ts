/**
 * What the client itself adds to what it measures, found out on this machine, at the load that a plan will ask of it.
 *
 * In: threads, streams, a beat. Out: the error in TTFT and TPOT, and in single stamps. A calibrated server on loopback writes
 * to all streams in step and says in each chunk when it did; what the client makes of the same chunks is held against that:
 *
 *   TTFT error    arrival as stamped - written                      one a chunk: any may be a request's first
 *   TPOT error    |stamped span - written span| / (tokens - 1)      one a request
 *
 * Loopback's own time (tens of microseconds) is in it: the client answers for it here, since nobody else can.
 */

import type { Answer } from '../../client/client.ts';
import { onClock } from '../../client/clock.ts';
import type { SelfCheck } from '../../result/schema.ts';
import type { RequestSpec } from '../../workload/request.ts';
import type { LoadTeam } from '../load-team.ts';
import { stampErrorOf } from '../stamp-error.ts';
import { Stock } from '../stock.ts';
import { startCalibratedServer } from './server-process.ts';

export interface SelfCheckOptions {
  team: LoadTeam;
  workers: number;
  /** Requests in flight. */
  streams: number;
  /** Between two tokens of each stream. */
  gapMs?: number;
  /** How long it is measured for, about, after a shorter time in which nothing counts. */
  durationMs?: number;
  signal: AbortSignal;
}

const GAP_MS = 20;
const DURATION_MS = 1_000;
/** Until code is compiled and connections are warm. */
const WARM_TOKENS = 10;
const TTFT_MS = 20;

/** @throws BenchError BUG, UNSUPPORTED (more connections than this machine allows) */
export async function selfCheck(options: SelfCheckOptions): Promise<SelfCheck | null> {
  const { team, workers, streams, gapMs = GAP_MS, durationMs = DURATION_MS, signal } = options;
  const server = await startCalibratedServer(gapMs, TTFT_MS, signal);
  const answers: Answer[] = [];
  const cut = () => team.cut();
  try {
    await team.begin({
      client: { url: server.url, api: 'completions', model: 'self-check', apiKey: null, headers: {} },
      context: { run: 'self-check', attempt: 1, temperature: 0, extraBody: {}, timeoutMs: 60_000 },
      workers,
      onAnswer: (answer, goOn) => {
        answers.push(answer);
        goOn();
      },
    });
    signal.addEventListener('abort', cut, { once: true });
    await team.connect(streams);
    const tokens = Math.max(2, Math.round(durationMs / gapMs));
    for (const [length, phase] of [
      [WARM_TOKENS, 'warmup'],
      [tokens, 'measure'],
    ] as const) {
      const stock = new Stock(requests(streams, length, phase), streams);
      const loop = { kind: 'closed', concurrency: streams, spreadNs: 0 } as const;
      if (!signal.aborted) {
        await team.load({ stock, requests: streams, durationMs: Infinity, loop }, await team.stockUp(stock, signal));
      }
    }
  } finally {
    signal.removeEventListener('abort', cut);
    await team.end();
    await server.stop();
  }
  const measured = answers.filter(({ record }) => record.phase === 'measure' && record.outcome === 'ok');
  return errorsOf(measured, { workers, streams, gapMs });
}

function* requests(count: number, tokens: number, phase: RequestSpec['phase']): Generator<RequestSpec> {
  for (let i = 0; i < count; i++) {
    yield {
      i,
      phase,
      adapter: null,
      prompt: 'self-check',
      promptTokens: 1,
      outputTokens: tokens,
      control: 'exact',
      intendedOffset: null,
    };
  }
}

function errorsOf(answers: readonly Answer[], at: Pick<SelfCheck, 'workers' | 'streams' | 'gapMs'>): SelfCheck | null {
  const stamps: number[] = [];
  const perToken: number[] = [];
  for (const { record, uncounted } of answers) {
    const written = (uncounted ?? []).map(({ text }) => onClock(Number(text)));
    const errors = record.chunks.map(([since], i) => record.sent + since - (written[i] as number));
    for (const error of errors) stamps.push(error);
    const [first, last] = [errors[0], errors.at(-1)];
    if (first === undefined || last === undefined || errors.length < 2) continue;
    perToken.push(Math.abs(last - first) / (errors.length - 1));
  }
  const [ttft, tpot] = [stampErrorOf(stamps), stampErrorOf(perToken)];
  return ttft === null || tpot === null ? null : { ...at, ttft, tpot };
}
