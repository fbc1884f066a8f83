/** How commands speak to the terminal: widths, colours, and the lines that nobody may miss. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Plan } from '../plan/plan.ts';
import type { Scenario } from '../scenario/scenario.ts';
import type { DeviceProbe } from '../target/engine.ts';
import type { CommandIo } from './io.ts';

/** Where output is no terminal, lines are as wide as they need to be read in a log. */
const PLAIN_WIDTH = 120;

export function tableStyle(stream: NodeJS.WriteStream, env: CommandIo['env']): { width: number; color: boolean } {
  return { width: stream.columns || PLAIN_WIDTH, color: hasColor(stream, env) };
}

/** As https://no-color.org asks: never when NO_COLOR is set, and only on a terminal. */
function hasColor(stream: NodeJS.WriteStream, env: CommandIo['env']): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}

/** The folder of a result, however it was named: itself, or its result.json. */
export const folderOf = (path: string): string => (statSync(path).isDirectory() ? path : dirname(path));

/** What must be read before any figure: that something else runs than the scenario's name says. None on a GPU. */
export function standInBanner(plan: Plan, scenario: Scenario, device: DeviceProbe): string[] {
  if (!device.software) return [];
  const { standIn } = plan;
  const why = `no GPU was found; ${device.name} (${device.candidate}) computes on the CPU`;
  const lines =
    standIn === null
      ? [`NO GPU: ${why}`, ...(scenario.withoutGpu ? ["the scenario's without_gpu part runs instead"] : [])]
      : [
          `STAND-IN: ${standIn.scale} of ${standIn.for} runs in its place`,
          `why: ${why}`,
          `its figures show how costs grow with adapters and load, not what ${standIn.for} costs`,
        ];
  const width = Math.max(...lines.map((line) => line.length));
  const rule = '='.repeat(width + 4);
  return [rule, ...lines.map((line) => `  ${line}`), rule];
}
