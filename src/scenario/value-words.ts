/**
 * What may stand for a key, in a few words: "duration", "whole number ≥ 1", "`f16`, `int8`, `int4`".
 *
 * In: a JSON Schema. Out: Markdown for a cell of a table. Units are known by their patterns (units.ts), so that a duration is called
 * one wherever it stands.
 */
import { DURATION_PATTERN, PERCENT_PATTERN, RATE_PATTERN, SIZE_PATTERN } from './units.ts';

export interface JsonSchema {
  $ref?: string;
  type?: string;
  description?: string;
  enum?: readonly string[];
  const?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  properties?: Record<string, JsonSchema>;
  required?: readonly string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  definitions?: Record<string, JsonSchema>;
  examples?: readonly unknown[];
}

const UNITS = [
  ['duration', DURATION_PATTERN],
  ['rate', RATE_PATTERN],
  ['size', SIZE_PATTERN],
  ['percentage', PERCENT_PATTERN],
] as const;

/** The largest whole number that JSON Schema is given for "any": says nothing to a reader. */
const ANY = Number.MAX_SAFE_INTEGER;

/** @param linkTo a link to where a definition, named here, is described */
export function valueWords(schema: JsonSchema, linkTo: (definition: string) => string): string {
  const words = (inner: JsonSchema) => valueWords(inner, linkTo);
  const unit = unitOf(schema);
  if (unit !== null) return unit;
  if (schema.allOf?.length === 1) return words(schema.allOf[0]!);
  if (schema.$ref !== undefined) return linkTo(schema.$ref.split('/').at(-1) ?? '');
  if (schema.anyOf !== undefined) return anyOfWords(schema.anyOf, words);
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  return plainWords(schema, words);
}

/** A value, or a list of such, is called by the value: whether a list is swept stands beside it. */
function anyOfWords(forms: readonly JsonSchema[], words: (schema: JsonSchema) => string): string {
  const [first, second] = forms;
  const isList = forms.length === 2 && JSON.stringify(second?.items) === JSON.stringify(first);
  return isList && first !== undefined ? words(first) : either([...new Set(forms.map(words))]);
}

function plainWords(schema: JsonSchema, words: (schema: JsonSchema) => string): string {
  switch (schema.type) {
    case 'integer':
    case 'number':
      return numberWords(schema);
    case 'boolean':
      return '`true` or `false`';
    case 'array':
      return `list of ${schema.items === undefined ? 'anything' : words(schema.items)}`;
    case 'object': {
      if (schema.properties !== undefined) return `{${Object.keys(schema.properties).join(', ')}}`;
      const { additionalProperties: of } = schema;
      const known = typeof of === 'object' && Object.keys(of).length > 0;
      return `{name: ${known ? words(of) : 'anything'}, ..}`;
    }
    default:
      return schema.examples === undefined ? 'text' : `text such as \`${String(schema.examples[0])}\``;
  }
}

function numberWords({ type, minimum, maximum = ANY, exclusiveMinimum }: JsonSchema): string {
  const what = type === 'integer' ? 'whole number' : 'number';
  const most = maximum === ANY ? '' : `, at most ${maximum}`;
  if (exclusiveMinimum !== undefined) return `${what} > ${exclusiveMinimum}${most}`;
  if (minimum === undefined || minimum === -ANY) return `${what}${most}`;
  return maximum === ANY ? `${what} ≥ ${minimum}` : `${what} from ${minimum} to ${maximum}`;
}

/** zod puts two patterns on one text into `allOf`: a duration, and one above 0. */
function unitOf({ pattern, allOf = [] }: JsonSchema): string | null {
  const patterns = [pattern, ...allOf.map((part) => part.pattern)];
  const found = UNITS.find(([, { source }]) => patterns.includes(source));
  return found === undefined ? null : found[0];
}

const either = (parts: readonly string[]): string =>
  parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} or ${parts.at(-1)}`;
