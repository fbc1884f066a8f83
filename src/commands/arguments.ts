/** What commands are told, after command-line.ts has read the flags. */

/** What `run` and `validate` are told about the scenario and its target. */
export interface ScenarioArguments {
  scenario: string;
  endpoint: string | null;
  model: string | null;
  adapters: string[] | null;
  allowFewer: boolean;
  api: 'chat' | 'completions' | null;
  apiKeyEnv: string | null;
  set: string[];
}

export interface RunArguments extends ScenarioArguments {
  device: string | null;
  out: string | null;
  quiet: boolean;
}
