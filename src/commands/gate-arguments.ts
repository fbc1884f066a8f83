/** What `bench gate` and `bench calibrate` are told. */
import type { OtherArguments } from '../scenario/target-file.ts';
import type { RunArguments, ScenarioArguments } from './arguments.ts';

export interface GateArguments
  extends ScenarioArguments,
    Pick<RunArguments, 'device' | 'out' | 'workers' | 'selfCheck' | 'quiet'> {
  /** The reference, measured beside the candidate. */
  against: OtherArguments | null;
  /** Kept sessions to judge by instead. */
  baseline: string | null;
}
