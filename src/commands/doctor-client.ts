/**
 * `bench doctor --client`: what the client itself can do on this machine. In: a number of threads. Out: by streams, what it
 * adds to TTFT and TPOT; by rate, how late requests leave.
 *
 * Every run of a scenario is judged by the same check (at its plan's load) and by probes while it runs.
 */
import { EXIT, type ExitCode } from '../errors.ts';
import type { StampError } from '../result/schema.ts';
import { LoadTeam } from '../runner/load-team.ts';
import { selfCheck } from '../runner/self-check/self-check.ts';
import { sendLagAt } from '../runner/self-check/send-lag.ts';
import { type WorkersOption, workersFor } from '../runner/workers.ts';
import type { CommandIo } from './io.ts';

const STREAMS = [1, 8, 32, 100, 250];
const RATES = [100, 1_000];
const DURATION_MS = 3_000;

export async function doctorClient(workers: WorkersOption, { stdout, signal }: CommandIo): Promise<ExitCode> {
  const team = await LoadTeam.create();
  try {
    stdout.write(
      'What this client adds to times; a server on loopback writes to all streams in step, 50 tokens/s each:\n\n',
    );
    stdout.write(row(['streams', 'threads', 'ttft p50', 'p99', 'max', 'tpot p50', 'p99', 'max']));
    for (const streams of STREAMS) {
      const threads = workersFor({ load: { kind: 'closed', concurrency: streams } }, workers, 0);
      const check = await selfCheck({ team, workers: threads, streams, durationMs: DURATION_MS, signal });
      if (signal.aborted) return EXIT.interrupted;
      stdout.write(row([`${streams}`, `${threads}`, ...figures(check?.ttft), ...figures(check?.tpot)]));
    }
    stdout.write('\nHow late requests leave, in an open loop:\n\n');
    stdout.write(row(['rate', 'threads', 'lag p50', 'p99', 'max']));
    for (const rate of RATES) {
      const load = { kind: 'open', rate, arrivals: 'constant' } as const;
      const threads = workersFor({ load }, workers, 0);
      const lag = await sendLagAt(rate, { team, workers: threads, signal });
      if (signal.aborted) return EXIT.interrupted;
      stdout.write(row([`${rate}/s`, `${threads}`, ...figures(lag)]));
    }
    stdout.write(
      '\nA run is called client limited where this exceeds both 1 ms and 1% of the value it is part of.\n' +
        'Other programs on this machine make it worse: measure from one that has nothing else to do.\n',
    );
    return EXIT.done;
  } catch (error) {
    if (signal.aborted) return EXIT.interrupted; // whatever a step makes of being cut
    throw error;
  } finally {
    await team.close();
  }
}

const row = (cells: readonly string[]): string => `${cells.map((cell) => cell.padStart(10)).join('')}\n`;

const figures = (error: StampError | null | undefined): string[] =>
  error == null ? ['-', '-', '-'] : [error.p50, error.p99, error.max].map((ms) => `${ms.toFixed(ms < 1 ? 3 : 2)} ms`);
