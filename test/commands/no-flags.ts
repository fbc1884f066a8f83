/** What a command is told of a scenario when no flag is given but the file. */
import type { ScenarioArguments } from '../../src/commands/arguments.ts';

export const NO_FLAGS: Omit<ScenarioArguments, 'scenario'> = {
  endpoint: null,
  model: null,
  adapters: null,
  allowFewer: false,
  api: null,
  apiKeyEnv: null,
  adapterPath: null,
  set: [],
};
