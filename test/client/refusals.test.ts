/** Fields that a server does not take: read out of its words, left out from then on, and told. */
import { afterEach, describe, expect, it } from 'vitest';
import { now } from '../../src/client/clock.ts';
import { type OptionalField, refusedFields } from '../../src/client/refusals.ts';
import { allRefused, wordsOfRefused } from '../../src/client/request-body.ts';
import { startDialectServer } from '../support/dialect-server.ts';
import { DIALECT_STREAMS } from '../support/dialect-streams.ts';
import { clientFor, context, spec } from './sending.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const openaiError = (message: string, param: string | null, code: string | null) => ({
  error: { message, type: 'invalid_request_error', param, code },
});
const problem = (type: string, loc: unknown[], input: unknown, msg = 'Extra inputs are not permitted') => ({
  type,
  loc,
  msg,
  input,
});

describe('a refusal names its fields', () => {
  it.each<[string, unknown, OptionalField[]]>([
    [
      'OpenAI, unknown',
      openaiError("Unknown parameter: 'min_tokens'.", 'min_tokens', 'unknown_parameter'),
      ['min_tokens'],
    ],
    ['OpenAI, by param alone', openaiError('Bad request.', 'ignore_eos', 'unknown_parameter'), ['ignore_eos']],
    [
      'OpenAI, an option',
      openaiError(
        "Unknown parameter: 'stream_options.continuous_usage_stats'.",
        'stream_options.continuous_usage_stats',
        'unknown_parameter',
      ),
      ['continuous_usage_stats'],
    ],
    [
      'OpenAI, another name',
      openaiError(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        'max_tokens',
        'unsupported_parameter',
      ),
      ['max_tokens'],
    ],
    [
      'OpenAI, a value',
      openaiError(
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
        'temperature',
        'unsupported_value',
      ),
      ['temperature'],
    ],
    ['Azure, one', openaiError('Unrecognized request argument supplied: ignore_eos', null, null), ['ignore_eos']],
    [
      'Azure, two',
      openaiError('Unrecognized request arguments supplied: ignore_eos, min_tokens', null, null),
      ['min_tokens', 'ignore_eos'],
    ],
    [
      'FastAPI',
      {
        detail: [
          problem('extra_forbidden', ['body', 'min_tokens'], 6),
          problem('extra_forbidden', ['body', 'seed'], 7),
        ],
      },
      ['min_tokens', 'seed'],
    ],
    [
      'pydantic 1',
      { detail: [{ loc: ['body', 'ignore_eos'], msg: 'extra fields not permitted', type: 'value_error.extra' }] },
      ['ignore_eos'],
    ],
    [
      'FastAPI, an option',
      { detail: [problem('extra_forbidden', ['body', 'stream_options', 'continuous_usage_stats'], true)] },
      ['continuous_usage_stats'],
    ],
    [
      'Mistral',
      { object: 'error', message: { detail: [problem('extra_forbidden', ['body', 'min_tokens'], 6)] } },
      ['min_tokens'],
    ],
    [
      'vLLM until 0.6',
      {
        object: 'error',
        message:
          "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
      ['stream_options'],
    ],
    [
      'TensorRT-LLM',
      {
        error:
          "1 validation error:\n  {'type': 'extra_forbidden', 'loc': ('body', 'ignore_eos'), 'msg': 'Extra inputs are not permitted', 'input': True}",
      },
      ['ignore_eos'],
    ],
    [
      'Fireworks',
      openaiError(
        "Extra inputs are not permitted, field: 'stream_options', value: {'include_usage': True}",
        null,
        null,
      ),
      ['stream_options'],
    ],
    [
      'Groq',
      openaiError("property 'min_tokens' is unsupported, did you mean 'max_tokens'?", null, null),
      ['min_tokens'],
    ],
    [
      'serde',
      'Failed to deserialize: unknown field `min_tokens`, expected one of `model`, `max_tokens`, `seed`, `temperature`',
      ['min_tokens'],
    ],
    [
      'LiteLLM',
      openaiError(
        "litellm.UnsupportedParamsError: openai does not support parameters: ['ignore_eos'], for model=x",
        null,
        null,
      ),
      ['ignore_eos'],
    ],
    [
      'JSON Schema',
      { message: "Additional properties are not allowed ('ignore_eos', 'min_tokens' were unexpected)" },
      ['min_tokens', 'ignore_eos'],
    ],
    ['our own servers', openaiError('Unknown field: stream_options', null, null), ['stream_options']],
  ])('%s', (_, body, fields) => {
    expect(refusedFields(body)).toEqual(fields);
  });
});

describe('other complaints name fields too, and are no refusal', () => {
  const whole = {
    model: 'm',
    max_tokens: 6,
    min_tokens: 6,
    ignore_eos: true,
    seed: 1,
    temperature: 0,
    stream_options: { include_usage: true },
  };
  it.each<[string, unknown]>([
    [
      'vLLM, too long',
      openaiError(
        "'max_tokens' or 'max_completion_tokens' is too large: 9000. This model's maximum context length is 8192 tokens.",
        'max_tokens',
        null,
      ),
    ],
    [
      'OpenAI, too many',
      openaiError(
        'max_tokens is too large: 300000. This model supports at most 16384 completion tokens.',
        'max_tokens',
        'invalid_value',
      ),
    ],
    ['vLLM, out of order', openaiError('min_tokens must be less than or equal to max_tokens=6, got 7.', null, null)],
    ['a range', openaiError('temperature must be in [0, 2], got -1.', 'temperature', null)],
    [
      'a validator that echoes the request',
      { detail: [problem('value_error', ['body'], whole, 'Value error, the prompt is not supported')] },
    ],
    [
      'the same, printed',
      {
        error: `[{'type': 'value_error', 'loc': ('body',), 'msg': 'not supported', 'input': {'min_tokens': 6, 'ignore_eos': True}}]`,
      },
    ],
    ['another field, with the request echoed', { detail: [problem('extra_forbidden', ['body', 'top_k'], whole)] }],
    [
      'max_tokens refused without another name',
      openaiError("Unsupported parameter: 'max_tokens'.", 'max_tokens', 'unsupported_parameter'),
    ],
    ['an unknown model', openaiError('Unknown model seed-oss-36b.', 'model', 'model_not_found')],
    ['nothing', ''],
    ['a page', '<html>Bad Request</html>'],
    ['null', null],
  ])('%s', (_, body) => {
    expect(refusedFields(body)).toEqual([]);
  });
});

describe('a server that refuses one field after the other', () => {
  const NO = /^(min_tokens|ignore_eos|seed)$/;
  /** As OpenAI's newer models: they tell one thing at a time. */
  function openai(body: Record<string, unknown>) {
    const unknown = Object.keys(body).find((name) => NO.test(name));
    if (unknown !== undefined)
      return { status: 400, body: openaiError(`Unknown parameter: '${unknown}'.`, unknown, 'unknown_parameter') };
    if ('continuous_usage_stats' in ((body['stream_options'] ?? {}) as object)) {
      const name = 'stream_options.continuous_usage_stats';
      return { status: 400, body: openaiError(`Unknown parameter: '${name}'.`, name, 'unknown_parameter') };
    }
    if ('max_tokens' in body) {
      const words =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
      return { status: 400, body: openaiError(words, 'max_tokens', 'unsupported_parameter') };
    }
    if (body['temperature'] !== undefined) {
      const words =
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.";
      return { status: 400, body: openaiError(words, 'temperature', 'unsupported_value') };
    }
    return null;
  }

  it('is asked for less each time, and then at once for what it takes', async () => {
    const { steps } = DIALECT_STREAMS['openai chat']!;
    const server = await startDialectServer({ steps, refuse: openai, clock: now });
    const client = clientFor(server.url, { api: 'chat' });
    open.push(server, client);
    expect(client.can.refused).toEqual([]);
    const first = await client.send(spec({ intendedOffset: 0 }), context({ seed: 7, intended: now() - 1e9 }));
    // Nothing makes it write as much as was asked: the count is still held against that.
    expect(first).toMatchObject({ error: 'wrong_output_tokens', detail: 'asked for 6, got 2' });
    expect(first.intended).toBe(first.sent);
    expect(server.bodies).toHaveLength(7);
    expect(server.bodies.at(-1)).toEqual({
      model: 'base',
      messages: [{ role: 'user', content: 'one two three' }],
      max_completion_tokens: 6,
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(new Set(client.can.refused)).toEqual(
      new Set(['min_tokens', 'ignore_eos', 'seed', 'continuous_usage_stats', 'max_tokens', 'temperature']),
    );
    expect(await client.send(spec({ control: 'cap' }), context({ seed: 7 }))).toMatchObject({
      outcome: 'ok',
      finish: 'stop',
    });
    expect(server.bodies).toHaveLength(8);
    expect(server.bodies.at(-1)).toEqual(server.bodies.at(-2));
  });

  it('twenty requests at once learn it together, and none is lost', async () => {
    const { steps } = DIALECT_STREAMS['openai chat']!;
    const server = await startDialectServer({ steps, refuse: openai, clock: now });
    const client = clientFor(server.url, { api: 'chat' });
    open.push(server, client);
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.send(spec({ i, control: 'cap' }), context())),
    );
    expect(all.every(({ outcome }) => outcome === 'ok')).toBe(true);
    expect(new Set(client.can.refused)).toEqual(new Set(['continuous_usage_stats', 'max_tokens', 'temperature']));
  });

  it('422 is a refusal as 400 is, and one about nothing that was sent is an error', async () => {
    const refuse = (body: Record<string, unknown>) =>
      'min_tokens' in body
        ? { status: 422, body: { detail: [problem('extra_forbidden', ['body', 'min_tokens'], 6)] } }
        : null;
    const { steps } = DIALECT_STREAMS['vllm completions']!;
    const server = await startDialectServer({ steps, refuse, clock: now });
    const stubborn = await startDialectServer({
      steps,
      refuse: () => ({
        status: 400,
        body: openaiError("Unknown parameter: 'min_tokens'.", 'min_tokens', 'unknown_parameter'),
      }),
      clock: now,
    });
    const [client, other] = [clientFor(server.url), clientFor(stubborn.url)];
    open.push(server, stubborn, client, other);
    expect((await client.send(spec({ outputTokens: 4 }), context())).outcome).toBe('ok');
    expect(server.bodies[1]).toMatchObject({ max_tokens: 4, ignore_eos: true });
    expect((await other.send(spec(), context())).error).toBe('http_400');
    expect(stubborn.bodies).toHaveLength(2);
  });

  it('what one client learns another can be told', () => {
    const both = allRefused({ refused: ['min_tokens', 'seed'] }, { refused: ['seed', 'ignore_eos'] });
    expect(both).toEqual({ refused: ['min_tokens', 'seed', 'ignore_eos'] });
    expect(allRefused(both, { refused: [] })).toBe(both);
  });
});

it('a person is told what the lengths are worth', () => {
  expect(wordsOfRefused({ refused: [] })).toEqual([]);
  expect(wordsOfRefused({ refused: ['min_tokens'] })).toEqual([expect.stringMatching(/does not take min_tokens/)]);
  const openai = wordsOfRefused({ refused: ['ignore_eos', 'max_tokens', 'min_tokens', 'continuous_usage_stats'] });
  expect(openai).toHaveLength(3);
  expect(openai[0]).toMatch(/neither min_tokens nor ignore_eos: lengths of answers are only capped/);
});
