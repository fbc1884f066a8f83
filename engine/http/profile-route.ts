/**
 * Where steps' time goes: GET /v1/engine/profile says what was added up since the last reset; POST /v1/engine/profile/reset says it
 * a last time and begins anew, so that nothing between the two is lost (EXTENSIONS.md).
 */
import type { FastifyInstance } from 'fastify';
import type { EngineCore } from '../core.ts';

export function profileRoutes(app: FastifyInstance, core: EngineCore): void {
  const read = async (reset: boolean) => ({
    profiling: core.info.profile,
    kinds: (await core.profile(reset)).map(({ wallMs, kernelMs, loraRows, ...rest }) => ({
      ...rest,
      wall_ms: wallMs,
      kernel_ms: kernelMs,
      lora_rows: loraRows,
    })),
  });
  app.get('/v1/engine/profile', () => read(false));
  app.post('/v1/engine/profile/reset', () => read(true));
}
