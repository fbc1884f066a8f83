/** scenarios/README.md: made from the schema, never stale, and true: defaults are the real ones, examples are accepted. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { z } from 'zod';
import { withDefaults } from '../../src/scenario/defaults.ts';
import { axesOf, described, referenceOf } from '../../src/scenario/reference.ts';
import { questionOf, scenarioTable } from '../../src/scenario/scenario-list.ts';
import { type ScenarioInput, scenarioJsonSchema, scenarioSchema } from '../../src/scenario/schema.ts';
import { axis, duration, limit, oneOf, whole } from '../../src/scenario/schema-values.ts';
import type { JsonSchema } from '../../src/scenario/value-words.ts';
import { between, readmePath, readmeText } from '../../src/scenario/write-schema.ts';

const root = scenarioJsonSchema() as JsonSchema;

test('scenarios/README.md is what the schema and the scenarios give; `npm run schema` writes it', () => {
  const text = readFileSync(readmePath(), 'utf8');
  expect(text).toBe(readmeText(text));
  expect(readmeText(text.replace(/\n\| `concurrency` .*/, ''))).toBe(text);
});

test('parts are replaced between their markers, and missing markers are told', () => {
  const text = 'a\n<!-- made: x -->\nold\n<!-- end: x -->\nb\n';
  expect(between(text, 'x', 'new')).toBe('a\n<!-- made: x -->\n\nnew\n\n<!-- end: x -->\nb\n');
  expect(() => between(text, 'y', 'new')).toThrow('<!-- made: y -->');
});

describe('the reference of a small schema', () => {
  const fish = z
    .union([
      z.strictObject({ catch: whole(1).describe('How many.'), bait: bait() }).meta({
        description: 'Caught.',
        examples: [{ catch: 2, bait: 'worm' }],
      }),
      z.strictObject({
        buy: z.strictObject({ price: z.number().min(0).max(9).describe('What it costs.') }).describe('Bought.'),
        bait: bait(),
      }),
    ])
    .meta({ id: 'fish' });
  function bait() {
    return oneOf(['worm', 'fly']).optional().describe('What it bites on. Default worm.');
  }
  const schema = z.toJSONSchema(
    z.strictObject({
      wait: axis(limit, 'a duration').describe('Axis. How long, such as 0.5s. Longer is better.'),
      names: z.record(z.string(), z.string()).optional().describe('By whom | what. Default: none at all.'),
      rest: duration.optional().describe('Default 0.5s. Then home.'),
      fish: fish.optional().describe('The dish. Default: none.'),
      again: z
        .strictObject({ wait: limit.describe('As above.') })
        .optional()
        .describe('Once more.'),
    }),
    { target: 'draft-7', io: 'input' },
  ) as JsonSchema;

  it('reads as people would write it', () => {
    expect(referenceOf(schema, { shared: [], repeats: 'again' })).toBe(
      `### Axes

A list there is swept: \`wait\`.

### Top keys

| key | value | default | meaning |
| --- | --- | --- | --- |
| \`wait\` | **axis** of duration | **required** | How long, such as 0.5s. Longer is better. |
| \`names\` | {name: text, ..} | none at all | By whom \\| what. |
| \`rest\` | duration | \`0.5s\` | Then home. |
| \`fish\` | [below](#fish) | none | The dish. |
| \`again\` | {wait} |  | Once more. |

### fish

The dish.

**With \`catch\`**: Caught.

\`\`\`yaml
fish: { catch: 2, bait: worm }
\`\`\`

| key | value | default | meaning |
| --- | --- | --- | --- |
| \`catch\` | whole number ≥ 1 | **required** | How many. |

**With \`buy\`**: 

| key | value | default | meaning |
| --- | --- | --- | --- |
| \`buy\` | {price} | **required** | Bought. |
| \`buy.price\` | number from 0 to 9 | **required** | What it costs. |

With each of these:

| key | value | default | meaning |
| --- | --- | --- | --- |
| \`bait\` | \`worm\`, \`fly\` | \`worm\` | What it bites on. |

### again

Once more. Its keys are those above: \`wait\`.`,
    );
  });

  it('gives values that several keys have a section of their own', () => {
    const text = referenceOf(schema, { shared: ['fish'], repeats: 'again' });
    expect(text).toContain('| `fish` | [fish](#fish) |');
    expect(text).toContain('- { catch: 2, bait: worm }');
  });
});

describe('what the descriptions say is so:', () => {
  /** The least that can be said with every group there, so that every default shows. */
  const least = {
    name: 's',
    models: 'm',
    adapters: { rank: 1, count: 1 },
    prompt: { tokens: 1, shared_prefix: { tokens: 1 } },
    output: { tokens: 1 },
    load: { rate: '1/s' },
    gate: { thresholds: ['ttft.p99 < 1ms'] },
  } satisfies ScenarioInput;
  const command = { command: ['x'], ready: 'http://h/health' };

  /** Every optional key with its path, and what is said of its default. */
  const told = new Map<string, string | null>();
  const visit = (schema: JsonSchema, path: string, top: boolean): void => {
    const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
    const whole = ref === undefined ? schema : (root.definitions?.[ref.split('/').at(-1)!] ?? schema);
    for (const form of whole.anyOf ?? [whole]) {
      if (form.anyOf !== undefined) visit(form, path, false);
      for (const [key, inner] of Object.entries(form.properties ?? {})) {
        const at = top ? key : `${path}.${key}`;
        if (at === 'without_gpu.engine') return;
        if (!form.required?.includes(key)) told.set(at, described(inner).fallback);
        visit(inner, at, false);
      }
    }
  };
  visit(root, '', true);

  /** What `filled` has and nobody said, by path; a group that is told whole, such as {per_adapter: 1}, is one value. */
  const defaultsIn = (filled: unknown, said: unknown, path: string): [path: string, value: string][] => {
    const whole = !isGroup(filled) || (told.get(path) ?? '').startsWith('{');
    if (whole) return said === undefined ? [[path, flat(filled)]] : [];
    return Object.entries(filled).flatMap(([key, inner]) =>
      defaultsIn(inner, isGroup(said) ? said[key] : undefined, path === '' ? key : `${path}.${key}`),
    );
  };

  it('every default that is filled in', () => {
    const { engine: _none, ...onEngine } = withDefaults(least, true);
    const { target } = withDefaults({ ...least, target: command }, false);
    const found = [...defaultsIn(onEngine, least, ''), ...defaultsIn({ target }, { target: command }, '')];
    expect(found.length).toBeGreaterThan(20);
    const wrong = found.filter(([path, value]) => {
      const sentence = told.get(path) ?? '';
      return sentence !== value && !(sentence.startsWith(value) && /^[,;:] /.test(sentence.slice(value.length)));
    });
    expect(wrong).toEqual([]);
  });

  it('every optional key says what it is when left out', () => {
    const silent = [...told].filter(([path, fallback]) => fallback === null && !path.includes('.at.'));
    expect(silent).toEqual([]);
  });

  it('axes are what may be a value or a list of such', () => {
    const swept = (schema: JsonSchema, path: string): string[] => {
      const [one, many] = schema.anyOf ?? [];
      const isSwept = many?.items !== undefined && JSON.stringify(many.items) === JSON.stringify(one);
      if (isSwept) return [path];
      const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
      const whole = ref === undefined ? schema : (root.definitions?.[ref.split('/').at(-1)!] ?? schema);
      return (whole.anyOf ?? [whole]).flatMap((form) =>
        Object.entries(form.properties ?? {}).flatMap(([key, inner]) =>
          swept(inner, path === '' ? key : `${path}.${key}`),
        ),
      );
    };
    const structural = swept(root, '').filter((path) => !/^(gate|without_gpu)\./.test(path));
    // A list of pairs is the axis itself.
    expect(axesOf(root, 'without_gpu')).toEqual(expect.arrayContaining([...structural, 'workload']));
    expect(axesOf(root, 'without_gpu')).toHaveLength(structural.length + 1);
  });
});

describe('examples', () => {
  const found: { schema: z.ZodType; examples: unknown[]; id: string | undefined }[] = [];
  const seen = new Set<unknown>();
  const visit = (schema: z.ZodType): void => {
    if (seen.has(schema)) return;
    seen.add(schema);
    const meta = z.globalRegistry.get(schema) as { examples?: unknown[]; id?: string } | undefined;
    if (meta?.examples !== undefined) found.push({ schema, examples: meta.examples, id: meta.id });
    const { def } = schema as unknown as { def: Record<string, unknown> };
    const shape = def['shape'] as Record<string, z.ZodType> | undefined;
    for (const inner of [...Object.values(shape ?? {}), ...((def['options'] as z.ZodType[] | undefined) ?? [])])
      visit(inner);
    for (const key of ['innerType', 'element', 'valueType']) if (def[key] !== undefined) visit(def[key] as z.ZodType);
  };
  visit(scenarioSchema);

  it('are accepted where they stand', () => {
    expect(found.length).toBeGreaterThan(15);
    for (const { schema, examples } of found) {
      for (const example of examples) {
        const { success, error } = schema.safeParse(example);
        expect(success, `${JSON.stringify(example)}: ${error?.message}`).toBe(true);
      }
    }
  });

  it('have every key of their group', () => {
    const groups = ['engine', 'adapters', 'output', 'request', 'measure', 'slo', 'gate'];
    for (const id of groups) {
      const group = found.find((one) => one.id === id);
      const shown = new Set(group?.examples.flatMap((example) => Object.keys(example as object)));
      expect([...shown].sort(), id).toEqual(Object.keys(root.definitions?.[id]?.properties ?? {}).sort());
    }
  });
});

describe('the list of scenarios', () => {
  it('takes the question that the file begins with', () => {
    const text = '# yaml-language-server: $schema=x\n#\n# What, if\n# anything? More of it?\nname: a\n';
    expect(questionOf(text)).toBe('What, if anything?');
    expect(scenarioTable([{ name: 'a.yaml', text }])).toContain('| [a](a.yaml) | What, if anything? |');
  });
});

const isGroup = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** f16, {per_adapter: 1}, [6, 12], as descriptions write it. */
const flat = (value: unknown): string =>
  JSON.stringify(value).replaceAll('"', '').replaceAll(':', ': ').replaceAll(',', ', ');
