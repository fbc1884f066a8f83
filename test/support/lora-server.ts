/**
 * A server on loopback that keeps adapters as vLLM or SGLang does: their routes, statuses and messages, and how each finds
 * the adapter of a request. In: which server, what it has, what lies in its file system. Out: its URL, what it holds now, and
 * what it was asked.
 *
 * It knows nothing of the project's own code. Answers are those of vLLM 0.10 and main, and of SGLang 0.5.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface LoraServerOptions {
  kind: 'vllm' | 'sglang';
  base: string;
  /** Loaded from the start. */
  adapters: string[];
  /** Paths at which it finds an adapter. */
  files: string[];
  /** vLLM: VLLM_ALLOW_RUNTIME_LORA_UPDATING; without it there are no routes. */
  updating: boolean;
  /** SGLang: --enable-lora. */
  enabled: boolean;
  /** SGLang: --max-loaded-loras; the one loaded first goes. */
  most: number;
  /** Lists the base model alone. */
  listsBaseOnly: boolean;
  apiKey: string | null;
  /** For loading and unloading; SGLang: --admin-api-key. */
  adminKey: string | null;
  /** From a request read to the adapter in place, also when nobody waits any more. */
  loadMs: number;
  /** Called before a load is done: somebody else is faster. */
  beforeLoad: (name: string, holds: Set<string>) => void;
  /** Instead of an unload: nothing, and no answer. */
  hangs: boolean;
}

export interface LoraServer {
  /** With /v1. */
  url: string;
  /** Adapters it has now, in the order in which they came. */
  holds: Set<string>;
  /** Such as "POST /v1/load_lora_adapter a1 /adapters/a1". */
  asked: string[];
  close(): Promise<void>;
}

const DEFAULTS: LoraServerOptions = {
  kind: 'vllm',
  base: 'base',
  adapters: [],
  files: [],
  updating: true,
  enabled: true,
  most: Number.POSITIVE_INFINITY,
  listsBaseOnly: false,
  apiKey: null,
  adminKey: null,
  loadMs: 0,
  beforeLoad: () => {},
  hangs: false,
};

type Body = Record<string, unknown>;
interface State extends LoraServerOptions {
  holds: Set<string>;
}

export async function startLoraServer(options: Partial<LoraServerOptions> = {}): Promise<LoraServer> {
  const settings = { ...DEFAULTS, ...options };
  const state: State = { ...settings, holds: new Set(settings.adapters) };
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    void answer(request, response, state, asked).catch((error: unknown) => response.destroy(error as Error));
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    holds: state.holds,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  state: State,
  asked: string[],
): Promise<void> {
  let text = '';
  for await (const part of request) text += String(part);
  const path = request.url ?? '';
  const body: Body = text === '' ? {} : JSON.parse(text);
  const { lora_name: name, lora_path: from } = body;
  const told = path.includes('lora_adapter') ? [name, from].filter((part) => part !== undefined) : [];
  asked.push([request.method, path, ...told].join(' '));
  const manages = path.endsWith('load_lora_adapter');
  const wanted = manages ? (state.adminKey ?? state.apiKey) : state.apiKey;
  if (wanted !== null && request.headers.authorization !== `Bearer ${wanted}`) {
    // SGLang tells a key that is known from one that is not.
    return send(response, manages && state.adminKey !== null ? 403 : 401, { error: 'Unauthorized' });
  }
  if (request.method === 'GET' && path === '/v1/models') return send(response, 200, modelsOf(state));
  if (request.method === 'POST' && path === '/v1/completions') return complete(response, body, state);
  const prefix = state.kind === 'vllm' ? '/v1' : '';
  const routes = state.kind === 'sglang' || state.updating;
  if (routes && request.method === 'POST' && path === `${prefix}/load_lora_adapter`) return load(response, body, state);
  if (routes && request.method === 'POST' && path === `${prefix}/unload_lora_adapter`) {
    if (!state.hangs) unload(response, body, state);
    return;
  }
  send(response, 404, { detail: 'Not Found' });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response
    .writeHead(status, { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' })
    .end(text);
}

function modelsOf({ kind, base, holds, listsBaseOnly }: State): unknown {
  const card = { object: 'model', created: 0, owned_by: kind };
  const adapters = [...holds].map((id) => ({ ...card, id, root: `/files/${id}`, parent: base, max_model_len: null }));
  const own = { ...card, id: base, root: base, parent: null, max_model_len: 4096 };
  return { object: 'list', data: [own, ...(listsBaseOnly ? [] : adapters)] };
}

const vllmError = (response: ServerResponse, status: number, type: string, message: string): void =>
  send(response, status, { error: { message, type, param: null, code: status } });

const sglangResult = ({ holds }: State, more: object) => ({
  ...more,
  loaded_adapters: Object.fromEntries([...holds].map((name) => [name, `/files/${name}`])),
});

/** `dict_keys(['a1'])`, as Python shows it. */
const keys = ({ holds }: State): string => `dict_keys([${[...holds].map((name) => `'${name}'`).join(', ')}])`;

async function load(response: ServerResponse, body: Body, state: State): Promise<void> {
  const { kind, holds, files, loadMs, beforeLoad, enabled } = state;
  const { lora_name: name, lora_path: path } = body;
  if (typeof name !== 'string' || typeof path !== 'string') {
    const missing = [{ type: 'missing', loc: ['body', 'lora_name'], msg: 'Field required', input: body }];
    return kind === 'vllm'
      ? vllmError(response, 400, 'Bad Request', `1 validation error: ${JSON.stringify(missing)}`)
      : send(response, 422, { detail: missing });
  }
  if (kind === 'sglang' && !enabled) {
    const error_message = 'LoRA is not enabled. Please set `--enable-lora` to enable LoRA.';
    return send(response, 400, { success: false, error_message, loaded_adapters: null });
  }
  if (loadMs > 0) await new Promise((resolve) => setTimeout(resolve, loadMs));
  beforeLoad(name, holds);
  if (holds.has(name)) {
    if (kind === 'sglang') {
      const error_message = `LoRA with name ${name} already exists. Loaded LoRAs: ${keys(state)}`;
      return send(response, 400, sglangResult(state, { success: false, error_message }));
    }
    const hint = "If you want to load the adapter in place, set 'load_inplace' to True.";
    return vllmError(response, 400, 'InvalidUserInput', `The lora adapter '${name}' has already been loaded. ${hint}`);
  }
  if (!files.includes(path)) {
    const message = `Loading lora ${name} failed: No adapter found for ${path}`;
    if (kind === 'vllm') return vllmError(response, 404, 'NotFoundError', message);
    const error_message = `Failed to load LoRA adapter ${name}: ${path} does not appear to have a file named adapter_config.json`;
    return send(response, 400, sglangResult(state, { success: false, error_message }));
  }
  holds.add(name);
  if (holds.size > state.most) holds.delete([...holds][0]!);
  if (kind === 'vllm') return send(response, 200, `Success: LoRA adapter '${name}' added successfully.`);
  send(response, 200, sglangResult(state, { success: true, error_message: '' }));
}

function unload(response: ServerResponse, body: Body, state: State): void {
  const { kind, holds } = state;
  const name = String(body['lora_name']);
  const done = holds.delete(name);
  if (kind === 'sglang') {
    const error_message = done ? '' : `LoRA with name ${name} does not exist. Loaded LoRAs: ${keys(state)}`;
    send(response, done ? 200 : 400, sglangResult(state, { success: done, error_message }));
  } else if (done) send(response, 200, `Success: LoRA adapter '${name}' removed successfully.`);
  else vllmError(response, 404, 'NotFoundError', `The lora adapter '${name}' cannot be found.`);
}

/** Answers with the name of what answered. */
function complete(response: ServerResponse, body: Body, state: State): void {
  const { kind, base, holds } = state;
  const adapter = adapterOf(body, state);
  if (adapter === null || holds.has(adapter)) {
    const choices = [{ index: 0, text: adapter ?? base, finish_reason: 'length' }];
    send(response, 200, { id: 'x', object: 'text_completion', choices });
  } else if (kind === 'vllm') {
    vllmError(response, 404, 'NotFoundError', `The model \`${adapter}\` does not exist.`);
  } else {
    vllmError(response, 400, 'BadRequest', `The following requested LoRA adapters are not loaded: ${adapter}`);
  }
}

/** vLLM goes by `model`; SGLang by what follows a colon in it, else by `lora_path`: a bare name it takes for the base model. */
function adapterOf(body: Body, { kind, base }: State): string | null {
  const model = String(body['model']);
  if (kind === 'vllm') return model === base ? null : model;
  const path = body['lora_path'];
  return model.split(':')[1] ?? (typeof path === 'string' ? path : null);
}
