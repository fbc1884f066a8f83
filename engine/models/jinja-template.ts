/**
 * The chat template of a Hugging Face folder, through @huggingface/jinja: messages in, the text it writes out.
 *
 * Source of where it is found and of what it is given: transformers, tokenization_utils_base.py (get_chat_template) and
 * utils/chat_template_utils.py (render_jinja_template).
 */
import { join } from 'node:path';
import { FileError } from '../tensor-files/file-error.ts';
import { CHAT_ROLES, type ChatMessage, ChatTemplateError } from './chat-template.ts';
import { isObject, type JsonObject, readText, shown } from './json-file.ts';

export interface JinjaTemplate {
  source: string;
  /** @throws ChatTemplateError with the template's own words */
  render(messages: readonly ChatMessage[]): string;
  /** What it writes by itself: for empty messages of these roles. Null when it refuses them. */
  probe(roles: Probe): string | null;
  /** Whether it writes this around what the messages say. */
  writes(marker: string): boolean;
}

const MOST_BYTES = 2 ** 20;

/** Conversations by the first letters of their roles. */
const PROBES = ['u', 'su', 'ua', 'uau', 'suau'] as const;
type Probe = (typeof PROBES)[number];

/**
 * @param config tokenizer_config.json: its bos_token, eos_token and so on are the template's variables
 * @returns null when the folder has none
 * @throws FileError it cannot be parsed
 */
export async function openTemplate(folder: string, config: JsonObject): Promise<JinjaTemplate | null> {
  const source = await sourceOf(folder, config);
  if (source === null) return null;
  const { Template } = await import('@huggingface/jinja');
  let template: InstanceType<typeof Template>;
  try {
    template = new Template(source);
  } catch (cause) {
    throw new FileError(folder, `the chat template cannot be parsed: ${(cause as Error).message}`, { cause });
  }
  const variables = { ...namedTokens(config), add_generation_prompt: true, tools: null, documents: null };
  const render = (messages: readonly ChatMessage[]): string => {
    try {
      return template.render({ ...variables, messages });
    } catch (cause) {
      throw new ChatTemplateError((cause as Error).message, { cause });
    }
  };
  const probe = (roles: Probe): string | null => {
    const messages = Array.from(roles, (letter) => ({
      role: CHAT_ROLES.find((role) => role.startsWith(letter))!,
      content: '',
    }));
    try {
      return render(messages);
    } catch {
      return null; // a template may refuse a system message, say
    }
  };
  const probes = PROBES.map(probe).filter((text) => text !== null);
  const written = probes.length > 0 ? probes : [source];
  return { source, render, probe, writes: (marker) => written.some((text) => text.includes(marker)) };
}

/** chat_template.jinja, else tokenizer_config.json's; of several the one named "default". */
async function sourceOf(folder: string, config: JsonObject): Promise<string | null> {
  const file = await readText(folder, 'chat_template.jinja', MOST_BYTES);
  if (file !== null) return file;
  const { chat_template: template } = config;
  if (template == null) return null;
  const named: unknown[][] = Array.isArray(template)
    ? template.map((one: unknown) => (isObject(one) ? [one['name'], one['template']] : []))
    : isObject(template)
      ? Object.entries(template)
      : [['default', template]];
  const found = named.find(([name]) => name === 'default')?.[1];
  if (found === undefined || typeof found === 'string') return found ?? null;
  throw new FileError(
    join(folder, 'tokenizer_config.json'),
    `the chat template is ${shown(found)}; expected a string, or a list of {name, template}`,
  );
}

/** bos_token, eos_token and the like, written as text or as {content}. */
function namedTokens(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    const text = isObject(value) ? value['content'] : value;
    if (/^[a-z]+_token$/.test(name) && typeof text === 'string') tokens[name] = text;
  }
  return tokens;
}
