/**
 * Fixed drives: POST /v1/engine/hold and /v1/engine/release keep requests waiting until a set of them is there, and GET
 * /v1/engine/counters says what steps have done, so that the work of a set can be counted to the byte (EXTENSIONS.md).
 */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { EngineCore, HoldError } from '../core.ts';
import { ApiError } from './api-error.ts';
import { checkedBody } from './checked-body.ts';

const DEFAULT_HOLD_SECONDS = 60;
const LONGEST_HOLD_SECONDS = 600;

const holding = z.strictObject({
  max_seconds: z.number().gt(0).max(LONGEST_HOLD_SECONDS).default(DEFAULT_HOLD_SECONDS),
});
const releasing = z.strictObject({});

export function driveRoutes(app: FastifyInstance, core: EngineCore): void {
  app.post('/v1/engine/hold', async ({ body }) => {
    const { max_seconds } = checkedBody(holding, body ?? {});
    const error = await core.hold(max_seconds * 1000);
    if (error !== null) throw refused(error);
    const { running, waiting } = await core.work();
    return { held: true, max_seconds, running, waiting };
  });

  app.post('/v1/engine/release', async ({ body }) => {
    checkedBody(releasing, body ?? {});
    const released = await core.release();
    if (typeof released !== 'number') throw refused(released);
    return { released };
  });

  app.get('/v1/engine/counters', async () => {
    const { counters, running, waiting, held, holdExpired } = await core.work();
    const { device, variants, maxGpuLoras } = core.info;
    return {
      counters: Object.fromEntries(Object.entries(counters).map(([name, value]) => [snakeCase(name), value])),
      ...{ running, waiting, held, hold_expired: holdExpired },
      device: { candidate: device.candidate, name: device.name },
      variants,
      max_gpu_loras: maxGpuLoras,
    };
  });
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const refused = ({ code, message }: HoldError): ApiError =>
  new ApiError(409, message, { type: 'BadRequestError', code });
