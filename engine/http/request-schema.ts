/**
 * What bodies of /v1/completions and /v1/chat/completions may hold, as zod schemas.
 *
 * A JSON body in, a typed one out, or an ApiError that names the parameter. What this engine does not do is refused
 * rather than ignored: a benchmark that asked for it would otherwise measure something else. Values that ask for nothing
 * (n: 1, logprobs: false, tools: []) are accepted, since clients send them.
 * Names follow OpenAI's API reference; min_tokens, ignore_eos, top_k, add_special_tokens and continuous_usage_stats
 * follow vLLM's extensions of it.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { CHAT_ROLES } from '../models/chat-template.ts';
import { invalid } from './api-error.ts';

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

const sampling = {
  model: z.string().min(1),
  max_tokens: count(1),
  min_tokens: count(0),
  ignore_eos: flag,
  stop: z
    .union([stopText, z.array(stopText).max(4)], {
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

const ids = z.array(z.int().min(0));

const completionSchema = z.strictObject({
  ...sampling,
  prompt: z.union([z.string(), ids, z.array(z.string()), z.array(ids)], {
    error: 'expected a string or a list of token ids',
  }),
  add_special_tokens: flag,
  suffix: only(''),
  echo: only(false),
  logprobs: only(),
});

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });

const chatSchema = z.strictObject({
  ...sampling,
  messages: z
    .array(
      z.strictObject({
        role: z.enum(CHAT_ROLES),
        content: z.union([z.string(), z.array(textPart)], {
          error: 'expected a string or a list of {type: "text", text}',
        }),
        name: only(),
        tool_calls: only([]),
        refusal: only(),
      }),
    )
    .min(1),
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

export const parseCompletionBody = (body: unknown): CompletionBody => checked(completionSchema, body);
export const parseChatBody = (body: unknown): ChatBody => checked(chatSchema, body);
export const parseTokenizeBody = (body: unknown): TokenizeBody => checked(tokenizeSchema, body);

function checked<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const param = [...issue.path, issue.keys[0]].join('.');
    throw invalid(`Unrecognized request argument supplied: ${param}.`, param, 'unknown_parameter');
  }
  const param = issue.path.join('.');
  if (param === '') throw invalid('The body must be a JSON object.', null);
  throw invalid(`'${param}': ${issue.message}.`, param);
}
