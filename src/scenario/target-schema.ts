/**
 * The part of the scenario format that says which server is measured: the bundled engine, one that runs already, or one
 * that bench starts. Rules between the keys are in target-rules.ts.
 */
import { z } from 'zod';
import { limit, oneOf, text } from './schema-values.ts';

/** What any server over HTTP may need said. */
const server = {
  api: oneOf(['completions', 'chat'])
    .optional()
    .describe(
      "Which of its APIs is driven: completions, as the engine's is, or chat, which adds the server's template to each prompt. Default completions.",
    ),
  api_key_env: text('the name of an environment variable')
    .optional()
    .describe('Environment variable that holds the API key. Default: no key is sent.'),
  headers: z
    .record(z.string(), z.string('text'), '{name: value, ..}')
    .optional()
    .describe('Headers sent with every request. Secrets do not belong here: see api_key_env. Default {}: none.'),
  adapter_path: text('a folder on the server')
    .optional()
    .describe(
      "Folder on the server's own file system that holds a folder for each adapter: adapters that it lacks are loaded from there, and unloaded at the end (vLLM, SGLang). Default: none are loaded.",
    ),
  adapter_paths: z
    .record(z.string(), text('a folder on the server'), '{name: /path/on/the/server, ..}')
    .optional()
    .describe('The same for single adapters, by name. Default {}: none.'),
  metrics_url: text('a URL such as http://host:9400/metrics')
    .optional()
    .describe('Page of Prometheus metrics, if it is not where servers have it. Default: looked for beside the URL.'),
  tokenizer: text('a model preset or a folder')
    .optional()
    .describe(
      'What counts prompt tokens: a model preset, or a folder with a tokenizer.json. Default: by the name of the model.',
    ),
};

const COMMAND_EXPECTED = 'a list: the program and its arguments';

export const target = z
  .union(
    [
      z.literal('engine', 'engine').describe('The bundled engine, which bench starts.'),
      z
        .strictObject({
          url: text('a URL such as http://host:8000/v1').describe('Base URL of an OpenAI-compatible server.'),
          ...server,
        })
        .meta({
          description: 'A server that runs already.',
          examples: [
            {
              url: 'http://host:8000/v1',
              api: 'completions',
              api_key_env: 'MY_KEY',
              headers: { 'x-team': 'serving' },
              tokenizer: 'llama-3-8b',
              adapter_path: '/adapters',
              metrics_url: 'http://host:8000/metrics',
            },
          ],
        }),
      z
        .strictObject({
          command: z
            .array(text(), COMMAND_EXPECTED)
            .min(1, COMMAND_EXPECTED)
            .describe('Program and arguments that start the server. No shell reads them.'),
          ready: text('a URL such as http://127.0.0.1:8000/health').describe(
            'URL that answers 200 once the server is ready.',
          ),
          ready_timeout: limit.optional().describe('How long that may take. Default 10m.'),
          url: text('a URL such as http://127.0.0.1:8000/v1')
            .optional()
            .describe('Its base URL. Default: /v1 beside `ready`, or where `ready` has it.'),
          cwd: text('a folder')
            .optional()
            .describe(
              'Folder it runs in (beside the scenario, else in the working folder). Default: the working folder.',
            ),
          env: z
            .record(z.string(), z.string('text'), '{NAME: value, ..}')
            .optional()
            .describe(
              "Environment variables for it, beside bench's own. Secrets do not belong here. Default {}: none.",
            ),
          ...server,
        })
        .meta({
          description: 'A server that bench starts, waits for, and stops with all its children at the end.',
          examples: [
            {
              command: ['vllm', 'serve', 'my-model', '--port', '8000', '--enable-lora'],
              ready: 'http://127.0.0.1:8000/health',
              ready_timeout: '10m',
              url: 'http://127.0.0.1:8000/v1',
              cwd: '/srv',
              env: { CUDA_VISIBLE_DEVICES: '0' },
              adapter_paths: { sql: '/adapters/sql-v2' },
            },
          ],
        }),
    ],
    { error: 'engine, {url: http://host:8000/v1, ..} or {command: [..], ready: URL}' },
  )
  .meta({ id: 'target' });
