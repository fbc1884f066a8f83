/**
 * Names for what goes wrong on the wire: an HTTP status, or an error of undici or a socket in some phase of a request.
 *
 * Codes come from Node's system errors and undici's `UND_ERR_*`; its HTTP parser's errors have
 * a name and no code.
 */
import type { RequestError } from '../result/schema.ts';

/** How far a request had come. */
export type Phase = 'connecting' | 'sent' | 'headers' | 'content';

const NAMED_STATUS = new Set([400, 401, 403, 404, 422, 429, 500, 503]);

export const errorOfStatus = (status: number): RequestError =>
  NAMED_STATUS.has(status) ? (`http_${status}` as RequestError) : 'http_other';

export function errorOfFailure(failure: Error, phase: Phase): RequestError {
  const code = codeOf(failure);
  if (phase === 'connecting') {
    if (code === 'ECONNREFUSED') return 'connect_refused';
    return code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT' ? 'connect_timeout' : 'connect_failed';
  }
  if (phase === 'sent') return failure.name === 'HTTPParserError' ? 'bad_body' : 'reset_before_headers';
  return 'reset_mid_stream';
}

/** A socket's error in words; Node puts those of several addresses into one AggregateError without a message. */
export function wordsOfFailure(failure: Error): string {
  const inner =
    failure instanceof AggregateError ? failure.errors.find((e): e is Error => e instanceof Error) : undefined;
  const words = failure.message || inner?.message || failure.name;
  const code = codeOf(failure);
  return code === '' || words.includes(code) ? words : `${words} (${code})`;
}

export const TIMEOUT_OF_PHASE: Record<Phase, RequestError> = {
  connecting: 'connect_timeout',
  sent: 'headers_timeout',
  headers: 'first_content_timeout',
  content: 'total_timeout',
};

const codeOf = (failure: Error): string => {
  const { code } = failure as { code?: unknown };
  return typeof code === 'string' ? code : '';
};
