/**
 * Reads a Python regular expression into a tree (peft-pattern.ts matches it). What has no place in a name's pattern or would
 * need more than sets of positions is refused by name: back-references, atomic groups, possessive repetition, flags.
 */

/** What is wrong with a pattern; the message completes the sentence "the pattern ...". */
export class PatternError extends Error {
  override readonly name = 'PatternError';
}

export type PatternNode = { id: number } & (
  | { kind: 'character'; accepts(character: string): boolean }
  | { kind: 'sequence'; parts: PatternNode[] }
  | { kind: 'either'; choices: PatternNode[] }
  | { kind: 'repeat'; part: PatternNode; least: number; most: number }
  | { kind: 'anchor'; where: 'start' | 'end' | 'boundary' | 'inside' }
  | { kind: 'look'; part: PatternNode; behind: boolean; negative: boolean }
);

const LONGEST = 4000;
const DEEPEST = 50;
const CLASSES: Readonly<Record<string, RegExp>> = {
  d: /[0-9]/,
  D: /[^0-9]/,
  w: /\w/,
  W: /\W/,
  s: /\s/,
  S: /\S/,
};
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v', a: '\x07' };

/** @throws PatternError */
export function parsePattern(source: string): { root: PatternNode; nodes: number } {
  if (source.length > LONGEST) throw new PatternError(`has ${source.length} characters, more than ${LONGEST}`);
  const parser = new Parser(source);
  return { root: parser.whole(), nodes: parser.nodes };
}

class Parser {
  nodes = 0;
  #at = 0;
  #depth = 0;
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): PatternNode {
    const root = this.#either();
    if (this.#at < this.#source.length) this.#fail('has a ")" without "("');
    return root;
  }

  #fail(problem: string): never {
    throw new PatternError(`${problem} (character ${this.#at + 1})`);
  }

  #peek(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#peek(text)) return false;
    this.#at += text.length;
    return true;
  }

  #next(): string {
    const character = this.#source[this.#at++];
    return character ?? this.#fail('ends too early');
  }

  #either(): PatternNode {
    if (++this.#depth > DEEPEST) this.#fail(`nests groups deeper than ${DEEPEST}`);
    const choices = [this.#sequence()];
    while (this.#take('|')) choices.push(this.#sequence());
    this.#depth--;
    return choices.length === 1 ? choices[0]! : { id: this.nodes++, kind: 'either', choices };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#source.length && !this.#peek('|') && !this.#peek(')')) parts.push(this.#repeated());
    return { id: this.nodes++, kind: 'sequence', parts };
  }

  #repeated(): PatternNode {
    const part = this.#single();
    const counts = this.#counts();
    if (!counts) return part;
    if (part.kind === 'anchor') this.#fail('repeats what has no length');
    if (this.#take('+')) this.#fail('uses possessive repetition, which is not supported');
    this.#take('?');
    if (this.#counts()) this.#fail('repeats a repetition');
    return { id: this.nodes++, kind: 'repeat', part, ...counts };
  }

  /** A repetition at this place, if there is one. Python takes a brace that begins none as itself. */
  #counts(): { least: number; most: number } | null {
    if (this.#take('*')) return { least: 0, most: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { least: 1, most: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { least: 0, most: 1 };
    const braces = /^\{(?:(\d+)|(\d*),(\d*))\}/.exec(this.#source.slice(this.#at, this.#at + 30));
    if (!braces) return null;
    this.#at += braces[0].length;
    const [, exactly, from, to] = braces;
    const least = Number(exactly ?? (from || 0));
    const most = exactly !== undefined ? least : to ? Number(to) : Number.POSITIVE_INFINITY;
    if (most < least) this.#fail('has a repetition whose most is less than its least');
    return { least, most };
  }

  #single(): PatternNode {
    const character = this.#next();
    if (character === '(') return this.#group();
    if (character === '[') return this.#set();
    if (character === '.') return this.#accepting((c) => c !== '\n');
    if (character === '^') return { id: this.nodes++, kind: 'anchor', where: 'start' };
    if (character === '$') return { id: this.nodes++, kind: 'anchor', where: 'end' };
    if (character === '\\') return this.#escape();
    if ('*+?'.includes(character)) this.#fail('repeats nothing');
    return this.#accepting((c) => c === character);
  }

  #accepting(accepts: (character: string) => boolean): PatternNode {
    return { id: this.nodes++, kind: 'character', accepts };
  }

  #escape(): PatternNode {
    const character = this.#next();
    const anchors = { A: 'start', Z: 'end', b: 'boundary', B: 'inside' } as const;
    if (character in anchors) {
      return { id: this.nodes++, kind: 'anchor', where: anchors[character as keyof typeof anchors] };
    }
    if (/[1-9]/.test(character)) this.#fail('refers back to a group, which is not supported');
    return this.#accepting(this.#escaped(character));
  }

  /** What stands behind a backslash, in a set or outside. */
  #escaped(character: string): (character: string) => boolean {
    const known = Object.hasOwn(CLASSES, character) ? CLASSES[character] : undefined;
    if (known) return (c) => known.test(c);
    const literal = this.#literal(character);
    return (c) => c === literal;
  }

  #literal(character: string): string {
    if (Object.hasOwn(CONTROLS, character)) return CONTROLS[character]!;
    const digits = { x: 2, u: 4, U: 8 }[character];
    if (digits !== undefined) {
      const code = this.#source.slice(this.#at, this.#at + digits);
      if (!/^[0-9a-fA-F]+$/.test(code) || code.length !== digits || Number.parseInt(code, 16) > 0x10ffff) {
        this.#fail(`has "\\${character}" without its ${digits} digits`);
      }
      this.#at += digits;
      return String.fromCodePoint(Number.parseInt(code, 16));
    }
    if (/[A-Za-z0-9]/.test(character)) this.#fail(`uses "\\${character}", which is not supported`);
    return character;
  }

  #group(): PatternNode {
    const named = /^\?P<[A-Za-z_]\w*>/.exec(this.#source.slice(this.#at, this.#at + 100));
    if (named) this.#at += named[0].length;
    else if (this.#take('?:')) return this.#closed();
    else if (this.#take('?=')) return this.#look(false, false);
    else if (this.#take('?!')) return this.#look(false, true);
    else if (this.#take('?<=')) return this.#look(true, false);
    else if (this.#take('?<!')) return this.#look(true, true);
    else if (this.#peek('?P=')) this.#fail('refers back to a group, which is not supported');
    else if (this.#peek('?>')) this.#fail('uses an atomic group, which is not supported');
    else if (this.#peek('?')) this.#fail('uses flags or an extension after "(?", which is not supported');
    return this.#closed();
  }

  #closed(): PatternNode {
    const part = this.#either();
    if (!this.#take(')')) this.#fail('has a "(" without ")"');
    return part;
  }

  #look(behind: boolean, negative: boolean): PatternNode {
    return { id: this.nodes++, kind: 'look', part: this.#closed(), behind, negative };
  }

  #set(): PatternNode {
    const negative = this.#take('^');
    const members: ((character: string) => boolean)[] = [];
    for (let first = true; first || !this.#take(']'); first = false) {
      const from = this.#member();
      const range = this.#peek('-') && !this.#peek('-]');
      if (range) {
        this.#at++;
        const to = this.#member();
        if (typeof from !== 'string' || typeof to !== 'string' || to < from) this.#fail('has a set with a wrong range');
        members.push((c) => c >= from && c <= to);
      } else members.push(typeof from === 'string' ? (c) => c === from : from);
    }
    return this.#accepting((c) => members.some((accepts) => accepts(c)) !== negative);
  }

  /** One character of a set, or a class of them. */
  #member(): string | ((character: string) => boolean) {
    const character = this.#next();
    if (character !== '\\') return character;
    const escaped = this.#next();
    if (escaped === 'b') return '\b';
    if (Object.hasOwn(CLASSES, escaped)) return this.#escaped(escaped);
    return this.#literal(escaped);
  }
}
