/**
 * The reference of the scenario format, as Markdown: what scenarios/README.md says of every key.
 *
 * In: the JSON Schema that the zod schema gives (schema.ts). Out: a list of the axes; a table of the top keys; and for each that
 * is a group of keys a section with examples and tables. Nothing is said here that the schema does not say: a description that
 * begins with "Axis." makes an axis, its sentence "Default .." the default.
 */
import { stringify } from 'yaml';
import { type JsonSchema, valueWords } from './value-words.ts';

export interface ReferenceOptions {
  /** Definitions that several keys have as their value: each has a section of its own behind those of the keys. */
  shared: readonly string[];
  /** A key that holds the file's own keys again: they are listed, not described a second time. */
  repeats: string;
}

interface Row {
  key: string;
  schema: JsonSchema;
  required: boolean;
}

/** What the sections have in common, so that they need not be handed it one by one. */
interface Context extends ReferenceOptions {
  root: JsonSchema;
}

export function referenceOf(root: JsonSchema, options: ReferenceOptions): string {
  const context = { root, ...options };
  const top = rowsOf(root);
  const groups = top.filter(({ schema }) => definitionOf(schema, root) !== null);
  const parts = [
    '### Axes',
    `A list there is swept: ${axesOf(root, options.repeats).map(code).join(', ')}.`,
    '### Top keys',
    tableOf(top, context),
    ...groups.flatMap(({ key, schema }) => sectionOf(key, schema, context)),
    ...top.filter(({ key }) => key === options.repeats).flatMap(repeatedSection),
    ...options.shared.flatMap((name) => sectionOf(name, root.definitions?.[name] ?? {}, context)),
  ];
  return parts.join('\n\n');
}

/** Paths of the keys that are axes, in the order of the schema. */
export function axesOf(root: JsonSchema, repeats: string): string[] {
  const below = (schema: JsonSchema, path: string): string[] =>
    formsOf(definitionOf(schema, root) ?? schema).flatMap((form) =>
      rowsOf(form).flatMap(({ key, schema: value }) => {
        const at = path === '' ? key : `${path}.${key}`;
        if (at === repeats) return [];
        return isAxis(value) ? [at] : below(value, at);
      }),
    );
  return [...new Set(below(root, ''))];
}

/** A description without the word of axes and its sentence on the default, which are told apart from it. */
export function described({ description = '' }: JsonSchema): { meaning: string; fallback: string | null } {
  const text = description.replace(/^Axis\. /, '');
  const found = /(?:^|\s)Default:? (?<what>.*?)\.(?=\s|$)/.exec(text);
  return { meaning: text.replace(found?.[0] ?? '', '').trim(), fallback: found?.groups?.['what'] ?? null };
}

function sectionOf(key: string, schema: JsonSchema, context: Context): string[] {
  const definition = definitionOf(schema, context.root) ?? schema;
  const forms = definition.anyOf ?? [definition];
  const shared = rowsOfEach(forms);
  const { meaning } = described(schema);
  return [
    `### ${key}`,
    ...(meaning === '' ? [] : [meaning]),
    ...examplesOf(key, definition, context),
    ...forms.flatMap((form) => formOf(key, form, shared, forms.length > 1, context)),
    ...(shared.length === 0 ? [] : ['With each of these:', tableOf(shared, context)]),
  ];
}

/** Rows that all mappings among the forms have alike; they are told once. */
function rowsOfEach(forms: readonly JsonSchema[]): Row[] {
  const [first = [], ...others] = forms.map(rowsOf).filter((rows) => rows.length > 0);
  if (others.length === 0) return [];
  return first.filter((row) => others.every((rows) => rows.some((other) => isSame(row, other))));
}

const isSame = (a: Row, b: Row): boolean => JSON.stringify(a) === JSON.stringify(b);

/** One form that a group may have: a sentence where there are several, and the keys that only it has. */
function formOf(key: string, form: JsonSchema, shared: readonly Row[], several: boolean, context: Context): string[] {
  const all = rowsOf(form.items ?? form);
  const own = all.filter((row) => !shared.some((other) => isSame(row, other)));
  const names = own.filter(({ required }) => required).map((row) => code(row.key));
  const what = all.length > 0 ? `With ${names.join(' and ')}` : `As ${wordsOf(form, context)}`;
  return [
    ...(several ? [`**${what}**: ${described(form).meaning}`, ...examplesOf(key, form, context)] : []),
    ...(own.length === 0 ? [] : [tableOf(own, context)]),
  ];
}

/** Of keys each is a piece of a file; of values they are a list. */
function examplesOf(key: string, { examples = [] }: JsonSchema, { shared }: Context): string[] {
  const fenced = (text: string) => `\`\`\`yaml\n${text}\n\`\`\``;
  if (!shared.includes(key)) return examples.map((example) => fenced(keyed(key, example)));
  return examples.length === 0 ? [] : [fenced(examples.map((example) => `- ${flow(example)}`).join('\n'))];
}

const LONGEST_LINE = 100;

/** A group that is too long for a line has one for each of its keys. */
function keyed(key: string, value: unknown): string {
  const line = `${key}: ${flow(value)}`;
  if (line.length <= LONGEST_LINE || value === null || typeof value !== 'object' || Array.isArray(value)) return line;
  return [`${key}:`, ...Object.entries(value).map(([name, inner]) => `  ${name}: ${flow(inner)}`)].join('\n');
}

/** As the scenarios of this repository are written: `{ mix: { 8: 1 } }`, `[1, 8]`. */
const flow = (value: unknown): string =>
  stringify(value, { collectionStyle: 'flow', lineWidth: 0, singleQuote: true })
    .trim()
    .replaceAll('[ ', '[')
    .replaceAll(' ]', ']')
    .replace(/'(\d+)':/g, '$1:');

function tableOf(rows: readonly Row[], context: Context): string {
  const lines = rows.flatMap((row) => [row, ...nestedOf(row, context)]).map((row) => lineOf(row, context));
  return ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...lines].join('\n');
}

function lineOf({ key, schema, required }: Row, context: Context): string {
  const { meaning, fallback } = described(schema);
  const value = wordsOf(schema, context);
  const cells = [
    code(key),
    isAxis(schema) ? `**axis** of ${value}` : value,
    required ? '**required**' : fallbackWords(fallback ?? ''),
    meaning,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What could stand in a file looks as it does there. */
const fallbackWords = (text: string): string =>
  /^([\w./]+|\{.*\}|\[.*\])$/.test(text) && text !== 'none' ? code(text) : text;

/** Keys of a mapping that has no section of its own, as `shared_prefix.tokens`. */
function nestedOf({ key, schema }: Row, context: Context): Row[] {
  if (key === context.repeats) return [];
  return formsOf(schema).flatMap((form) =>
    rowsOf(form).flatMap((row) => {
      const nested = { ...row, key: `${key}.${row.key}` };
      return [nested, ...nestedOf(nested, context)];
    }),
  );
}

function repeatedSection({ key, schema }: Row): string[] {
  const names = rowsOf(schema).map((row) => code(row.key));
  return [`### ${key}`, `${described(schema).meaning} Its keys are those above: ${names.join(', ')}.`];
}

const code = (text: string): string => `\`${text}\``;
const isAxis = ({ description = '' }: JsonSchema): boolean => description.startsWith('Axis. ');

const rowsOf = ({ properties = {}, required = [] }: JsonSchema): Row[] =>
  Object.entries(properties).map(([key, schema]) => ({ key, schema, required: required.includes(key) }));

/** The definition that a schema refers to; null where it is written out in its place. */
function definitionOf(schema: JsonSchema, root: JsonSchema): JsonSchema | null {
  const ref = schema.$ref ?? (schema.allOf?.length === 1 ? schema.allOf[0]?.$ref : undefined);
  return ref === undefined ? null : (root.definitions?.[ref.split('/').at(-1) ?? ''] ?? null);
}

/** All that a value may be where it stands; what has a section of its own is left to that. */
const formsOf = (schema: JsonSchema): JsonSchema[] =>
  schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(formsOf);

const wordsOf = (schema: JsonSchema, { shared }: Context): string =>
  valueWords(schema, (name) => `[${shared.includes(name) ? name : 'below'}](#${name})`);
