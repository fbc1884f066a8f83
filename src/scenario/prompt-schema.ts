/**
 * What may stand under `prompt` in a scenario, and the token counts that other keys have too: one part of the format
 * (schema.ts). Rules between its keys and others are in load-rules.ts.
 */
import { z } from 'zod';
import { axis, positive, text, whole } from './schema-values.ts';

export const LENGTHS_EXPECTED = 'a number of tokens, {mean, stddev, min, max} or {uniform: {min, max}}';
export const lengths = z
  .union(
    [
      whole(1).describe('The same for every request.'),
      z
        .strictObject({
          mean: positive.describe('Mean of a normal distribution, in tokens.'),
          stddev: z
            .number('a number, 0 or more')
            .min(0, 'a number, 0 or more')
            .optional()
            .describe('Standard deviation in tokens. Default 0.'),
          min: whole(1).optional().describe('Draws below it become it. Default 1.'),
          max: whole(1).optional().describe('Draws above it become it. Default: mean + 4 stddev.'),
        })
        .describe('Drawn for each request from a normal distribution, rounded and clamped.'),
      z
        .strictObject({
          uniform: z
            .strictObject({ min: whole(1).describe('Fewest tokens.'), max: whole(1).describe('Most tokens.') })
            .describe('Every whole number from min to max is equally likely.'),
        })
        .describe('Drawn for each request, uniformly.'),
    ],
    { error: LENGTHS_EXPECTED },
  )
  .meta({
    id: 'lengths',
    description: 'Tokens of a prompt or of an answer.',
    examples: [200, { mean: 200, stddev: 40, min: 16, max: 512 }, { uniform: { min: 48, max: 80 } }],
  });

const REUSE_DESCRIPTION = 'true: the same prompts in every run, so that a prefix cache may answer. Default false.';
const reuse = z.boolean('true or false').optional();

const sharedPrefix = z.strictObject(
  {
    tokens: whole(1).describe("Of each prompt's tokens, so many from the first on are the same text."),
    groups: whole(1).optional().describe('So many different prefixes; each request draws one of them. Default 1.'),
    per_adapter: z
      .boolean('true or false')
      .optional()
      .describe('true: each adapter, and the base model, has its own prefixes. Default false.'),
  },
  '{tokens: 100}',
);

export const prompt = z
  .union(
    [
      z
        .strictObject({
          tokens: axis(lengths, LENGTHS_EXPECTED).describe('Axis. Tokens of the prompt, without the chat template.'),
          shared_prefix: sharedPrefix
            .optional()
            .describe(
              'Prompts that begin alike, as those with a system prompt do. Default: they differ from the first token on.',
            ),
          reuse: reuse.describe(REUSE_DESCRIPTION),
        })
        .meta({
          description: 'Texts made to length.',
          examples: [
            { tokens: [200, 2000], reuse: false },
            {
              tokens: { uniform: { min: 300, max: 700 } },
              shared_prefix: { tokens: 256, groups: 4, per_adapter: true },
            },
          ],
        }),
      z
        .strictObject({
          dataset: text('a file name').describe(
            'Prompts from a file (beside the scenario, else in the working folder): JSON lines {prompt: ..}, {text: ..} or {messages: ..}, or ShareGPT conversations.',
          ),
          reuse: reuse.describe(
            'true: the texts as they are, so that a prefix cache may answer. Default false: 8 tokens that differ in every run are put before each.',
          ),
        })
        .meta({ description: 'Texts from a file.', examples: [{ dataset: 'questions.jsonl', reuse: true }] }),
      z
        .strictObject({
          trace: text('a file name').describe(
            'Lengths, shared prefixes and times from a trace (beside the scenario, else in the working folder): JSON lines {timestamp, input_length, output_length, hash_ids}, as Mooncake has them. Texts are made.',
          ),
          reuse: reuse.describe(REUSE_DESCRIPTION),
        })
        .meta({
          description: 'Texts made as long, and as alike, as those of a trace.',
          examples: [{ trace: 'traces/assistants.jsonl', reuse: false }],
        }),
    ],
    { error: '{tokens: 200}, {dataset: FILE} or {trace: FILE}' },
  )
  .meta({ id: 'prompt' });
