/**
 * What bodies of /v1/completions and /v1/chat/completions may hold, as zod schemas.
 *
 * A JSON body in, a typed one out, or an ApiError that names the parameter. What this engine does not do is refused
 * rather than ignored: a benchmark that asked for it would otherwise measure something else. Values that ask for nothing
 * (n: 1, logprobs: false, tools: []) are accepted, since clients send them.
 * A list is looked at up to its first wrong element: zod's own makes an issue for each, a second of the main thread for
 * a long list that is wrong throughout.
 * Names follow OpenAI's API reference; min_tokens, ignore_eos, top_k, add_special_tokens and continuous_usage_stats
 * follow vLLM's extensions of it; hold_order is ours (EXTENSIONS.md).
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { CHAT_ROLES } from '../models/chat-template.ts';
import { tooLong } from './api-error.ts';
import { checkedBody } from './checked-body.ts';

/** Longest accepted stop string; every token is compared with every prefix of it. */
const MAX_STOP_CHARACTERS = 1000;

/** A parameter that is accepted only where it asks for nothing. */
const only = (...accepted: unknown[]) =>
  z
    .custom<unknown>((value) => accepted.some((a) => isDeepStrictEqual(a, value)), {
      error: `not supported by this server; leave it out${accepted.length > 0 ? ` or send ${accepted.map((a) => JSON.stringify(a)).join(' or ')}` : ''}`,
    })
    .nullish();

const count = (least: number) => z.int().min(least).nullish();
const flag = z.boolean().nullish();
const stopText = z.string().min(1).max(MAX_STOP_CHARACTERS);

/** A list, each element as zod checks it, up to the first that is wrong. */
const listOf = <T>(element: z.ZodType<T>, most = Number.POSITIVE_INFINITY) =>
  z
    .custom<unknown[]>((value) => Array.isArray(value) && value.length <= most, { error: 'expected a list' })
    .transform((list, context): T[] => {
      const checked: T[] = [];
      for (const one of list) {
        const result = element.safeParse(one);
        if (!result.success) {
          const issue = result.error.issues[0]!;
          context.issues.push({ ...issue, input: one, path: [checked.length, ...issue.path] } as z.core.$ZodRawIssue);
          return z.NEVER;
        }
        checked.push(result.data);
      }
      return checked;
    });

const sampling = {
  model: z.string().min(1),
  max_tokens: count(1),
  min_tokens: count(0),
  ignore_eos: flag,
  stop: z
    .union([stopText, listOf(stopText, 4)], {
      error: 'expected a string or a list of at most 4 strings, none of them empty',
    })
    .nullish(),
  temperature: z.number().min(0).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  /** -1 and 0 keep all. */
  top_k: z.int().min(-1).nullish(),
  seed: z.int().nullish(),
  stream: flag,
  stream_options: z.strictObject({ include_usage: flag, continuous_usage_stats: flag }).nullish(),
  user: z.string().nullish(),
  hold_order: count(0),
  n: only(1),
  best_of: only(1),
  presence_penalty: only(0),
  frequency_penalty: only(0),
  repetition_penalty: only(1),
  length_penalty: only(1),
  min_p: only(0),
  logit_bias: only({}),
  use_beam_search: only(false),
  stop_token_ids: only([]),
  include_stop_str_in_output: only(false),
  skip_special_tokens: only(true),
  spaces_between_special_tokens: only(true),
  prompt_logprobs: only(),
  truncate_prompt_tokens: only(),
  response_format: only({ type: 'text' }),
  metadata: only({}),
  store: only(false),
  service_tier: only('auto', 'default'),
};

/**
 * Text or token ids. OpenAI allows a list of prompts in one request; a list of one is that one, more are refused.
 * A loop and not a schema of the elements: 130,000 ids take zod 80 ms, this 1 ms.
 */
const prompt = z.unknown().transform((value, context): string | number[] => {
  const refuse = (message: string, ...path: number[]): never => {
    context.addIssue({ code: 'custom', message, path });
    return z.NEVER;
  };
  const isPrompt = (one: unknown): one is string | unknown[] => typeof one === 'string' || Array.isArray(one);
  if (!isPrompt(value)) return refuse('expected a string or a list of token ids');
  const isList = Array.isArray(value) && isPrompt(value[0]);
  if (isList && value.length > 1) {
    return refuse(`${value.length} prompts in one request are not supported; send a request for each`);
  }
  const one = isList ? (value[0] as string | unknown[]) : value;
  if (typeof one === 'string') return one;
  const wrong = one.findIndex((id) => !Number.isSafeInteger(id) || (id as number) < 0);
  if (wrong < 0) return one as number[];
  return refuse('expected a token id, a whole number from 0', ...(isList ? [0] : []), wrong);
});

const completionSchema = z.strictObject({
  ...sampling,
  prompt,
  add_special_tokens: flag,
  suffix: only(''),
  echo: only(false),
  logprobs: only(),
});

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });

const message = z.strictObject({
  role: z.enum(CHAT_ROLES),
  content: z.union([z.string(), listOf(textPart)], {
    error: 'expected a string or a list of {type: "text", text}',
  }),
  name: only(),
  tool_calls: only([]),
  refusal: only(),
});

const chatSchema = z.strictObject({
  ...sampling,
  messages: listOf(message).refine((messages) => messages.length > 0, { error: 'expected at least one message' }),
  max_completion_tokens: count(1),
  logprobs: only(false),
  top_logprobs: only(0),
  tools: only([]),
  tool_choice: only('none', 'auto'),
  parallel_tool_calls: only(true, false),
  functions: only([]),
  function_call: only('none', 'auto'),
  modalities: only(['text']),
  audio: only(),
  prediction: only(),
  reasoning_effort: only(),
  add_generation_prompt: only(true),
});

const tokenizeSchema = z
  .strictObject({
    model: z.string().nullish(),
    prompt: z.string().optional(),
    messages: chatSchema.shape.messages.optional(),
    add_special_tokens: flag,
  })
  .refine((body) => (body.prompt === undefined) !== (body.messages === undefined), {
    error: 'expected exactly one of prompt and messages',
    path: ['prompt'],
  });

export type CompletionBody = z.infer<typeof completionSchema>;
export type ChatBody = z.infer<typeof chatSchema>;
export type TokenizeBody = z.infer<typeof tokenizeSchema>;

const lengthOf = (list: unknown): number => (Array.isArray(list) ? list.length : 0);

/** @param maxModelLen more ids than this are refused by their number alone */
export function parseCompletionBody(body: unknown, maxModelLen: number): CompletionBody {
  const asked = (Object(body) as { prompt?: unknown }).prompt;
  const list = Array.isArray(asked) && asked.length === 1 ? asked[0] : asked;
  if (typeof Object(list)[0] === 'number' && lengthOf(list) > maxModelLen) {
    throw tooLong(`${lengthOf(list)}`, maxModelLen);
  }
  return checkedBody(completionSchema, body);
}

/**
 * @param maxModelLen more messages than fit are refused by their number alone
 * @param leastMessageTokens tokens that any message takes at least
 */
export function parseChatBody(body: unknown, maxModelLen: number, leastMessageTokens: number): ChatBody {
  const least = leastMessageTokens * lengthOf((Object(body) as { messages?: unknown }).messages);
  if (least > maxModelLen) throw tooLong(`at least ${least}`, maxModelLen);
  return checkedBody(chatSchema, body);
}

export const parseTokenizeBody = (body: unknown): TokenizeBody => checkedBody(tokenizeSchema, body);
