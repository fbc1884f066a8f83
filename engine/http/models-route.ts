/**
 * GET /v1/models: the base model and the adapters on it, as vLLM lists them: an adapter's card names its `parent`, and
 * its `root` is the path it was loaded from. Where an adapter is folded into the weights, it is the one model there is.
 */
import type { FastifyInstance } from 'fastify';
import type { EngineCore } from '../core.ts';
import { modelNotFound } from './api-error.ts';
import { baseName } from './base-name.ts';

export function modelsRoutes(app: FastifyInstance, core: EngineCore): void {
  const created = Math.floor(Date.now() / 1000);
  const { merged, maxModelLen } = core.info;
  const base = baseName(core.info);

  const cards = () => {
    const card = (id: string, root: string, parent: string | null) => ({
      id,
      object: 'model',
      created,
      owned_by: 'lorabench',
      root,
      parent,
      max_model_len: maxModelLen,
    });
    const adapterCard = ({ name, path, kind, rank }: { name: string; path: string; kind: string; rank: number }) => ({
      ...card(name, path, name === base ? null : base),
      lora_rank: rank,
      kind,
    });
    return [merged === null ? card(base, base, null) : adapterCard(merged), ...core.adapters().map(adapterCard)];
  };

  app.get('/v1/models', () => ({ object: 'list', data: cards() }));
  // A wildcard: a stand-in's name has a slash in it.
  app.get<{ Params: { '*': string } }>('/v1/models/*', (request) => {
    const id = request.params['*'];
    const all = cards();
    const card = all.find((c) => c.id === id);
    if (card === undefined)
      throw modelNotFound(
        id,
        all.map((c) => c.id),
      );
    return card;
  });
}
