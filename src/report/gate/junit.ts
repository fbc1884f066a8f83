/**
 * junit.xml: a suite for the scenario, a test case for each threshold in each cell, for whatever shows test results. In: verdict.json's
 * content. Out: XML. A failed threshold is a failure; what could not be judged an error; what only is shown is skipped.
 */
import { type VerdictFile, verdictsThatBlock } from '../../gate/verdict-file.ts';
import { plainText } from '../terminal.ts';
import { OUTCOME_WORDS, type VerdictRow, verdictRows } from './rows.ts';

export function junitXml(file: VerdictFile): string {
  const rows = verdictRows(file);
  const blocking = new Set(verdictsThatBlock(file).map(({ id }) => id));
  const kinds = rows.map((row) => kindOf(row, blocking));
  const count = (kind: string) => kinds.filter((one) => one === kind).length;
  const name = attribute(file.scenario.name);
  const cases = rows.map((row, i) => testCase(row, kinds[i] ?? null, file));
  // A gate that could not judge at all has no case that says so.
  const whole =
    rows.length === 0
      ? [
          `    <testcase classname="${name}" name="gate">\n      <error message="${attribute(file.reasons.join('; '))}"/>\n    </testcase>`,
        ]
      : [];
  const counts = `tests="${rows.length + whole.length}" failures="${count('failure')}" errors="${count('error') + whole.length}" skipped="${count('skipped')}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="lorabench" ${counts}>`,
    `  <testsuite name="${name}" ${counts} timestamp="${attribute(file.createdAt)}">`,
    ...cases,
    ...whole,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

type Kind = 'failure' | 'error' | 'skipped' | null;

function kindOf({ line }: VerdictRow, blocking: ReadonlySet<string>): Kind {
  if (!line.gating) return 'skipped';
  if (line.outcome === 'fail') return 'failure';
  return blocking.has(line.id) ? 'error' : null;
}

function testCase(row: VerdictRow, kind: Kind, { scenario }: VerdictFile): string {
  const { line, where, threshold, reason } = row;
  const open = `    <testcase classname="${attribute(`${scenario.name}.${line.cell} (${where})`)}" name="${attribute(threshold)}"`;
  const text = `${OUTCOME_WORDS[line.outcome]}: ${reason}`;
  if (kind === null) return `${open}>\n      <system-out>${content(text)}</system-out>\n    </testcase>`;
  return `${open}>\n      <${kind} message="${attribute(text)}"/>\n    </testcase>`;
}

/** XML 1.0 has no place for control characters, lone surrogates and two more, not even escaped. */
const legal = (text: string): string =>
  Buffer.from(plainText(text))
    .toString()
    .replace(/[\ufffe\uffff]/g, '\uFFFD');
const content = (text: string): string =>
  legal(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const attribute = (text: string): string => content(text).replaceAll('"', '&quot;');
