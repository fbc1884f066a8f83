/**
 * Prometheus' text exposition, read for a few metrics. In: a page, and the names that are wanted. Out: their samples.
 *
 * Only lines of wanted metrics are looked into: a page has thousands of histogram buckets that nobody asks for. A line that
 * breaks the format gives no sample rather than a guess, and whatever comes, work is linear in the page's length.
 *
 * Format: prometheus.io/docs/instrumenting/exposition_formats, text 0.0.4; of OpenMetrics 1.0, exemplars and fractional
 * timestamps are passed over. Names in quotes (Prometheus 3) are not read: no server that is known here has them.
 */
export interface PrometheusSample {
  name: string;
  labels: ReadonlyMap<string, string>;
  /** Also NaN and the infinities. */
  value: number;
}

/** Thousands of adapters' names fit into one label; more is not looked at. */
const LONGEST_LINE = 262_144;

const NAME = /[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)/y;
const LABEL = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"/y;
/** What follows a label: the next one, or the end of all. */
const AFTER_LABEL = /[ \t]*(?:,[ \t]*(\})?|(\}))/y;
/** Value, timestamp, exemplar. */
const REST =
  /^(?:([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|([+-]?)inf(?:inity)?|(nan))(?:[ \t]+[+-]?\d[\d.eE+-]*)?(?:[ \t]+#.*)?[ \t\r]*$/i;
const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\', '"': '"', n: '\n' };

export function* samplesOf(page: string, wanted: { has(name: string): boolean }): Generator<PrometheusSample> {
  for (let from = 0; from < page.length; ) {
    const newline = page.indexOf('\n', from);
    const to = newline === -1 ? page.length : newline;
    const name = to === from || page[from] === '#' ? null : nameAt(page, from);
    if (name !== null && wanted.has(name) && to - from <= LONGEST_LINE) {
      const sample = sampleOf(page.slice(NAME.lastIndex, to), name);
      if (sample !== null) yield sample;
    }
    from = to + 1;
  }
}

function nameAt(page: string, at: number): string | null {
  NAME.lastIndex = at;
  return NAME.exec(page)?.[1] ?? null;
}

/** @param line what comes after the name */
function sampleOf(line: string, name: string): PrometheusSample | null {
  const start = line.search(/[^ \t]/);
  if (line[start] !== '{') return start > 0 ? valued(line.slice(start), name, new Map()) : null;
  const labels = new Map<string, string>();
  const end = readLabels(line, start + 1, labels);
  return end === null ? null : valued(line.slice(end).replace(/^[ \t]+/, ''), name, labels);
}

/** @returns where they end, behind the brace; null when they break the format */
function readLabels(line: string, start: number, labels: Map<string, string>): number | null {
  const empty = /[ \t]*\}/y;
  empty.lastIndex = start;
  if (empty.test(line)) return empty.lastIndex;
  for (let at = start; ; ) {
    LABEL.lastIndex = at;
    const name = LABEL.exec(line)?.[1];
    if (name === undefined || labels.has(name)) return null;
    const text = quoted(line, LABEL.lastIndex);
    if (text === null) return null;
    labels.set(name, text.value);
    AFTER_LABEL.lastIndex = text.end;
    const after = AFTER_LABEL.exec(line);
    if (after === null) return null;
    at = AFTER_LABEL.lastIndex;
    if (after[1] !== undefined || after[2] !== undefined) return at;
  }
}

/** The text up to the closing quote. By hand: a pattern over a label of many kilobytes could exhaust the stack. */
function quoted(line: string, start: number): { value: string; end: number } | null {
  let value = '';
  let from = start;
  for (let at = start; at < line.length; at++) {
    const character = line[at];
    if (character === '"') return { value: value + line.slice(from, at), end: at + 1 };
    if (character !== '\\') continue;
    const escaped = ESCAPED[line[at + 1] ?? ''];
    if (escaped === undefined) return null;
    value += line.slice(from, at) + escaped;
    at++;
    from = at + 1;
  }
  return null;
}

function valued(text: string, name: string, labels: Map<string, string>): PrometheusSample | null {
  const found = REST.exec(text);
  if (found === null) return null;
  const [, number, sign, nan] = found;
  const infinite = sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const value = number !== undefined ? Number(number) : nan !== undefined ? Number.NaN : infinite;
  return { name, labels, value };
}
