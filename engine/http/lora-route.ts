/**
 * POST /v1/load_lora_adapter and /v1/unload_lora_adapter, with vLLM's bodies, statuses and messages, so that tools
 * written for vLLM can manage adapters here. Paths are files and folders of this machine, or "synthetic:rank=R,seed=S"
 * (EXTENSIONS.md).
 *
 * Source: vLLM's vllm/entrypoints/openai/models/serving.py and its "Dynamically serving LoRA Adapters".
 */
import { resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EngineCore, LoadError } from '../core.ts';
import { ApiError } from './api-error.ts';
import { baseName } from './base-name.ts';
import { checkedBody } from './checked-body.ts';

const SYNTHETIC = 'synthetic:';

const loadSchema = z.object({
  lora_name: z.string().nullish(),
  lora_path: z.string().nullish(),
  load_inplace: z.boolean().nullish(),
});
const unloadSchema = z.object({ lora_name: z.string().nullish(), lora_int_id: z.int().nullish() });

const badInput = (message: string, param: string) =>
  new ApiError(400, message, { type: 'InvalidUserInput', param, code: 400 });

export function loraRoutes(app: FastifyInstance, core: EngineCore): void {
  const base = baseName(core.info);

  app.post('/v1/load_lora_adapter', async (request, reply) => {
    const { lora_name: name, lora_path: path, load_inplace } = checkedBody(loadSchema, request.body);
    if (!name || !path)
      throw badInput("Both 'lora_name' and 'lora_path' must be provided.", name ? 'lora_path' : 'lora_name');
    if (name === base) throw badInput(`The lora adapter name '${name}' is the base model's.`, 'lora_name');
    const replace = load_inplace === true;
    const error = await core.loadAdapter(name, path.startsWith(SYNTHETIC) ? path : resolve(path), { replace });
    if (error?.code === 'exists' && !replace) {
      throw badInput(
        `The lora adapter '${name}' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.`,
        'lora_name',
      );
    }
    if (error) throw refused(error, core.info.merged === null && !path.startsWith(SYNTHETIC));
    return reply.type('text/plain').send(`Success: LoRA adapter '${name}' added successfully.`);
  });

  app.post('/v1/unload_lora_adapter', async (request, reply) => {
    const { lora_name: name } = checkedBody(unloadSchema, request.body);
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

/** @param isFile a bad path is then one where nothing can be read, which vLLM answers with 404 */
function refused({ code, message }: LoadError, isFile: boolean): ApiError {
  return code === 'bad_path' && isFile
    ? new ApiError(404, message, { type: 'NotFoundError', param: 'lora_path', code })
    : new ApiError(400, message, { type: 'BadRequestError', param: 'lora_path', code });
}
