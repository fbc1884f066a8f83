/** What a command may touch besides its arguments; cli.ts gives the process's own, tests give others. */
import { FinishRequest } from '../runner/finish-request.ts';

export { FinishRequest };

export interface CommandIo {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: Readonly<Record<string, string | undefined>>;
  /** Aborts on a second Ctrl-C, on one while no run is in progress, and on SIGTERM: stop now, keep what was measured. */
  signal: AbortSignal;
  /** Asked by the first Ctrl-C: finish the run in progress, then stop. */
  finish?: FinishRequest;
}
