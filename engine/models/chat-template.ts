/**
 * Chat messages to token ids: what a template is, and Llama 3's own, which the presets use. Folders bring theirs
 * (jinja-chat.ts).
 *
 * Messages in, ids out, begin-of-text included where the template has it, ending with what asks for the assistant's turn.
 * Whatever a message says, it cannot forge a turn: markers are put in as ids, and no text of a message becomes one.
 */
import type { Tokenizer } from './tokenizer.ts';

export const CHAT_ROLES = ['system', 'user', 'assistant'] as const;

export interface ChatMessage {
  role: (typeof CHAT_ROLES)[number];
  content: string;
}

/** A conversation as a template writes it. */
export interface ChatPrompt {
  /** The plain text in it, markers left out: it has at least these bytes / longestTokenBytes tokens. */
  texts: readonly string[];
  /** The ids in pieces, each computed when asked for, as Tokenizer.encodePieces gives them. */
  pieces(): IterableIterator<Uint32Array>;
}

export interface ChatTemplate {
  /** Tokens that any message takes at least. */
  readonly leastMessageTokens: number;
  /** @throws ChatTemplateError the template does not take these messages */
  prompt(messages: readonly ChatMessage[]): ChatPrompt;
}

/** A template's own refusal (raise_exception), or what it cannot do with the messages; the words are for the client. */
export class ChatTemplateError extends Error {
  override readonly name = 'ChatTemplateError';
}

/**
 * Source: the chat_template in tokenizer_config.json of Meta-Llama-3-8B-Instruct.
 * @param special ids of its markers
 */
export function llama3Chat(
  encodePieces: Tokenizer['encodePieces'],
  special: { beginOfText: number; startHeader: number; endHeader: number; endOfTurn: number },
): ChatTemplate {
  const marker = (id: number) => Uint32Array.of(id);

  function* header(role: string): IterableIterator<Uint32Array> {
    yield marker(special.startHeader);
    yield* encodePieces(role);
    yield marker(special.endHeader);
  }

  function* pieces(messages: readonly ChatMessage[]): IterableIterator<Uint32Array> {
    yield marker(special.beginOfText);
    for (const { role, content } of messages) {
      yield* header(role);
      // Encoded together, as the template's output is: line breaks can share a token with what follows them.
      yield* encodePieces(`\n\n${content.trim()}`);
      yield marker(special.endOfTurn);
    }
    yield* header('assistant');
    yield* encodePieces('\n\n');
  }

  return {
    leastMessageTokens: 4, // start and end of its header, its role, the end of the turn
    prompt: (messages) => ({
      texts: messages.map(({ content }) => content.trim()),
      pieces: () => pieces(messages),
    }),
  };
}
