/** What a command has once it knows what to run: scenario, plan, and where the target comes from. */
import type { FolderModels } from '../plan/facts.ts';
import type { Plan } from '../plan/plan.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { DeviceProbe } from '../target/engine.ts';
import type { TargetSource } from '../target/target.ts';

export interface Prepared {
  scenario: Scenario;
  plan: Plan;
  /** To be closed, also where it is never run: a server that a command starts is up already. */
  source: TargetSource;
  /** null for an endpoint. */
  device: DeviceProbe | null;
  /** Those of its models that are folders. */
  folders: FolderModels;
  /** What the reader of the result must know beside the plan's own warnings. */
  warnings: string[];
}
