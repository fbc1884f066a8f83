/**
 * A request body to the one thing the engine is asked to do: which model, which prompt ids, which sampling, which limits.
 *
 * Parsed bodies in, a Generation out, or an ApiError. Prompts are tokenized here, in pieces, so that a huge one does not
 * hold up /health, and not at all where they cannot fit. Prompt ids are the tokenizer's; they are folded into the model's vocabulary only when submitted.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EngineCore, SequenceRequest } from '../core.ts';
import { type ChatMessage, type ChatPrompt, ChatTemplateError } from '../models/chat-template.ts';
import { fold, joined, type Tokenizer } from '../models/tokenizer.ts';
import { ApiError, invalid, modelNotFound, tooLong } from './api-error.ts';
import { baseName } from './base-name.ts';
import type { ChatBody, CompletionBody } from './request-schema.ts';

export interface Generation {
  api: 'completion' | 'chat';
  /** As the request names it; echoed in the answer. */
  model: string;
  adapter: string | null;
  /** Number of ids the model sees. */
  promptTokens: number;
  /** Ready to submit. */
  sequence: SequenceRequest;
  /** Texts that end the output; not part of it. */
  stop: string[];
  stream: boolean;
  includeUsage: boolean;
  continuousUsage: boolean;
}

export interface GenerationContext {
  core: EngineCore;
  tokenizer: Tokenizer;
}

/** What OpenAI's completions take where the request names no max_tokens. */
const DEFAULT_COMPLETION_TOKENS = 16;
/** Longest stretch of tokenizing before other work gets a turn. */
const TOKENIZING_SLICE_MS = 5;

export async function completionOf(body: CompletionBody, context: GenerationContext): Promise<Generation> {
  const adapter = adapterNamed(body.model, context.core);
  const prompt = await promptIds(body, context);
  return generation('completion', body, adapter, prompt, body.max_tokens ?? DEFAULT_COMPLETION_TOKENS, context);
}

export async function chatOf(body: ChatBody, context: GenerationContext): Promise<Generation> {
  const adapter = adapterNamed(body.model, context.core);
  const { max_tokens, max_completion_tokens } = body;
  if (max_tokens != null && max_completion_tokens != null && max_tokens !== max_completion_tokens) {
    throw invalid("'max_tokens' and 'max_completion_tokens' differ; send one of them.", 'max_tokens');
  }
  const limit = context.core.info.maxModelLen;
  const chat = chatPromptOf(body.messages, context.tokenizer);
  refuseOverlong(chat.texts, context);
  const prompt = await collected(chat.pieces(), limit);
  return generation(
    'chat',
    body,
    adapter,
    prompt,
    max_completion_tokens ?? max_tokens ?? limit - prompt.length,
    context,
  );
}

/** The adapter that a model name means: null for the base model. */
export function adapterNamed(model: string, core: EngineCore): string | null {
  const base = baseName(core.info);
  if (model === base) return null;
  const adapters = core.adapters().map((adapter) => adapter.name);
  if (!adapters.includes(model)) throw modelNotFound(model, [base, ...adapters]);
  return model;
}

/**
 * The messages as the model's own template writes them.
 * @throws ApiError the model has no template, or its template refuses the messages
 */
export function chatPromptOf(messages: ChatBody['messages'], { chat, name }: Tokenizer): ChatPrompt {
  if (chat === null) {
    throw invalid(
      `The model's folder, ${name}, has no chat template; /v1/completions takes prompts that are written out.`,
      'messages',
      'no_chat_template',
    );
  }
  try {
    return chat.prompt(chatMessages(messages));
  } catch (error) {
    if (!(error instanceof ChatTemplateError)) throw error;
    throw invalid(`The model's chat template refuses these messages: ${error.message}`, 'messages', 'chat_template');
  }
}

const chatMessages = (messages: ChatBody['messages']): ChatMessage[] =>
  messages.map(({ role, content }) => ({
    role,
    content: typeof content === 'string' ? content : content.map((part) => part.text).join(''),
  }));

/** All ids of the pieces. Gives other work a turn every few milliseconds; stops early when they pass the limit. */
export async function collected(pieces: Iterable<Uint32Array>, limit: number): Promise<Uint32Array> {
  const all: Uint32Array[] = [];
  let total = 0;
  let sliceStart = performance.now();
  for (const piece of pieces) {
    all.push(piece);
    total += piece.length;
    if (total > limit) throw tooLong(`at least ${total}`, limit);
    if (performance.now() - sliceStart > TOKENIZING_SLICE_MS) {
      await nextTurn();
      sliceStart = performance.now();
    }
  }
  return joined(all);
}

/** Refuses texts that have too many tokens however they are cut, before any of the work of finding out how many. */
function refuseOverlong(texts: readonly string[], { core, tokenizer }: GenerationContext): void {
  const limit = core.info.maxModelLen;
  const bytes = texts.reduce((total, text) => total + Buffer.byteLength(text), 0);
  const least = Math.ceil(bytes / tokenizer.longestTokenBytes);
  if (least > limit) throw tooLong(`at least ${least}`, limit);
}

async function promptIds({ prompt, ...body }: CompletionBody, context: GenerationContext): Promise<Uint32Array> {
  const { core, tokenizer } = context;
  const limit = core.info.maxModelLen;
  let ids: Uint32Array;
  if (typeof prompt === 'string') {
    refuseOverlong([prompt], context);
    ids = await collected(tokenizer.encodePieces(prompt), limit);
    if (body.add_special_tokens === true && tokenizer.beginOfText !== null) {
      ids = joined([Uint32Array.of(tokenizer.beginOfText), ids]);
    }
  } else {
    const outside = prompt.find((id) => id >= tokenizer.vocab);
    if (outside !== undefined) {
      throw invalid(`'prompt': token id ${outside} is outside the vocabulary, 0 to ${tokenizer.vocab - 1}.`, 'prompt');
    }
    ids = Uint32Array.from(prompt);
  }
  if (ids.length === 0) throw invalid("'prompt': expected at least one token, got none.", 'prompt');
  return ids;
}

function generation(
  api: Generation['api'],
  body: CompletionBody | ChatBody,
  adapter: string | null,
  prompt: Uint32Array,
  maxTokens: number,
  { core }: GenerationContext,
): Generation {
  const { maxModelLen, geometry } = core.info;
  if (prompt.length >= maxModelLen) throw tooLong(`${prompt.length}`, maxModelLen);
  if (prompt.length + maxTokens > maxModelLen) {
    throw new ApiError(
      400,
      `This model's maximum context length is ${maxModelLen} tokens, but ${prompt.length + maxTokens} were requested (${prompt.length} in the prompt, ${maxTokens} for the completion).`,
      { param: 'max_tokens', code: 'context_length_exceeded' },
    );
  }
  const minTokens = body.min_tokens ?? 0;
  if (minTokens > maxTokens) {
    throw invalid(`'min_tokens' (${minTokens}) is greater than the limit on output (${maxTokens}).`, 'min_tokens');
  }
  if (body.stream_options != null && body.stream !== true) {
    throw invalid("'stream_options' is accepted only with stream: true.", 'stream_options');
  }
  const continuousUsage = body.stream_options?.continuous_usage_stats === true;
  return {
    api,
    model: body.model,
    adapter,
    promptTokens: prompt.length,
    sequence: {
      prompt: fold(prompt, geometry.vocab),
      adapter,
      maxTokens,
      minTokens,
      ignoreEos: body.ignore_eos === true,
      temperature: body.temperature ?? 1,
      topP: body.top_p ?? 1,
      topK: Math.max(0, body.top_k ?? 0),
      // 32 bits are what the device hashes; a request without a seed gets its own.
      seed: body.seed == null ? Math.floor(Math.random() * 2 ** 32) : body.seed >>> 0,
      ...(body.hold_order == null ? {} : { order: body.hold_order }),
    },
    stop: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []),
    stream: body.stream === true,
    includeUsage: body.stream_options?.include_usage === true,
    continuousUsage,
  };
}
