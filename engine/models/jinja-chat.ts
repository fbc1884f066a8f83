/**
 * A folder's chat template as ids: messages in, the template's text out, its markers as ids and the rest tokenized.
 *
 * The text holds what the user wrote as well. So that no message can forge a turn, whatever of a message could be read as a
 * marker gets a stand-in for its first character, one that occurs nowhere else; when the text is there, its markers become
 * ids, and the stand-ins the characters again.
 */
import { type ChatMessage, type ChatTemplate, ChatTemplateError } from './chat-template.ts';
import type { JinjaTemplate } from './jinja-template.ts';
import type { AddedToken } from './tokenizer-file.ts';

export interface JinjaChatOptions {
  controls: readonly AddedToken[];
  /** Control tokens from this id on have no embedding. */
  vocab: number;
  encode(text: string, position: 'first' | 'after special'): IterableIterator<Uint32Array>;
}

export function jinjaChat(template: JinjaTemplate, { controls, vocab, encode }: JinjaChatOptions): ChatTemplate {
  const byContent = new Map(controls.map((control) => [control.content, control]));
  const markers = new RegExp(`(${alternatives(byContent.keys())})`, 'u');
  const protect = protection([...byContent.keys()], template.source);

  return {
    leastMessageTokens: leastMarkers(template, markers),
    prompt(messages) {
      const { guarded, restore } = protect(messages);
      const parts = template.render(guarded).split(markers);
      // Text and markers take turns, text first.
      const markerAt = (i: number) => byContent.get(parts[i] ?? '');
      const texts = parts.map((part, i) => {
        if (i % 2 === 1) return '';
        const text = markerAt(i - 1)?.rstrip ? part.trimStart() : part;
        return restore(markerAt(i + 1)?.lstrip ? text.trimEnd() : text);
      });
      const outside = parts.findIndex((_, i) => i % 2 === 1 && markerAt(i)!.id >= vocab);
      if (outside >= 0) {
        const { content, id } = markerAt(outside)!;
        throw new ChatTemplateError(`it writes "${content}", ${id}, which is past the model's vocab_size, ${vocab}`);
      }
      return {
        texts,
        *pieces() {
          for (const [i, text] of texts.entries()) {
            if (i % 2 === 1) yield Uint32Array.of(markerAt(i)!.id);
            else if (text !== '') yield* encode(text, i === 0 ? 'first' : 'after special');
          }
        },
      };
    },
  };
}

/** Markers that one more message takes, and at least 1. */
function leastMarkers(template: JinjaTemplate, markers: RegExp): number {
  const counts = (['u', 'ua', 'uau'] as const).map((roles) => template.probe(roles)?.split(markers).length ?? 0);
  const [one = 0, two = 0, three = 0] = counts.map((parts) => (parts - 1) / 2);
  return Math.max(1, Math.min(two - one, three - two));
}

/** A pattern for any of the texts, longest first: where two begin at one place, the longer one is meant. None matches nothing. */
const alternatives = (texts: Iterable<string>): string =>
  [...texts]
    .sort((a, b) => b.length - a.length)
    .map((text) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
    .join('|') || '(?!)';

interface Guarded {
  guarded: ChatMessage[];
  /** Puts the characters back that stand-ins stand for. */
  restore(text: string): string;
}

/**
 * Stand-ins for whatever of a message could be read as a marker: a whole one anywhere in it, the beginning of one at its
 * end (what follows could complete it) and the end of one at its beginning. White space around does not count, since
 * templates trim.
 */
function protection(markers: readonly string[], source: string): (messages: readonly ChatMessage[]) => Guarded {
  const whole = new RegExp(`(?=${alternatives(markers)})`, 'gu');
  const lengths = (marker: string) => Array.from({ length: marker.length - 1 }, (_, i) => i + 1);
  const beginnings = new Set(markers.flatMap((marker) => lengths(marker).map((length) => marker.slice(0, length))));
  const endings = new Set(markers.flatMap((marker) => lengths(marker).map((length) => marker.slice(-length))));
  const longest = markers.reduce((most, { length }) => Math.max(most, length), 0);

  /** Places whose character needs a stand-in, in order. */
  const places = (text: string): number[] => {
    const found = new Set(Array.from(text.matchAll(whole), ({ index }) => index));
    const start = text.length - text.trimStart().length;
    const end = text.trimEnd().length;
    for (let length = 1; length < longest && length <= end - start; length++) {
      if (beginnings.has(text.slice(end - length, end))) found.add(end - length);
      if (endings.has(text.slice(start, start + length))) found.add(start);
    }
    return [...found].sort((a, b) => a - b);
  };

  return (messages) => {
    const free = freeCharacters([source, ...markers, ...messages.map(({ content }) => content)]);
    const standIns = new Map<string, string>();
    const standInOf = (character: string): string => {
      const standIn = standIns.get(character) ?? free.next().value;
      if (standIn === undefined) throw new ChatTemplateError('the messages hold every private-use character there is');
      standIns.set(character, standIn);
      return standIn;
    };
    const guarded = messages.map(({ role, content }) => {
      let text = '';
      let from = 0;
      for (const at of places(content)) {
        const character = String.fromCodePoint(content.codePointAt(at)!);
        text += content.slice(from, at) + standInOf(character);
        from = at + character.length;
      }
      return { role, content: text + content.slice(from) };
    });
    const originals = new Map([...standIns].map(([character, standIn]) => [standIn, character]));
    const restore = (text: string) =>
      originals.size === 0 ? text : text.replace(PRIVATE_USE, (character) => originals.get(character) ?? character);
    return { guarded, restore };
  };
}

const PRIVATE_USE = /[\ue000-\uf8ff]/g;

/** Characters of the private-use area that none of the texts has. */
function* freeCharacters(texts: readonly string[]): Generator<string, undefined> {
  const taken = new Set(texts.flatMap((text) => text.match(PRIVATE_USE) ?? []));
  for (let code = 0xe000; code <= 0xf8ff; code++) {
    const character = String.fromCharCode(code);
    if (!taken.has(character)) yield character;
  }
  return undefined;
}
