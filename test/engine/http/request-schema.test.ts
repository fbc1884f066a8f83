/** How much of a body is looked at: a list up to its first wrong element, too long a list not at all. */
import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../engine/http/api-error.ts';
import { parseChatBody, parseCompletionBody, parseTokenizeBody } from '../../../engine/http/request-schema.ts';

const LIMIT = 200_000;

/** The elements, and then one that nobody may look at. */
function thenUnread(...elements: unknown[]): unknown[] {
  const list = [...elements];
  Object.defineProperty(list, elements.length, {
    enumerable: true,
    get: () => {
      throw new Error(`element ${elements.length} was looked at`);
    },
  });
  return list;
}

function refusal(parse: () => unknown): ApiError {
  try {
    parse();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const completion = (body: object) => () => parseCompletionBody({ model: 'm', prompt: 'x', ...body }, LIMIT);
const chat = (messages: unknown[]) => () => parseChatBody({ model: 'm', messages }, LIMIT, 4);
const user = (content: unknown) => ({ role: 'user', content });

describe('a list is looked at up to its first wrong element', () => {
  it.each<[string, () => unknown, string]>([
    ['ids', completion({ prompt: thenUnread(5, 6, -1) }), 'prompt.2'],
    ['ids in a list', completion({ prompt: [thenUnread(5, '6')] }), 'prompt.0.1'],
    ['messages', chat(thenUnread(user('x'), { role: 'nobody', content: 'x' })), 'messages.1.role'],
    ['parts', chat([user(thenUnread({ type: 'image_url' }))]), 'messages.0.content'],
    ['messages to tokenize', () => parseTokenizeBody({ messages: thenUnread({ role: 'user' }) }), 'messages.0.content'],
  ])('%s', (_, parse, param) => {
    const error = refusal(parse);
    expect(error).toMatchObject({ status: 400, param });
    expect(error.message).toContain(`'${param}'`);
  });
});

describe('what has too many elements is refused unseen', () => {
  const many = (first: unknown) => Object.assign(thenUnread(first), { length: LIMIT + 1 });
  it.each<[string, () => unknown, string]>([
    ['ids', completion({ prompt: many(5) }), 'has 200001.'],
    ['ids in a list', completion({ prompt: [many(5)] }), 'has 200001.'],
    ['messages, each four tokens at least', chat(many(user('x'))), 'has at least 800004.'],
    ['prompts', completion({ prompt: many('x') }), '200001 prompts in one request'],
    ['stop strings', completion({ stop: thenUnread('a', 'b', 'c', 'd') }), 'at most 4 strings'],
  ])('%s', (_, parse, words) => {
    expect(refusal(parse)).toMatchObject({ status: 400, message: expect.stringContaining(words) });
  });
});

it('ids, and one prompt in a list, come out as they went in', () => {
  const ids = Array.from({ length: 130_000 }, (_, i) => i);
  expect(completion({ prompt: ids })()).toMatchObject({ prompt: ids });
  expect(completion({ prompt: [[1, 2]] })()).toMatchObject({ prompt: [1, 2] });
  expect(completion({ prompt: ['a'] })()).toMatchObject({ prompt: 'a' });
  expect(chat([user([{ type: 'text', text: 'a' }]), user('b')])()).toMatchObject({
    messages: [user([{ type: 'text', text: 'a' }]), user('b')],
  });
});
