/**
 * Which of a request's fields a server says it does not take. In: the body of a 400 or 422. Out: their names.
 *
 * Only a plain refusal of a field counts. "max_tokens is too large", or a validator that echoes the whole request, names
 * fields too: were those taken for refusals, the client would ask for less than the scenario states.
 *
 * Wordings read: OpenAI ("Unknown parameter: 'x'.", "Unsupported value: 'x' does not support ..", "Unrecognized request
 * argument supplied: x"), pydantic's lists with `loc` (FastAPI's 422, Mistral; TensorRT-LLM and vLLM until 0.6 print them
 * into a text), Fireworks ("Extra inputs are not permitted, field: 'x'"), Groq ("property 'x' is unsupported, did you
 * mean 'y'?"), serde ("unknown field `x`, expected one of .."), LiteLLM ("does not support parameters: ['x']").
 */
import { type Fields, fieldsOf, textOf } from './dialects/dialect.ts';

/** Fields that a request can do without, or that go by another name. */
export const OPTIONAL_FIELDS = [
  'continuous_usage_stats',
  'stream_options',
  'min_tokens',
  'ignore_eos',
  'seed',
  'temperature',
  /** OpenAI's newer models take max_completion_tokens in its place. */
  'max_tokens',
] as const;
export type OptionalField = (typeof OPTIONAL_FIELDS)[number];

const REFUSAL =
  /unknown|unrecogni[sz]ed|unexpected|unsupported|not support|not permitted|not allowed|not accepted|extra_forbidden|extra (inputs|fields)|additional propert/i;
/** What a server would take instead: names in there are not refused. */
const ADVICE =
  /did you mean[^.;]*|\buse [^.;]*?instead|expected (one|any) of[^\n]*|\b(valid|supported|allowed|accepted) (parameters|fields|values|arguments)[^\n]*/gi;
/** pydantic's name for a field that a model does not have, in its versions 2 and 1. */
const NO_SUCH_FIELD = /^(extra_forbidden|value_error\.extra)$/;
/** The start of one problem as Python prints it; the input it echoes comes after. */
const PRINTED_PROBLEM = /'type': '([^']+)', 'loc': \(([^)]*)\)/g;

/** @param body parsed from JSON; the text itself where it is none */
export function refusedFields(body: unknown): OptionalField[] {
  const text = messageOf(body);
  const printed = [...text.matchAll(PRINTED_PROBLEM)];
  const problems = problemsIn(body);
  // A validator's problems are read where they are told, and nowhere in what it echoes.
  const refusals =
    printed.length > 0 || problems.length > 0
      ? [
          ...printed.filter(([, type]) => NO_SUCH_FIELD.test(type!)).map(([, , loc]) => loc!),
          ...problems.filter(({ type }) => NO_SUCH_FIELD.test(type)).map(({ loc }) => loc),
        ]
      : [...sentencesOf(text), ...refusedParameter(body)];
  const named = fieldsNamedIn(refusals.join('\n'));
  // Nothing else caps an answer: max_tokens goes only where the server names what to ask for in its place.
  return named.filter((field) => field !== 'max_tokens' || text.includes('max_completion_tokens'));
}

const sentencesOf = (text: string): string[] =>
  text
    .replace(ADVICE, '')
    .split(/[.;]\s|\n/)
    .filter((sentence) => REFUSAL.test(sentence));

/** OpenAI's `param`, where its `code` says that it is not taken at all. */
function refusedParameter(body: unknown): string[] {
  const { code, param } = fieldsOf(fieldsOf(body)['error']);
  return /^(unknown|unsupported|unrecognized)_/.test(textOf(code)) ? [textOf(param)] : [];
}

function messageOf(body: unknown): string {
  const { error, message, detail } = fieldsOf(body);
  return textOf(body) || textOf(fieldsOf(error)['message']) || textOf(error) || textOf(message) || textOf(detail);
}

interface Problem {
  type: string;
  loc: string;
}

/** pydantic's list of problems, wherever in the body a server puts it. */
function problemsIn(value: unknown, depth = 0): Problem[] {
  if (depth > 4) return [];
  if (Array.isArray(value)) return value.flatMap((one) => problemsIn(one, depth + 1));
  const fields: Fields = fieldsOf(value);
  const { type, loc } = fields;
  if (Array.isArray(loc))
    return [{ type: textOf(type), loc: loc.filter((part) => typeof part === 'string').join('.') }];
  return Object.values(fields).flatMap((one) => problemsIn(one, depth + 1));
}

function fieldsNamedIn(text: string): OptionalField[] {
  const names = new Set(text.match(/[\w-]+/g) ?? []);
  if (names.has('include_usage')) names.add('stream_options');
  // Named with the option, or as its place: the option goes first, and the rest only if that was not all.
  if (names.has('continuous_usage_stats')) names.delete('stream_options');
  return OPTIONAL_FIELDS.filter((field) => names.has(field));
}
