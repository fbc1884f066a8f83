/**
 * Chat messages to token ids, as Llama 3's chat template writes them.
 *
 * Messages in, ids out, begin-of-text included, ending with the header that asks for the assistant's turn. The markers
 * are put in as ids, never as text: a message cannot contain one.
 * Source: the chat_template in tokenizer_config.json of Meta-Llama-3-8B-Instruct.
 */
import { joined, LLAMA3_SPECIAL, type Tokenizer } from './tokenizer.ts';

export const CHAT_ROLES = ['system', 'user', 'assistant'] as const;

export interface ChatMessage {
  role: (typeof CHAT_ROLES)[number];
  content: string;
}

/** The ids of the conversation in pieces, each computed when asked for; together they are what `encodeChat` returns. */
export function* encodeChatPieces(
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
): IterableIterator<Uint32Array> {
  const header = (role: string) => [LLAMA3_SPECIAL.startHeader, ...tokenizer.encode(role), LLAMA3_SPECIAL.endHeader];
  yield Uint32Array.of(LLAMA3_SPECIAL.beginOfText);
  for (const { role, content } of messages) {
    yield Uint32Array.from(header(role));
    // Encoded together, as the template's output is: line breaks can share a token with what follows them.
    yield* tokenizer.encodePieces(`\n\n${content.trim()}`);
    yield Uint32Array.of(LLAMA3_SPECIAL.endOfTurn);
  }
  yield Uint32Array.from([...header('assistant'), ...tokenizer.encode('\n\n')]);
}

export const encodeChat = (messages: readonly ChatMessage[], tokenizer: Tokenizer): Uint32Array =>
  joined([...encodeChatPieces(messages, tokenizer)]);
