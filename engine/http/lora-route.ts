/**
 * POST /v1/load_lora_adapter and /v1/unload_lora_adapter, with vLLM's bodies, statuses and messages, so that tools
 * written for vLLM can manage adapters here. Paths are "synthetic:rank=R,seed=S" (EXTENSIONS.md).
 *
 * Source: vLLM's "Dynamically serving LoRA Adapters" and its OpenAI-compatible server's answers.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EngineCore } from '../core.ts';
import { ApiError, invalid } from './api-error.ts';

const loadSchema = z.object({
  lora_name: z.string().nullish(),
  lora_path: z.string().nullish(),
  load_inplace: z.boolean().nullish(),
});
const unloadSchema = z.object({ lora_name: z.string().nullish(), lora_int_id: z.int().nullish() });

const badInput = (message: string, param: string) =>
  new ApiError(400, message, { type: 'InvalidUserInput', param, code: 400 });

export function loraRoutes(app: FastifyInstance, core: EngineCore): void {
  const base = core.info.geometry.name;

  app.post('/v1/load_lora_adapter', async (request, reply) => {
    const { lora_name: name, lora_path: path, load_inplace } = checked(loadSchema, request.body);
    if (!name || !path)
      throw badInput("Both 'lora_name' and 'lora_path' must be provided.", name ? 'lora_path' : 'lora_name');
    if (load_inplace === true)
      throw invalid("'load_inplace': not supported by this server; unload the adapter first.", 'load_inplace');
    if (name === base) throw badInput(`The lora adapter name '${name}' is the base model's.`, 'lora_name');
    const error = await core.loadAdapter(name, path);
    if (error?.code === 'exists') throw badInput(`The lora adapter '${name}' has already been loaded.`, 'lora_name');
    if (error)
      throw new ApiError(400, error.message, { type: 'BadRequestError', param: 'lora_path', code: error.code });
    return reply.type('text/plain').send(`Success: LoRA adapter '${name}' added successfully.`);
  });

  app.post('/v1/unload_lora_adapter', async (request, reply) => {
    const { lora_name: name } = checked(unloadSchema, request.body);
    if (!name) throw badInput("'lora_name' needs to be provided to unload a LoRA adapter.", 'lora_name');
    if (!(await core.unloadAdapter(name))) {
      throw new ApiError(404, `The lora adapter '${name}' cannot be found.`, {
        type: 'NotFoundError',
        param: 'lora_name',
        code: 404,
      });
    }
    return reply.type('text/plain').send(`Success: LoRA adapter '${name}' removed successfully.`);
  });
}

function checked<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const param = issue.path.join('.');
  throw invalid(param === '' ? 'The body must be a JSON object.' : `'${param}': ${issue.message}.`, param || null);
}
