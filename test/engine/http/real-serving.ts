/** A real HTTP server over a real core with the small golden Llama: the whole engine but for its launcher. */
import type { EngineConfig } from '../../../engine/config.ts';
import type { EngineCore } from '../../../engine/core.ts';
import { createHttpServer } from '../../../engine/http/server.ts';
import { findModel } from '../../../engine/models/find-model.ts';
import { loadTokenizer } from '../../../engine/models/tokenizer.ts';
import { startTestCore } from '../../support/core.ts';
import { TINY_LLAMA } from '../../support/golden-adapters.ts';
import { post } from './serving.ts';

export interface RealServing {
  core: EngineCore;
  url: string;
  /** Status, and the answer's JSON, or its text where it is none. */
  ask(path: string, body?: object): Promise<{ status: number; answer: unknown }>;
  close(): Promise<void>;
}

export async function realServing(overrides: Partial<EngineConfig> = {}): Promise<RealServing> {
  const core = await startTestCore({ model: TINY_LLAMA, ...overrides });
  const tokenizer = await loadTokenizer(await findModel(TINY_LLAMA));
  const server = createHttpServer({ core, tokenizer, log: () => {} });
  const url = await server.listen('127.0.0.1', 0);
  return {
    core,
    url,
    async ask(path, body) {
      const response = body === undefined ? await fetch(`${url}${path}`) : await post(`${url}${path}`, body);
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
      return { status: response.status, answer: isJson ? JSON.parse(text) : text };
    },
    async close() {
      await core.close();
      await server.close();
    },
  };
}
