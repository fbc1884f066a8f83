/** A request's body as its schema has it, or an ApiError that names the first parameter that is wrong. */
import type { z } from 'zod';
import { invalid } from './api-error.ts';

export function checkedBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const param = [...issue.path, issue.keys[0]].join('.');
    throw invalid(`Unrecognized request argument supplied: ${param}.`, param, 'unknown_parameter');
  }
  const param = issue.path.join('.');
  if (param === '') throw invalid('The body must be a JSON object.', null);
  throw invalid(`'${param}': ${issue.message}.`, param);
}
