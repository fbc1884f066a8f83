/** Which model and which adapters an endpoint is measured with, by what it lists and what is asked for. */
import { describe, expect, it } from 'vitest';
import { adaptersOf, chooseModel, requireAdapters, toBeLoaded } from '../../src/target/endpoint-models.ts';
import { adapterLoad } from '../../src/target/endpoint-probe.ts';

describe('chooseModel', () => {
  const facts = {
    baseUrl: 'http://h/v1',
    baseModels: ['big', 'small'],
    adapters: [
      { name: 'a1', parent: 'big' },
      { name: 'a2', parent: 'small' },
    ],
    server: {},
  };

  it('takes the model asked for, and says what there is instead', () => {
    expect(chooseModel(facts, 'small')).toBe('small');
    expect(() => chooseModel(facts, 'huge')).toThrow(/does not serve "huge"; it has big, small, a1, a2/);
  });

  it('never guesses between several', () => {
    expect(() => chooseModel(facts, null)).toThrow(/serves big, small/);
    expect(() => chooseModel({ ...facts, baseModels: [] }, null)).toThrow(/serves no base model/);
  });

  it('does not take the adapters that are named for base models', () => {
    const flat = { ...facts, baseModels: ['big', 'a1', 'a2'], adapters: [] };
    expect(chooseModel(flat, null, ['a1', 'a2'])).toBe('big');
    expect(chooseModel(flat, 'a1', ['a1', 'a2'])).toBe('a1');
    expect(() => chooseModel(flat, null, ['a1'])).toThrow(
      expect.objectContaining({
        message: 'http://h/v1 serves big, a2, and does not say which of them are adapters (none has a parent)',
        hint: 'name the base model with --model NAME, and the adapters with --adapters a,b or adapters.names',
      }),
    );
    expect(() => chooseModel(flat, null, ['big', 'a1', 'a2'])).toThrow('serves no base model');
  });

  it('gives each model its own adapters', () => {
    expect(adaptersOf(facts, 'small')).toEqual(['a2']);
    // A server may name the parent by a path; with one base model there is no doubt.
    expect(adaptersOf({ ...facts, baseModels: ['served-name'] }, 'served-name')).toEqual(['a1', 'a2']);
  });
});

describe('requireAdapters', () => {
  const facts = {
    baseUrl: 'http://h/v1',
    baseModels: ['big', 'small'],
    adapters: [
      { name: 'sql', parent: 'big' },
      { name: 'law', parent: 'small' },
      { name: 'odd', parent: '/models/big' },
    ],
    server: {},
  };

  it('takes those of the model, and those whose parent is nobody that the server names', () => {
    requireAdapters(facts, 'big', ['sql', 'odd']);
    requireAdapters(facts, 'small', []);
    requireAdapters({ ...facts, adapters: [] }, 'big', ['unlisted']);
    requireAdapters({ ...facts, baseModels: ['served-name'] }, 'served-name', ['sql', 'law']);
  });

  it('says what is missing, and what there is', () => {
    expect(() => requireAdapters(facts, 'big', ['sql', 'slq', 'x'])).toThrow(
      expect.objectContaining({
        code: 'PLAN_INVALID',
        message: 'http://h/v1 has no adapter slq, x; it has sql, law, odd',
        hint: 'did you mean sql?',
      }),
    );
  });

  it('takes those that can be loaded, and is strict where the server is to load what it lacks', () => {
    const load = adapterLoad(null, { new: '/adapters/new', sql: '/adapters/sql' });
    requireAdapters(facts, 'big', ['sql', 'new'], load);
    requireAdapters({ ...facts, adapters: [] }, 'big', ['new'], load);
    expect(() => requireAdapters({ ...facts, adapters: [] }, 'big', ['new', 'other'], load)).toThrow(
      'http://h/v1 has no adapter other, and nothing says where it could load them from; it has big, small',
    );
    expect(toBeLoaded(facts, ['sql', 'new', 'other'], load)).toEqual(['new']);
    expect(toBeLoaded(facts, ['new'], null)).toEqual([]);
    expect(() => requireAdapters(facts, 'big', ['law'], load)).toThrow('adapter law belongs to small');
  });

  it('holds names against a list without parents that has some of them', () => {
    const flat = { ...facts, baseModels: ['big', 'sql', 'law'], adapters: [] };
    requireAdapters(flat, 'big', ['sql', 'law']);
    expect(() => requireAdapters(flat, 'big', ['sql', 'lew'])).toThrow('has no adapter lew; it has big, sql, law');
  });

  it("knows SGLang's way to write an adapter", () => {
    expect(() => requireAdapters(facts, 'big', ['big:sql'])).toThrow(
      expect.objectContaining({ hint: 'did you mean sql?' }),
    );
  });

  it("refuses another model's", () => {
    expect(() => requireAdapters(facts, 'small', ['law', 'sql'])).toThrow(
      'adapter sql belongs to big, not to small, whose adapters are law',
    );
  });
});
