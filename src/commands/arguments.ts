/** What commands are told, after command-line.ts has read the flags. */

import type { WorkersOption } from '../runner/workers.ts';
import type { OtherArguments } from '../scenario/target-file.ts';

/** What `run` and `validate` are told about the scenario and its target. */
export interface ScenarioArguments {
  scenario: string;
  endpoint: string | null;
  model: string | null;
  adapters: string[] | null;
  allowFewer: boolean;
  api: 'chat' | 'completions' | null;
  apiKeyEnv: string | null;
  /** Where adapters that the endpoint lacks lie on its own file system. */
  adapterPath: string | null;
  set: string[];
}

export interface RunArguments extends ScenarioArguments {
  device: string | null;
  /** Another target, measured beside the scenario's own. */
  compare: OtherArguments | null;
  out: string | null;
  /** A folder whose sweep goes on. */
  resume: string | null;
  workers: WorkersOption;
  selfCheck: boolean;
  /** Have the engine's work counted in each cell, too. */
  exact: boolean;
  quiet: boolean;
  /** One JSON document on stdout, and nothing else. */
  json: boolean;
}
