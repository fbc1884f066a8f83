/** Rules of the `gate` block between values, which its schema cannot say. As rules.ts, silent about what is wrong in itself. */
import type { Report } from './adapter-rules.ts';
import { isObject, type Plain } from './plain-data.ts';
import { shown } from './problems.ts';
import { percentShare } from './units.ts';

export function gateRules(plain: Plain, report: Report): void {
  const { gate } = plain;
  if (!isObject(gate)) return;
  const { looks, thresholds } = gate;
  if (Array.isArray(looks)) {
    looks.forEach((pairs, i) => {
      if (i > 0 && typeof pairs === 'number' && pairs <= looks[i - 1]) {
        report(
          ['gate', 'looks', i],
          `${pairs} does not come after ${looks[i - 1]}: looks are ascending numbers of pairs`,
        );
      }
    });
  }
  if (!Array.isArray(thresholds)) return;
  thresholds.forEach((threshold, i) => {
    const decrease = isObject(threshold) ? threshold['max_decrease'] : undefined;
    if (typeof decrease !== 'string' || (percentShare(decrease) ?? 0) < 1) return;
    const path = ['gate', 'thresholds', i, 'max_decrease'];
    report(path, `expected less than 100%, found ${shown(decrease)}: nothing decreases by more than all of it`);
  });
}
