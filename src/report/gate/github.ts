/**
 * What GitHub Actions shows of a gate: an annotation on each threshold's line that did not hold, and the job's summary. In: verdict.json's
 * content. Out: workflow commands (docs.github.com, "Workflow commands for GitHub Actions"), and Markdown for $GITHUB_STEP_SUMMARY.
 */
import { appendFileSync } from 'node:fs';
import { type VerdictFile, type VerdictLine, verdictsThatBlock } from '../../gate/verdict-file.ts';
import { summaryMarkdown } from './markdown.ts';
import { headline, OUTCOME_WORDS } from './rows.ts';

/** GitHub shows ten of a kind for a step; what comes after is not seen. */
const MOST_SHOWN = 10;

export function annotations(file: VerdictFile): string[] {
  const blocking = verdictsThatBlock(file);
  const errors = blocking.filter(({ outcome }) => outcome === 'fail');
  const warnings = [
    ...blocking.filter(({ outcome }) => outcome !== 'fail'),
    // Those that `on_inconclusive: warn` lets pass are told loudly.
    ...file.verdicts.filter((line) => line.gating && line.outcome === 'inconclusive' && !blocking.includes(line)),
  ];
  const level = (kind: 'error' | 'warning', lines: readonly VerdictLine[]): string[] => {
    const room = lines.length > MOST_SHOWN ? MOST_SHOWN - 1 : lines.length;
    const more = lines.length - room;
    const shown = lines.slice(0, room).map((line) => command(kind, line, file));
    return more === 0
      ? shown
      : [
          ...shown,
          `::${kind} title=${property(file.scenario.name)}::${data(`${more} more thresholds: see the job's summary`)}`,
        ];
  };
  const all = [...level('error', errors), ...level('warning', warnings)];
  // Nothing to point at, and yet not passed: a server that is down, nothing judged.
  if (all.length > 0 || file.exitCode === 0) return all;
  return [`::error title=${property(file.scenario.name)}::${data([headline(file), ...file.reasons].join('\n'))}`];
}

function command(kind: 'error' | 'warning', line: VerdictLine, { scenario }: VerdictFile): string {
  const title = `${scenario.name}: ${line.threshold}`;
  const at = line.line === null ? {} : { file: line.line.file, line: line.line.line, col: line.line.column };
  const properties = Object.entries({ ...at, title }).map(([name, value]) => `${name}=${property(String(value))}`);
  return `::${kind} ${properties.join(',')}::${data(`${OUTCOME_WORDS[line.outcome]} in ${line.cell}: ${line.reason}`)}`;
}

const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

/** Appends to the job's summary, if there is one to append to. One that cannot be written loses no verdict. */
export function writeJobSummary(file: VerdictFile, path: string | undefined): void {
  if (path === undefined || path === '') return;
  try {
    appendFileSync(path, `${summaryMarkdown(file)}\n`);
  } catch {
    // The same text is in summary.md.
  }
}
