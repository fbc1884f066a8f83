/**
 * The self-check of a plan: at its highest load, for two seconds. In: the plan, the threads. Out: what the client adds.
 *
 * A closed loop has as many streams as its concurrency. How many an open loop has depends on a server that is not known
 * yet: those that arrive in two seconds are taken.
 */
import type { Plan } from '../../plan/plan.ts';
import type { SelfCheck } from '../../result/schema.ts';
import type { LoadTeam } from '../load-team.ts';
import { type WorkersOption, workersFor } from '../workers.ts';
import { selfCheck } from './self-check.ts';

const OPEN_LOOP_SECONDS = 2;
/** More would take longer than two seconds, and a machine's whole memory for sockets. */
const MOST_STREAMS = 1_000;

export function selfCheckFor(
  plan: Plan,
  { team, workers, signal }: { team: LoadTeam; workers: WorkersOption; signal: AbortSignal },
): Promise<SelfCheck | null> {
  const streamsOf = plan.cells.map(({ load }) =>
    load.kind === 'closed' ? load.concurrency : Math.ceil(OPEN_LOOP_SECONDS * load.rate),
  );
  const streams = Math.min(MOST_STREAMS, Math.max(1, ...streamsOf));
  const load = { kind: 'closed', concurrency: streams } as const;
  return selfCheck({ team, streams, workers: workersFor({ load }, workers, 0), signal });
}
