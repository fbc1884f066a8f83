import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namePattern } from '../../../engine/adapter-files/peft-pattern.ts';
import { PatternError } from '../../../engine/adapter-files/peft-pattern-parser.ts';

const Q0 = 'model.layers.0.self_attn.q_proj';
const Q11 = 'model.layers.11.self_attn.q_proj';
const DOWN3 = 'model.layers.3.mlp.down_proj';

/** What Unsloth writes into target_modules. */
const UNSLOTH =
  '(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:q_proj|k_proj|v_proj|o_proj|' +
  'gate_proj|up_proj|down_proj).*?)|(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|' +
  'dense)\\.(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))';

describe('namePattern', () => {
  // Expected by Python 3.11: re.fullmatch(pattern, name) is not None.
  it.each<[string, string, boolean]>([
    ['.*q_proj', Q0, true],
    ['q_proj', Q0, false],
    ['.*q_pro', Q0, false],
    ['.*(q|v)_proj$', Q0, true],
    ['^model\\.layers\\.[0-9]\\..*', Q0, true],
    ['^model\\.layers\\.[0-9]\\..*', Q11, false],
    ['model\\.layers\\.(?P<index>\\d+)\\.self_attn\\.(?:q|k)_proj', Q11, true],
    ['.*layers\\.(1[0-5]|[0-3])\\..*', Q11, true],
    ['.*layers\\.(1[2-5]|[0-3])\\..*', Q11, false],
    ['(?!.*mlp).*_proj', Q0, true],
    ['(?!.*mlp).*_proj', DOWN3, false],
    ['.*(?<!q)_proj', Q0, false],
    ['.*(?<!q)_proj', DOWN3, true],
    ['.*(?<=self_attn\\.)[a-z]_proj', Q0, true],
    ['.*(?=_proj)_proj', Q0, true],
    ['.*\\bq_proj\\b', Q0, true],
    ['.*\\B_proj', Q0, true],
    ['.*\\b_proj', Q0, false],
    ['\\Amodel.*\\Z', Q0, true],
    ['.{31}', Q0, true],
    ['.{32}', Q0, false],
    ['.{,31}', Q0, true],
    ['.{30,}?', Q0, true],
    ['(?:[^.]+\\.){4}[^.]+', Q0, true],
    ['(?:[^.]+\\.){3}[^.]+', Q0, false],
    ['a{b', 'a{b', true],
    ['a{1,b}', 'a{1,b}', true],
    ['[]a]+', 'a]a', true],
    ['[^]a]+', 'bc', true],
    ['[a-]+', 'a-a', true],
    ['[\\w.]+', Q0, true],
    ['[^\\W\\d_]+', 'abc', true],
    ['\\x6d\\u006fdel.*', Q0, true],
    ['(a*)*b', 'aaab', true],
    ['(?:a|ab)(?:c|bcd)(?:d*)', 'abcd', true],
    ['', '', true],
    ['', 'a', false],
    ['a||b', '', true],
    [UNSLOTH, Q11, true],
    [UNSLOTH, 'model.layers.0.mlp.act_fn', false],
    [UNSLOTH, 'lm_head', false],
  ])('%s on %s: %s', (pattern, name, expected) => {
    expect(namePattern(pattern).matches(name)).toBe(expected);
  });

  it('agrees with a backtracking engine on random patterns', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\d', 'ab', '0');
    const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
      piece: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        atom,
        fc
          .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '*?', ''))
          .map(([p, q]) => `(?:${p})${q}`),
        fc.tuple(tie('pattern'), fc.constantFrom('?=', '?!', '?<=', '?<!')).map(([p, look]) => `(${look}${p})`),
      ),
      pattern: fc
        .array(fc.array(tie('piece'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
        .map((choices) => choices.map((pieces) => pieces.join('')).join('|')),
    }));
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '0', '.'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, name, (source, text) => {
        expect(namePattern(source).matches(text)).toBe(new RegExp(`^(?:${source})$`).test(text));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['(a+)+b', 'a'.repeat(60)],
    ['(a|a)*b', 'a'.repeat(60)],
    ['(.*)*(.*)*(.*)*x', Q11],
    ['(?:a?){60}a{60}', 'a'.repeat(60)],
  ])('answers %s at once, which makes others backtrack without end', (pattern, name) => {
    expect(namePattern(pattern).matches(name)).toBe(pattern.startsWith('(?:a?)'));
  });

  it('gives up on what takes too many steps', () => {
    const pattern = namePattern('(?:(?:.*.*.*){9}|'.repeat(20) + 'x' + ')'.repeat(20) + '{40}');
    expect(() => {
      for (let i = 0; i < 10_000; i++) pattern.matches(`${Q11}${i}`);
    }).toThrow(/takes too long to match/);
  });

  it.each([
    ['(a)\\1', /refers back/],
    ['(?P<x>a)(?P=x)', /refers back/],
    ['(?i)a', /flags or an extension/],
    ['(?>a)', /atomic group/],
    ['a++', /possessive/],
    ['a**', /repeats a repetition/],
    ['*a', /repeats nothing/],
    ['^*', /repeats what has no length/],
    ['(a', /"\(" without "\)"/],
    ['a)', /"\)" without "\("/],
    ['[a', /ends too early/],
    ['[b-a]', /wrong range/],
    ['a{3,2}', /most is less/],
    ['\\p{L}', /"\\p", which is not supported/],
    ['\\', /ends too early/],
    ['\\xZ', /2 digits/],
    ['('.repeat(60) + ')'.repeat(60), /deeper than 50/],
    ['a'.repeat(5000), /more than 4000/],
  ])('refuses %s', (pattern, message) => {
    expect(() => namePattern(pattern)).toThrow(PatternError);
    expect(() => namePattern(pattern)).toThrow(message);
  });
});
