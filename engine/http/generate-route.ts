/**
 * POST /v1/completions and /v1/chat/completions: one request from its parsed body to its last byte, streamed or whole.
 *
 * A client that goes away cancels its sequence, also while its answer is still being collected.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { answerOf, usageOf } from './answers.ts';
import { ApiError } from './api-error.ts';
import type { DelayLine } from './delay-line.ts';
import { EventStream } from './event-stream.ts';
import { chatOf, completionOf, type Generation, type GenerationContext } from './generation.ts';
import type { Metrics, RequestMeter } from './metrics.ts';
import { parseChatBody, parseCompletionBody } from './request-schema.ts';
import { type GenerationListener, RunningGeneration, type TokenEvent } from './running-generation.ts';

export interface GenerateContext extends GenerationContext {
  metrics: Metrics;
  /** When the request's body had been read, ns. */
  readAt(request: FastifyRequest): number;
  /** Where tokens wait that are to come later than they do (--inject-delay); null: none are. */
  line: DelayLine | null;
  log(line: string): void;
}

export function generateRoutes(app: FastifyInstance, context: GenerateContext): void {
  const { maxModelLen } = context.core.info;
  const leastMessageTokens = context.tokenizer.chat?.leastMessageTokens ?? 1;
  app.post('/v1/completions', async (request, reply) =>
    answered(await completionOf(parseCompletionBody(request.body, maxModelLen), context), request, reply, context),
  );
  app.post('/v1/chat/completions', async (request, reply) =>
    answered(
      await chatOf(parseChatBody(request.body, maxModelLen, leastMessageTokens), context),
      request,
      reply,
      context,
    ),
  );
}

async function answered(
  generation: Generation,
  request: FastifyRequest,
  reply: FastifyReply,
  context: GenerateContext,
): Promise<unknown> {
  const read = context.readAt(request);
  const meter = context.metrics.requestStarted(generation.adapter, read);
  const create = (listener: GenerationListener) => new RunningGeneration(generation, { ...context, read }, listener);
  if (reply.raw.destroyed || request.raw.socket.destroyed) {
    meter.cancelled(); // went away while its prompt was tokenized
    return reply.hijack();
  }
  if (generation.stream) {
    reply.hijack();
    stream(create, reply, meter, context);
    return reply;
  }
  return whole(create, reply, meter);
}

type Create = (listener: GenerationListener) => RunningGeneration;

/** Sends each token as it comes, one event each. */
function stream(create: Create, reply: FastifyReply, meter: RequestMeter, context: GenerateContext): void {
  let produced = 0;
  const run = create({
    onEvent(event) {
      if (event.tokens > 0 && produced === 0) meter.firstToken();
      produced += event.tokens;
      sendEvent(event, produced);
    },
    onError(error) {
      meter.failed();
      // The status line is out already: as OpenAI and vLLM do, the error is an event, and the stream ends without [DONE]
      // being owed. It is sent all the same, for clients that wait for it.
      events.send(() => JSON.stringify(error.body()));
      events.end();
    },
  });
  const { generation } = run;
  const answer = answerOf(generation);
  const events = new EventStream(reply.raw, (error) => {
    if (run.ended) return;
    run.cancel();
    meter.cancelled();
    if (error !== null) context.log(`a stream to a client broke: ${error.message}`);
  });
  let first = true;

  function sendEvent(event: TokenEvent, tokensSoFar: number): void {
    events.send(() => {
      if (event.tokens > 0) run.wroteContent();
      const usage = generation.continuousUsage ? usageOf(generation.promptTokens, tokensSoFar) : undefined;
      const last = event.finish !== null && !generation.includeUsage;
      const chunk = answer.chunk(event, first, usage, last ? run.timings() : null);
      first = false;
      return JSON.stringify(chunk);
    });
    if (event.finish === null) return;
    if (generation.includeUsage) {
      const usage = usageOf(generation.promptTokens, tokensSoFar);
      events.send(() => JSON.stringify(answer.usageChunk(usage, run.timings())));
    }
    events.end();
    meter.finished(event.finish, tokensSoFar, run.sequenceTimings);
  }

  run.start();
}

/** Collects the answer; resolves with its body. */
function whole(create: Create, reply: FastifyReply, meter: RequestMeter): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = '';
    let produced = 0;
    const run = create({
      onEvent(event) {
        if (event.tokens > 0) {
          run.wroteContent();
          if (produced === 0) meter.firstToken();
        }
        produced += event.tokens;
        text += event.text;
        if (event.finish === null) return;
        meter.finished(event.finish, produced, run.sequenceTimings);
        const { generation } = run;
        resolve(
          answerOf(generation).whole(text, event.finish, usageOf(generation.promptTokens, produced), run.timings()),
        );
      },
      onError(error) {
        meter.failed();
        reject(error);
      },
    });
    reply.raw.on('close', () => {
      if (run.ended) return;
      run.cancel();
      meter.cancelled();
      reject(new ApiError(499, 'The client closed the connection.', { code: 'client_closed' }));
    });
    run.start();
  });
}
