/**
 * The scenario format, once: this zod schema gives the parser, the types and scenarios/scenario.schema.json.
 *
 * It holds the whole format, also keys that this version refuses (supported.ts), so that they are known by name. Rules
 * between keys are in rules.ts, defaults in defaults.ts: here every key says only what may stand behind it. `error`
 * texts complete the sentence "expected ..."; descriptions are what an editor shows, and scenarios/README.md is made of them
 * (reference.ts): "Axis." first where a list is swept, "Default .." as a sentence of its own; examples stand with the ids that
 * name definitions of the JSON Schema.
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
        .describe('Device to run on. Default auto: a GPU if there is one, else the best software device.'),
      seed: whole(0).optional().describe('Seed of the random weights. Default 1.'),
      max_model_len: whole(2)
        .optional()
        .describe('Most tokens of prompt and output together. Default: as many as the scenario needs.'),
      max_num_seqs: whole(1)
        .optional()
        .describe(
          'Most requests run at once. Default: as many as the scenario has in flight; in an open loop 256, or 32 on a software device.',
        ),
      max_num_batched_tokens: whole(1)
        .optional()
        .describe(
          'Most tokens (rows) of one step. Default 2048, or 256 on a software device; no fewer than max_num_seqs.',
        ),
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
      gpu_memory: size
        .optional()
        .describe(
          "Device memory the engine may take, such as 24GB. Default: no bound is known, since WebGPU does not tell a card's size.",
        ),
      batch_invariant: z
        .boolean('true or false')
        .optional()
        .describe("One request's output never depends, to the bit, on what else is in the batch. Default false."),
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
  .meta({
    id: 'engine',
    examples: [
      {
        device: 'gpu',
        seed: 1,
        max_model_len: 4096,
        max_num_seqs: 64,
        max_num_batched_tokens: 2048,
        max_gpu_loras: 32,
        max_cpu_loras: 64,
        max_lora_rank: 64,
        gpu_memory: '24GB',
        batch_invariant: false,
        kernels: 'auto',
        profile: false,
      },
    ],
  });

const output = z
  .strictObject(
    {
      tokens: axis(lengths, LENGTHS_EXPECTED)
        .optional()
        .describe(
          "Axis. Tokens of the answer. Default: as long as the prompts' file says; required where there is none.",
        ),
      control: axis(oneOf(['exact', 'cap']), 'exact or cap')
        .optional()
        .describe(
          'Axis. exact: min_tokens = max_tokens, ignore_eos, and checked; cap: max_tokens only. Default exact.',
        ),
    },
    '{tokens: 200}',
  )
  .meta({ id: 'output', examples: [{ tokens: [64, 256], control: 'exact' }] });

const workload = z
  .array(
    z.strictObject({
      prompt: lengths.describe('Prompt tokens of this pair.'),
      output: lengths.describe('Output tokens of this pair.'),
    }),
    'a list of {prompt: tokens, output: tokens}',
  )
  .min(1, 'a list with at least one pair')
  .meta({
    id: 'workload',
    examples: [
      [
        { prompt: 200, output: 1000 },
        { prompt: 2000, output: { mean: 100, stddev: 20 } },
      ],
    ],
  });

const ARRIVALS_EXPECTED = 'poisson, constant or gamma(k), such as gamma(0.5)';
const load = z
  .union(
    [
      z
        .strictObject({
          concurrency: axis(whole(1), 'a number of requests').describe('Axis. Requests kept in flight.'),
        })
        .meta({
          description: 'Closed loop: a new request starts when one ends.',
          examples: [{ concurrency: [1, 8, 32] }],
        }),
      z
        .strictObject({
          rate: axis(rate, RATE_EXPECTED).describe('Axis. Requests started per unit of time, such as 4/s.'),
          arrivals: z
            .string(ARRIVALS_EXPECTED)
            .regex(/^(poisson|constant|gamma\(\d+(\.\d+)?\))$/, ARRIVALS_EXPECTED)
            .optional()
            .describe(
              'How starts are spaced: poisson, constant, or gamma(k): gaps of a gamma distribution of shape k, burstier than poisson below 1, more even above. Default poisson.',
            ),
        })
        .meta({
          description: 'Open loop: requests start at their time whatever the server does.',
          examples: [{ rate: ['4/s', '8/s'], arrivals: 'poisson' }],
        }),
      z
        .strictObject({
          trace: z
            .strictObject({ speed: positive.describe('1 replays in real time; 2 in half of it.') }, '{speed: 1}')
            .describe('Requests start when those of prompt.trace did.'),
        })
        .meta({ description: 'Open loop: the arrival times of a trace.', examples: [{ trace: { speed: 1 } }] }),
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
        .describe(
          'Put into every request body as it stands; what the load itself says (model, prompt, max_tokens, stream, ..) is refused. Default {}: nothing.',
        ),
      timeout: limit.optional().describe('A request that takes longer is cancelled and counts as failed. Default 10m.'),
    },
    '{temperature: 0, ..}',
  )
  .meta({ id: 'request', examples: [{ temperature: 0.7, extra_body: { top_p: 0.9 }, timeout: '2m' }] });

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
        .describe('What runs before anything counts: requests of 8 tokens in and 2 out. Default {per_adapter: 1}.'),
      drain: duration.optional().describe('How long an open loop waits for what is in flight at its end. Default 30s.'),
      repeats: whole(1).optional().describe('Runs of each cell. Default 1.'),
      seed: whole(0).optional().describe('Fixes lengths, arrivals and adapter choice. Default 1.'),
    },
    '{requests: .., ..}',
  )
  .meta({
    id: 'measure',
    examples: [
      {
        requests: { per_concurrency: 10, at_least: 50 },
        warmup: { per_adapter: 1 },
        drain: '30s',
        repeats: 3,
        seed: 1,
      },
    ],
  });

const slo = z
  .strictObject(
    {
      ttft: limit.optional().describe('Time to first token. Default: no limit.'),
      itl: limit.optional().describe("Time between tokens, judged on each request's mean (TPOT). Default: no limit."),
      e2e: limit.optional().describe('Time to the last token. Default: no limit.'),
    },
    '{ttft: 500ms, itl: 50ms}',
  )
  .meta({ id: 'slo', examples: [{ ttft: '500ms', itl: '50ms', e2e: '10s' }] });

const LOAD_DESCRIPTION = 'How busy the server is kept.';

/** Keys that without_gpu may hold: what shapes the load, not what the scenario is called or aimed at. */
const loadShape = {
  engine: engine
    .optional()
    .describe('Flags of `bench serve`, when the target is the engine. Default: what the scenario needs.'),
  models: axis(text('a model name'), 'a model name')
    .optional()
    .describe(
      'Axis. Presets such as llama-3-8b, stand-ins such as llama-3-8b@1/8, Hugging Face folders such as ./my-model (beside the scenario, else in the working folder), or names an endpoint serves. Default: the only model of the endpoint; the engine must be told.',
    ),
  weights: axis(oneOf(['f16', 'int8', 'int4']), 'f16, int8, int4')
    .optional()
    .describe('Axis. Format of the weights, of the engine only. Default f16.'),
  adapters: adapters.optional().describe('LoRA adapters. Default none: the base model alone.'),
  prompt: prompt.optional().describe('What is sent. Default: none; required, but for `workload`.'),
  output: output
    .optional()
    .describe("What is asked for. Default: none; required, but for `workload` and a prompts' file with lengths."),
  workload: workload
    .optional()
    .describe('Axis. Pairs of prompt and output tokens, instead of prompt and output. Default: none.'),
  load: load.optional().describe(LOAD_DESCRIPTION),
  request: request.optional().describe('What every request carries. Default: as its keys say.'),
  measure: measure.optional().describe('How long, how often, from which seed. Default: as its keys say.'),
  slo: slo.optional().describe('What a good request keeps to; makes goodput. Default: none.'),
};

export const scenarioSchema = z.strictObject(
  {
    name: z
      .string('a name')
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a name of letters, digits, dots, dashes and underscores')
      .describe('Names the folder of the results.'),
    description: text().optional().describe('What the scenario answers, in one sentence. Default: none.'),
    target: target.optional().describe('The server measured. Default engine.'),
    ...loadShape,
    load: load.describe(LOAD_DESCRIPTION),
    gate: gate.optional().describe('When a build fails (`bench gate`). Default: none.'),
    without_gpu: z
      .strictObject(loadShape, '{models: .., ..}')
      .optional()
      .describe(
        'Merged over the rest when the engine finds only a software device. Default: none; on a software device that nobody asked for by name, `bench` then says what it would take and exits 2.',
      ),
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
