/**
 * A file of prompts: JSON lines or a JSON list of {prompt}, {text}, {messages} or ShareGPT's {conversations}. In: a path,
 * and what counts tokens. Out: texts with their lengths, and with those of the answers where they are needed.
 *
 * Of a conversation its first turn is sent, since everything after it would need the server's own answer. An answer's
 * length comes from output_tokens or max_tokens, else from counting `completion`; of ShareGPT, from counting the first
 * answer. ShareGPT is filtered as vLLM's benchmark does it (sharegpt.ts), so that results can be set side by side.
 */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { shown } from '../problems.ts';
import type { DatasetEntry, DatasetFile } from './entries.ts';
import { fileFault } from './file-fault.ts';
import { type JsonItem, jsonItems } from './json-items.ts';
import { conversationOf, FILTER, passes } from './sharegpt.ts';

/** Bounds of memory, and of the time that counting takes: some ten seconds. */
const MOST_PROMPTS = 10_000;
const MOST_CHARACTERS = 16_000_000;

const FORM = '{prompt: text}, {text: ..}, {messages: [{role, content}, ..]} or {conversations: [{from, value}, ..]}';

export interface DatasetNeeds {
  count: (text: string) => number;
  /** Nothing else says how long answers are. */
  outputTokens: boolean;
}

/** @throws BenchError with file:line, what was found and what is accepted */
export async function readDataset(file: string, needs: DatasetNeeds): Promise<DatasetFile> {
  const entries: DatasetEntry[] = [];
  const hash = createHash('sha256');
  let left = MOST_CHARACTERS;
  let leftOut = 0;
  let cut = false;
  for await (const item of jsonItems(file)) {
    cut = entries.length >= MOST_PROMPTS || left <= 0;
    if (cut) break;
    const isConversation = item.value['conversations'] !== undefined;
    const entry = isConversation ? conversationEntry(file, item, needs) : plainEntry(file, item, needs);
    if (entry === null) {
      leftOut++;
      continue;
    }
    left -= entry.text.length;
    entries.push(entry);
    hash.update(`${JSON.stringify([entry.text, entry.promptTokens, entry.outputTokens])}\n`);
  }
  if (entries.length === 0) {
    const why = leftOut === 0 ? '' : `; ${leftOut} were left out: ${FILTER}`;
    throw fileFault(file, null, `holds no prompt that can be sent${why}; expected ${FORM}`);
  }
  return {
    kind: 'dataset',
    name: basename(file),
    hash: hash.digest('hex'),
    entries,
    leftOut: leftOut === 0 ? null : { count: leftOut, why: FILTER },
    cut,
  };
}

/** null: left out. */
function conversationEntry(file: string, { value, line }: JsonItem, needs: DatasetNeeds): DatasetEntry | null {
  const turns = conversationOf(value['conversations']);
  if (turns === 'wrong') {
    const expected = 'a list of {from: human or gpt, value: text}';
    throw fileFault(file, line, `conversations: expected ${expected}, found ${shown(value['conversations'])}`);
  }
  if (turns === null) return null;
  const promptTokens = needs.count(turns.prompt);
  const outputTokens = needs.outputTokens ? needs.count(turns.answer) : null;
  return passes(promptTokens, outputTokens) ? { text: turns.prompt, promptTokens, outputTokens } : null;
}

function plainEntry(file: string, { value, line }: JsonItem, needs: DatasetNeeds): DatasetEntry {
  const text = value['prompt'] ?? value['text'] ?? firstUserTurn(value['messages']);
  if (typeof text !== 'string' || text === '') {
    throw fileFault(file, line, `expected a prompt, ${FORM}, found ${shown(value)}`);
  }
  const promptTokens = needs.count(text);
  if (promptTokens === 0) throw fileFault(file, line, `the prompt ${shown(text)} has no tokens`);
  return { text, promptTokens, outputTokens: needs.outputTokens ? outputTokensOf(file, value, line, needs) : null };
}

/** The first thing a user says; content may be a text, or parts of which some are text. */
function firstUserTurn(messages: unknown): string | undefined {
  if (!Array.isArray(messages)) return undefined;
  const turn = messages.find((message) => message?.role === 'user');
  const content: unknown = turn?.content;
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return undefined;
  return content.flatMap((part) => (typeof part?.text === 'string' ? [part.text] : [])).join('\n');
}

function outputTokensOf(file: string, value: JsonItem['value'], line: number, { count }: DatasetNeeds): number {
  const key = ['output_tokens', 'max_tokens', 'completion'].find((name) => value[name] !== undefined);
  if (key === undefined) {
    const accepted = 'output_tokens, max_tokens or completion here, or output.tokens in the scenario';
    throw fileFault(file, line, `nothing says how long the answer is; expected ${accepted}`);
  }
  const given = value[key];
  if (key === 'completion') {
    const tokens = typeof given === 'string' ? count(given) : 0;
    if (tokens > 0) return tokens;
    throw fileFault(file, line, `completion: expected the text of an answer, found ${shown(given)}`);
  }
  if (Number.isSafeInteger(given) && (given as number) >= 1) return given as number;
  throw fileFault(file, line, `${key}: expected a whole number of at least 1, found ${shown(given)}`);
}
