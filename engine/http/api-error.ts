/**
 * What the HTTP side answers when a request cannot be served: OpenAI's error JSON with the right status.
 *
 * Route code throws ApiError; server.ts turns it, and every error of the framework, into a body. `param` names the part
 * of the request that is wrong, `code` is stable and meant for programs.
 * Source of the shape: OpenAI's API reference, "Error codes" ({error: {message, type, param, code}}).
 */
import { EngineError } from '../errors.ts';

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | number | null };
}

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | number | null;

  constructor(
    status: number,
    message: string,
    detail: { type?: string; param?: string | null; code?: string | number | null } = {},
  ) {
    super(message);
    this.status = status;
    this.type = detail.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.param = detail.param ?? null;
    this.code = detail.code ?? null;
  }

  body(): ErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

export const invalid = (message: string, param: string | null, code: string | null = null): ApiError =>
  new ApiError(400, message, { param, code });

export const tooLong = (tokens: string, limit: number): ApiError =>
  new ApiError(400, `This model's maximum context length is ${limit} tokens, but the prompt alone has ${tokens}.`, {
    param: 'prompt',
    code: 'context_length_exceeded',
  });

export const modelNotFound = (name: string, available: readonly string[]): ApiError =>
  new ApiError(404, `The model '${name}' does not exist. This server has: ${available.join(', ')}.`, {
    param: 'model',
    code: 'model_not_found',
  });

/** Any error that reached the framework, as an ApiError; what is not the client's doing is logged and told as a 500. */
export function asApiError(error: unknown, log: (line: string) => void): ApiError {
  if (error instanceof ApiError) return error;
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (error instanceof SyntaxError) return invalid(`The body is not valid JSON: ${message}`, null, 'invalid_json');
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new ApiError(413, 'The body is larger than this server accepts.', { code: 'body_too_large' });
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new ApiError(415, 'The body must be JSON, with content-type: application/json.', {
      code: 'unsupported_media_type',
    });
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError(statusCode, message ?? 'The request cannot be understood.');
  }
  if (error instanceof EngineError && error.code === 'device_lost') {
    return new ApiError(503, error.message, { code: 'device_lost' });
  }
  log(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return new ApiError(500, 'Internal error; the engine wrote the reason to its standard error.', {
    code: 'internal_error',
  });
}
