/**
 * The `gate` block of the scenario format, as a zod schema: what must hold, and how sure a verdict has to be. `schema.ts`
 * composes it into the rest. What a threshold's text means is the gate's to say (gate/threshold.ts), which knows metrics.
 */
import { z } from 'zod';
import { oneOf, rate, text, whole } from './schema-values.ts';
import { PERCENT_EXPECTED, PERCENT_PATTERN, RATE_EXPECTED } from './units.ts';

/** With fewer, the sign-flip test can't tell at a third of 5% whatever the figures are: 2^-5 is 3%. */
export const LEAST_PAIRS = 6;
const MOST_LOOKS = 10;

const THRESHOLD_EXPECTED = 'text such as "ttft.p99 < 400ms", or a mapping such as {metric: tpot.p50, max_increase: 5%}';
const METRIC_EXPECTED = 'a metric, such as ttft.p99 or output_tokens_per_second';

const percent = z
  .string(PERCENT_EXPECTED)
  .regex(PERCENT_PATTERN, PERCENT_EXPECTED)
  .regex(/[1-9]/, 'a percentage above 0');

/** One value of a coordinate, or several. */
const any = <T extends z.ZodType>(value: T, expected: string) =>
  z.union([value, z.array(value, `${expected}, or a list of such`).min(1, 'a list with at least one entry')], {
    error: `${expected}, or a list of such`,
  });
const label = any(text(), 'text');
const numberOrLabel = any(z.union([z.number(), text()], { error: 'a number or a label' }), 'a number or a label');

const at = z
  .strictObject(
    {
      model: label.optional().describe('Name of a model; a stand-in is meant by that of its model, too.'),
      weights: label.optional().describe('Format of the weights.'),
      rank: numberOrLabel.optional().describe('Rank as declared, or a label such as mix(8:1,64:1).'),
      adapters: any(whole(0), 'a number of adapters')
        .optional()
        .describe('Adapters that are live; 0 is the base model alone.'),
      popularity: label.optional().describe('Such as uniform or zipf(1.5).'),
      base_share: any(z.number('a share'), 'a share').optional().describe('Share of requests that name no adapter.'),
      kind: label.optional().describe('Kind of adapter.'),
      mode: label.optional().describe('dynamic or merged.'),
      residency: label.optional().describe('warm, cold_host or cold_disk.'),
      modules: label.optional().describe('all, or such as q,v.'),
      control: label.optional().describe('exact or cap.'),
      prompt_tokens: numberOrLabel.optional().describe('Tokens of a prompt, or a label such as normal(200,20).'),
      output_tokens: numberOrLabel.optional().describe('Tokens of an answer, or a label.'),
      concurrency: any(whole(1), 'a number of requests').optional().describe('Requests in flight.'),
      rate: any(rate, RATE_EXPECTED).optional().describe('Requests started per unit of time.'),
    },
    '{adapters: 32, ..}',
  )
  .meta({
    id: 'at',
    description: 'Coordinates of cells. What is not named may be anything; of a list, any.',
    examples: [{ adapters: 32, concurrency: [4, 8] }],
  });

const common = {
  metric: z
    .string(METRIC_EXPECTED)
    .regex(/^[a-z][a-z0-9_]*(\.[a-z0-9]+)?$/, METRIC_EXPECTED)
    .describe(
      'A metric, with .mean, .p50, .p90, .p95, .p99 or .p999 if it is a distribution; or an exact counter of the engine.',
    ),
  at: at
    .optional()
    .describe('Cells it is of, by their coordinates, such as {adapters: 32, concurrency: [4, 8]}. Default: all.'),
  severity: oneOf(['fail', 'report']).optional().describe('report: shown, but never fails. Default fail.'),
};

const limit = text('a value with its unit, such as 400ms');
const threshold = z
  .union(
    [
      z
        .string(THRESHOLD_EXPECTED)
        .regex(/^\s*[\w.]+\s*[<>]=?\s*\S+\s*$/, THRESHOLD_EXPECTED)
        .describe('A limit: metric, <, <=, > or >=, value with its unit.'),
      z
        .strictObject({ ...common, max_increase: percent.describe('So much more than the reference, at most.') })
        .describe('Not higher than the reference by more than this.'),
      z
        .strictObject({ ...common, max_decrease: percent.describe('So much less than the reference, at most.') })
        .describe('Not lower than the reference by more than this.'),
      z
        .strictObject({ ...common, below: limit.describe('As "metric < value".') })
        .describe('A limit that it stays below.'),
      z
        .strictObject({ ...common, above: limit.describe('As "metric > value".') })
        .describe('A limit that it stays above.'),
      z
        .strictObject({ ...common, exact: z.literal(true, 'true').describe('The same number as the reference has.') })
        .describe('A counter that does not vary, such as dispatches_per_step.'),
    ],
    { error: THRESHOLD_EXPECTED },
  )
  .meta({
    id: 'threshold',
    description: 'One thing that must hold.',
    examples: [
      'ttft.p99 < 400ms',
      { metric: 'tpot.p50', max_increase: '5%', at: { adapters: [8, 32] } },
      { metric: 'output_tokens_per_second', max_decrease: '3%', severity: 'report' },
      { metric: 'e2e.p99', below: '10s' },
      { metric: 'goodput_fraction', above: '0.99' },
      { metric: 'dispatches_per_step', exact: true },
    ],
  });

export const gate = z
  .strictObject(
    {
      thresholds: z
        .array(threshold, 'a list of thresholds')
        .min(1, 'a list with at least one threshold')
        .describe(
          'What must hold. That the candidate itself does not fail where the reference does not is always added.',
        ),
      on_inconclusive: oneOf(['fail', 'warn'])
        .optional()
        .describe(
          'What it means if the last look cannot tell: fail is exit 3, warn is 0 with a warning. Default fail.',
        ),
      alpha: z
        .number('a number above 0, at most 0.2')
        .positive('a number above 0, at most 0.2')
        .max(0.2, 'a number above 0, at most 0.2')
        .optional()
        .describe(
          'How probable a failure of an unchanged candidate may be, over all thresholds and looks. Default 0.05.',
        ),
      looks: z
        .array(whole(LEAST_PAIRS), `pairs of runs, such as [6, 12, 20], each at least ${LEAST_PAIRS}`)
        .min(1, 'a list with at least one entry')
        .max(MOST_LOOKS, `at most ${MOST_LOOKS} looks`)
        .optional()
        .describe('After how many pairs of runs is judged; ends early once all is decided. Default [6, 12, 20].'),
    },
    '{thresholds: [..]}',
  )
  .meta({
    id: 'gate',
    examples: [
      {
        thresholds: ['ttft.p99 < 400ms', { metric: 'tpot.p50', max_increase: '5%' }],
        on_inconclusive: 'fail',
        alpha: 0.05,
        looks: [6, 12, 20],
      },
    ],
  });
