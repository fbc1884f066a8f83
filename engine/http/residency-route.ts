/**
 * Where adapters are, and where they should be: GET /v1/adapters lists them; POST to /v1/adapters/pin, unpin, prefetch,
 * evict and idle_tier moves them, so that cold and warm starts can be made on purpose and measured (EXTENSIONS.md).
 *
 * Each answer comes when the move is done, and holds the adapter as it is then.
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  type AdapterInfo,
  type EngineCore,
  type ResidencyError,
  type ResidencyRequest,
  TIERS,
  type Tier,
} from '../core.ts';
import { ApiError } from './api-error.ts';
import { checkedBody } from './checked-body.ts';

const name = z.string().min(1);
const named = z.strictObject({ lora_name: name });
const prefetched = z.strictObject({ lora_name: name, to: z.enum(['device', 'host']).default('device') });
const evicted = z.strictObject({ lora_name: name, to: z.enum(['host', 'disk']).default('host') });
const idling = z.strictObject({ tier: z.enum(TIERS) });

const STATUS_OF: Readonly<Record<ResidencyError['code'], number>> = {
  not_found: 404,
  in_use: 409,
  no_slot: 409,
  bad_file: 400,
};

export function residencyRoutes(app: FastifyInstance, core: EngineCore): void {
  /** As the core begins. Set when it is asked for, since the core takes such requests in their order. */
  let idleTier: Tier = 'device';

  app.get('/v1/adapters', () => ({ data: core.adapters(), idle_tier: idleTier }));

  app.post('/v1/adapters/pin', ({ body }) => {
    const { lora_name } = checkedBody(named, body);
    return moved({ action: 'pin', name: lora_name, to: 'device' });
  });
  app.post('/v1/adapters/unpin', ({ body }) => {
    const { lora_name } = checkedBody(named, body);
    return moved({ action: 'unpin', name: lora_name, to: 'device' });
  });
  app.post('/v1/adapters/prefetch', ({ body }) => {
    const { lora_name, to } = checkedBody(prefetched, body);
    return moved({ action: 'prefetch', name: lora_name, to });
  });
  app.post('/v1/adapters/evict', ({ body }) => {
    const { lora_name, to } = checkedBody(evicted, body);
    return moved({ action: 'evict', name: lora_name, to });
  });
  app.post('/v1/adapters/idle_tier', async ({ body }) => {
    const { tier } = checkedBody(idling, body);
    idleTier = tier;
    await core.setIdleTier(tier);
    return { idle_tier: tier };
  });

  async function moved(request: ResidencyRequest): Promise<AdapterInfo> {
    const error = await core.residency(request);
    if (error !== null) throw refused(error);
    const adapter = core.adapters().find((one) => one.name === request.name);
    if (adapter) return adapter;
    throw refused({ code: 'not_found', message: `adapter "${request.name}" was unloaded meanwhile` });
  }
}

function refused({ code, message }: ResidencyError): ApiError {
  const type = code === 'not_found' ? 'NotFoundError' : 'BadRequestError';
  return new ApiError(STATUS_OF[code], message, { type, param: 'lora_name', code });
}
