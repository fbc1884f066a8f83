/**
 * How late requests leave, on this machine, when they should leave at a rate. In: threads, a rate. Out: the lag between
 * intended and actual sending, of every request of two seconds, against a server that answers at once.
 */
import type { RequestRecord, StampError } from '../../result/schema.ts';
import { constantArrivals } from '../../workload/arrivals/constant.ts';
import type { RequestSpec } from '../../workload/request.ts';
import type { LoadTeam } from '../load-team.ts';
import { stampErrorOf } from '../stamp-error.ts';
import { Stock } from '../stock.ts';
import { startCalibratedServer } from './server-process.ts';

const SECONDS = 2;
/** Until code is compiled. */
const WARM_SECONDS = 0.5;
const CONNECTIONS = 64;

export async function sendLagAt(
  rate: number,
  { team, workers, signal }: { team: LoadTeam; workers: number; signal: AbortSignal },
): Promise<StampError | null> {
  const server = await startCalibratedServer(1, 0, signal);
  const records: RequestRecord[] = [];
  const cut = () => team.cut();
  try {
    await team.begin({
      client: { url: server.url, api: 'completions', model: 'self-check', apiKey: null, headers: {} },
      context: { run: 'self-check', attempt: 1, temperature: 0, extraBody: {}, timeoutMs: 60_000 },
      workers,
      onAnswer: ({ record }, goOn) => {
        records.push(record);
        goOn();
      },
    });
    signal.addEventListener('abort', cut, { once: true });
    await team.connect(CONNECTIONS);
    for (const seconds of [WARM_SECONDS, SECONDS]) {
      records.length = 0;
      const count = Math.ceil(seconds * rate);
      const stock = new Stock(requests(rate, count), count);
      const loop = { kind: 'open', drainMs: 10_000 } as const;
      if (!signal.aborted) {
        await team.load({ stock, requests: count, durationMs: Infinity, loop }, await team.stockUp(stock, signal));
      }
    }
  } finally {
    signal.removeEventListener('abort', cut);
    await team.end();
    await server.stop();
  }
  return stampErrorOf(records.map(({ sent, intended }) => sent - intended));
}

function* requests(rate: number, count: number): Generator<RequestSpec> {
  const arrivals = constantArrivals(rate);
  for (let i = 0; i < count; i++) {
    yield {
      i,
      phase: 'measure',
      adapter: null,
      prompt: 'self-check',
      promptTokens: 1,
      outputTokens: 1,
      control: 'exact',
      intendedOffset: arrivals.next().value,
    };
  }
}
