/**
 * POST /tokenize, as vLLM has it: the ids and their number for a prompt or a chat, so that a client can make prompts of an
 * exact length with the server's own tokenizer. Ids are the tokenizer's, not folded.
 */
import type { FastifyInstance } from 'fastify';
import { adapterNamed, chatPromptOf, collected, type GenerationContext } from './generation.ts';
import { parseTokenizeBody } from './request-schema.ts';

export function tokenizeRoute(app: FastifyInstance, { core, tokenizer }: GenerationContext): void {
  app.post('/tokenize', async (request) => {
    const body = parseTokenizeBody(request.body);
    if (body.model != null) adapterNamed(body.model, core);
    const pieces =
      body.messages === undefined
        ? tokenizer.encodePieces(body.prompt!)
        : chatPromptOf(body.messages, tokenizer).pieces();
    // The body's own limit bounds the work; a prompt longer than the context may still be counted.
    const tokens = Array.from(await collected(pieces, Number.POSITIVE_INFINITY));
    if (body.messages === undefined && body.add_special_tokens === true && tokenizer.beginOfText !== null) {
      tokens.unshift(tokenizer.beginOfText);
    }
    return { count: tokens.length, max_model_len: core.info.maxModelLen, tokens };
  });
}
