/**
 * What may stand under `adapters` in a scenario: one part of the format (schema.ts), apart because it is the largest. Rules
 * between its keys are in adapter-rules.ts.
 */
import { z } from 'zod';
import { axis, oneOf, positive, rankKey, text, whole } from './schema-values.ts';

const POPULARITY_EXPECTED = 'uniform, round_robin, distinct, identical, zipf(s) or {adapter name: weight, ..}';
const popularity = z.union(
  [
    oneOf(['uniform', 'round_robin', 'distinct', 'identical']),
    z
      .string(POPULARITY_EXPECTED)
      .regex(/^zipf\((\d+(\.\d+)?)\)$/, POPULARITY_EXPECTED)
      .meta({ description: 'zipf(s): the k-th adapter is asked for in proportion to 1/k^s.', examples: ['zipf(1.5)'] }),
    z.record(z.string(), positive, POPULARITY_EXPECTED).describe('Adapter name to weight.'),
  ],
  { error: POPULARITY_EXPECTED },
);

type Shares = Record<string, number>;
const mixOf = (shares: z.ZodType<Shares, Shares>, what: string) =>
  z.strictObject({ mix: shares.describe(`Several in one cell: ${what} to share.`) });
const rank = z.union([whole(1), mixOf(z.record(rankKey, positive, '{rank: share, ..}'), 'rank')], {
  error: 'a rank or {mix: {8: 1, 64: 1}}',
});
const kindName = oneOf(['lora', 'dora', 'vera', 'tied']);
const kindMix = z.strictObject({
  mix: z
    .strictObject(
      {
        lora: positive.optional().describe('Share of plain LoRA. Default: none of it.'),
        dora: positive.optional().describe('Share of DoRA. Default: none of it.'),
        vera: positive.optional().describe('Share of VeRA. Default: none of it.'),
        tied: positive.optional().describe('Share of Tied-LoRA. Default: none of it.'),
      },
      '{kind: share, ..}',
    )
    .describe('Several in one cell: kind to share.'),
});
const KIND_EXPECTED = 'lora, dora, vera, tied or {mix: {..}}';
const kind = z.union([kindName, kindMix], {
  error: KIND_EXPECTED,
});
const share = z.number('a share from 0 to 1').min(0, 'a share from 0 to 1').max(1, 'a share from 0 to 1');

export const adapters = z
  .strictObject(
    {
      rank: axis(rank, 'a rank or {mix: {8: 1, 64: 1}}')
        .optional()
        .describe(
          'Axis. LoRA rank; {mix: {8: 1, 64: 1}} puts several ranks into one cell. Default: none; the engine needs it where count is above 0.',
        ),
      count: axis(whole(0), 'a number of adapters')
        .optional()
        .describe(
          "Axis. Adapters live at once; 0 is the base model alone, which the other adapter axes don't multiply. Default: none; required.",
        ),
      popularity: axis(popularity, POPULARITY_EXPECTED)
        .optional()
        .describe(
          'Axis. How requests spread over the adapters. uniform: each equally likely; round_robin: in turn; distinct: all of them in a new random order each round; identical: always the first; zipf(s): the k-th in proportion to 1/k^s; or weights by name. Default uniform.',
        ),
      base_share: axis(share, 'a share from 0 to 1')
        .optional()
        .describe('Axis. Share of requests that name no adapter, 0 to 1. Default 0.'),
      kind: axis(kind, KIND_EXPECTED)
        .optional()
        .describe('Axis. Kind of adapter; for an endpoint only what they are called here. Default lora.'),
      mode: axis(oneOf(['dynamic', 'merged']), 'dynamic or merged')
        .optional()
        .describe(
          'Axis. dynamic: applied at run time; merged: one adapter folded into the weights (engine only, count 1). Default dynamic.',
        ),
      residency: axis(oneOf(['warm', 'cold_host', 'cold_disk']), 'warm, cold_host or cold_disk')
        .optional()
        .describe(
          'Axis. Where an adapter lies when its first request asks for it: warm on the device, cold_host in host memory, cold_disk in its file (engine only). Default warm.',
        ),
      modules: z
        .union([z.literal('all', 'all'), z.array(oneOf(['q', 'k', 'v', 'o', 'gate', 'up', 'down'])).min(1)], {
          error: 'all, or a list of q, k, v, o, gate, up, down',
        })
        .optional()
        .describe(
          'Projections the adapters change (a list is no axis); for an endpoint only what is said of them. Default all.',
        ),
      names: z
        .union(
          [
            z.array(text('an adapter name')),
            z.record(rankKey, z.array(text('an adapter name')), 'a list of names, or {16: [a1, ..], 64: [..]}'),
          ],
          { error: 'a list of names, or {16: [a1, ..], 64: [..]} by rank' },
        )
        .optional()
        .describe("An endpoint's adapters: a list, or lists by rank. Default []: those the server shows."),
    },
    '{count: .., rank: .., ..}',
  )
  .meta({
    id: 'adapters',
    examples: [
      {
        rank: [16, { mix: { 8: 1, 64: 1 } }],
        count: [0, 8, 32],
        popularity: ['uniform', 'zipf(1.1)'],
        base_share: 0.1,
        kind: 'lora',
        mode: 'dynamic',
        residency: 'warm',
        modules: ['q', 'v'],
      },
      { rank: [8, 64], count: [0, 2], names: { 8: ['a1', 'a2'], 64: ['b1', 'b2'] }, popularity: 'round_robin' },
    ],
  });

export type PopularityInput = z.input<typeof popularity>;
