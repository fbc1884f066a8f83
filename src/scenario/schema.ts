/**
 * The scenario format, once: this zod schema gives the parser, the types and scenarios/scenario.schema.json.
 *
 * It holds the whole format, also keys that this version refuses (supported.ts), so that they are known by name. Rules
 * between keys are in rules.ts, defaults in defaults.ts: here every key says only what may stand behind it. `error`
 * texts complete the sentence "expected ..."; descriptions are what an editor shows; ids name definitions of the JSON Schema.
 */
import { z } from 'zod';
import { adapters } from './adapters-schema.ts';
import { gate } from './gate-schema.ts';
import { LENGTHS_EXPECTED, lengths, prompt } from './prompt-schema.ts';
import { axis, duration, limit, oneOf, positive, rate, size, text, whole } from './schema-values.ts';
import { target } from './target-schema.ts';
import { RATE_EXPECTED } from './units.ts';

const engine = z
  .strictObject(
    {
      device: oneOf(['auto', 'gpu', 'lavapipe', 'llvmpipe', 'swiftshader'])
        .optional()
        .describe('Device to run on. Default auto: a GPU if there is one.'),
      seed: whole(0).optional().describe('Seed of the random weights.'),
      max_model_len: whole(2).optional().describe('Most tokens of prompt and output together.'),
      max_num_seqs: whole(1).optional().describe('Most requests run at once.'),
      max_num_batched_tokens: whole(1).optional().describe('Most tokens (rows) of one step.'),
      max_gpu_loras: whole(1)
        .optional()
        .describe(
          'Adapter slots on the device; with more adapters than slots they take turns. Default: as many as the scenario needs.',
        ),
      max_cpu_loras: whole(1)
        .optional()
        .describe(
          'Adapters kept in host memory, those on the device included. Default: as many as the scenario needs.',
        ),
      max_lora_rank: whole(1).optional().describe('Largest rank a slot holds. Default: what the scenario needs.'),
      gpu_memory: size.optional().describe('Device memory the engine may take, such as 24GB.'),
      batch_invariant: z
        .boolean('true or false')
        .optional()
        .describe("One request's output never depends, to the bit, on what else is in the batch."),
      kernels: text()
        .optional()
        .describe(
          'Kernels to choose from, as --kernels of `bench serve`: auto, fast, portable, or names. Default auto.',
        ),
      profile: z
        .boolean('true or false')
        .optional()
        .describe(
          'Time every kernel and show where steps spend their time; latencies are longer for it. Default false.',
        ),
    },
    '{flag: value, ..}',
  )
  .meta({ id: 'engine' });

const output = z
  .strictObject(
    {
      tokens: axis(lengths, LENGTHS_EXPECTED).optional().describe('Axis. Tokens of the answer.'),
      control: axis(oneOf(['exact', 'cap']), 'exact or cap')
        .optional()
        .describe(
          'Axis. exact: min_tokens = max_tokens, ignore_eos, and checked; cap: max_tokens only. Default exact.',
        ),
    },
    '{tokens: 200}',
  )
  .meta({ id: 'output' });

const workload = z
  .array(
    z.strictObject({
      prompt: lengths.describe('Prompt tokens of this pair.'),
      output: lengths.describe('Output tokens of this pair.'),
    }),
    'a list of {prompt: tokens, output: tokens}',
  )
  .min(1, 'a list with at least one pair')
  .meta({ id: 'workload' });

const ARRIVALS_EXPECTED = 'poisson, constant or gamma(k), such as gamma(0.5)';
const load = z
  .union(
    [
      z
        .strictObject({
          concurrency: axis(whole(1), 'a number of requests').describe('Axis. Requests kept in flight.'),
        })
        .describe('Closed loop: a new request starts when one ends.'),
      z
        .strictObject({
          rate: axis(rate, RATE_EXPECTED).describe('Axis. Requests started per unit of time, such as 4/s.'),
          arrivals: z
            .string(ARRIVALS_EXPECTED)
            .regex(/^(poisson|constant|gamma\(\d+(\.\d+)?\))$/, ARRIVALS_EXPECTED)
            .optional()
            .describe(
              'How starts are spaced: poisson (default), constant, or gamma(k): gaps of a gamma distribution of shape k, burstier than poisson below 1, more even above.',
            ),
        })
        .describe('Open loop: requests start at their time whatever the server does.'),
      z
        .strictObject({
          trace: z
            .strictObject({ speed: positive.describe('1 replays in real time; 2 in half of it.') }, '{speed: 1}')
            .describe('Requests start when those of prompt.trace did.'),
        })
        .describe('Open loop: the arrival times of a trace.'),
    ],
    { error: '{concurrency: 8}, {rate: 4/s} or {trace: {speed: 1}}' },
  )
  .meta({ id: 'load' });

const request = z
  .strictObject(
    {
      temperature: z
        .number('a number, 0 or more')
        .min(0, 'a number, 0 or more')
        .optional()
        .describe('Sampling temperature. Default 0, greedy.'),
      extra_body: z
        .record(z.string(), z.unknown(), '{key: value, ..}')
        .optional()
        .describe('Put into every request body as it stands.'),
      timeout: limit.optional().describe('A request that takes longer is cancelled and counts as failed. Default 10m.'),
    },
    '{temperature: 0, ..}',
  )
  .meta({ id: 'request' });

const REQUESTS_EXPECTED = 'a number of requests, a duration such as 30s, or {per_concurrency: 10, at_least: 50}';
const measure = z
  .strictObject(
    {
      requests: z
        .union(
          [
            whole(1),
            limit,
            z.strictObject({
              per_concurrency: whole(1).describe('Requests for each one in flight.'),
              at_least: whole(1).optional().describe('But no fewer than this. Default 1.'),
            }),
          ],
          { error: REQUESTS_EXPECTED },
        )
        .optional()
        .describe(
          'When a run stops issuing requests. Default {per_concurrency: 10, at_least: 50}; of a trace that is replayed, all.',
        ),
      warmup: z
        .strictObject(
          { per_adapter: whole(0).describe('Short requests for each adapter and the base; 0: no warm-up at all.') },
          '{per_adapter: 1}',
        )
        .optional()
        .describe('What runs before anything counts. Default {per_adapter: 1}.'),
      drain: duration.optional().describe('How long an open loop waits for what is in flight at its end. Default 30s.'),
      repeats: whole(1).optional().describe('Runs of each cell. Default 1.'),
      seed: whole(0).optional().describe('Fixes lengths, arrivals and adapter choice. Default 1.'),
    },
    '{requests: .., ..}',
  )
  .meta({ id: 'measure' });

const slo = z
  .strictObject(
    {
      ttft: limit.optional().describe('Time to first token.'),
      itl: limit.optional().describe("Time between tokens, judged on each request's mean (TPOT)."),
      e2e: limit.optional().describe('Time to the last token.'),
    },
    '{ttft: 500ms, itl: 50ms}',
  )
  .meta({ id: 'slo' });

const LOAD_DESCRIPTION = 'How busy the server is kept.';

/** Keys that without_gpu may hold: what shapes the load, not what the scenario is called or aimed at. */
const loadShape = {
  engine: engine.optional().describe('Flags of `bench serve`, when the target is the engine.'),
  models: axis(text('a model name'), 'a model name')
    .optional()
    .describe(
      'Axis. Presets such as llama-3-8b, stand-ins such as llama-3-8b@1/8, Hugging Face folders such as ./my-model (beside the scenario, else in the working folder), or names an endpoint serves.',
    ),
  weights: axis(oneOf(['f16', 'int8', 'int4']), 'f16, int8, int4')
    .optional()
    .describe('Axis. Format of the weights. Default f16.'),
  adapters: adapters.optional().describe('LoRA adapters. Default none: the base model alone.'),
  prompt: prompt.optional().describe('What is sent.'),
  output: output.optional().describe('What is asked for.'),
  workload: workload.optional().describe('Axis. Pairs of prompt and output tokens, instead of prompt and output.'),
  load: load.optional().describe(LOAD_DESCRIPTION),
  request: request.optional().describe('What every request carries.'),
  measure: measure.optional().describe('How long, how often, from which seed.'),
  slo: slo.optional().describe('What a good request keeps to; makes goodput.'),
};

export const scenarioSchema = z.strictObject(
  {
    name: z
      .string('a name')
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a name of letters, digits, dots, dashes and underscores')
      .describe('Names the folder of the results.'),
    description: text().optional().describe('What the scenario answers, in one sentence.'),
    target: target.optional().describe('The server measured. Default engine.'),
    ...loadShape,
    load: load.describe(LOAD_DESCRIPTION),
    gate: gate.optional().describe('When a build fails.'),
    without_gpu: z
      .strictObject(loadShape, '{models: .., ..}')
      .optional()
      .describe('Merged over the rest when the engine finds only a software device.'),
  },
  'a mapping with name, models, prompt, output and load',
);

/** A scenario as a file says it. */
export type ScenarioInput = z.input<typeof scenarioSchema>;
/** One value or a list of them, as the file may have either. */
export type OneOrMany<T> = T | T[];
export type LengthsInput = z.input<typeof lengths>;
/** A threshold as a file says it. */
export type ThresholdInput = NonNullable<ScenarioInput['gate']>['thresholds'][number];

/** scenarios/scenario.schema.json: draft 7, the one that editors' YAML support understands best. */
export const scenarioJsonSchema = (): Record<string, unknown> => ({
  ...z.toJSONSchema(scenarioSchema, { target: 'draft-7', io: 'input' }),
  title: 'lorabench scenario',
});
