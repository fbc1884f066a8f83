/**
 * The scenarios of a folder with the question that each answers, as a Markdown table for scenarios/README.md.
 *
 * In: the files' names and texts. Out: a table. The question is the first one of the comment that each file begins with.
 */
export interface ScenarioFile {
  /** Beside the README: "smoke.yaml". */
  name: string;
  text: string;
}

export function scenarioTable(files: readonly ScenarioFile[]): string {
  const rows = files.map(({ name, text }) => `| [${name.replace(/\.yaml$/, '')}](${name}) | ${questionOf(text)} |`);
  return ['| scenario | answers |', '| --- | --- |', ...rows].join('\n');
}

/** Of the comment at the top: from the line after the editor's to the first question mark. */
export function questionOf(text: string): string {
  const comment = /^(?:#.*\n)+/.exec(text)?.[0] ?? '';
  const words = comment
    .split('\n')
    .filter((line) => !line.startsWith('# yaml-language-server'))
    .map((line) => line.replace(/^#\s?/, ''))
    .join(' ')
    .trim();
  return /^[^?]*\?/.exec(words)?.[0] ?? '';
}
