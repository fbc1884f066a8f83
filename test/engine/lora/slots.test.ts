/** Slots and pages: never two owners, never lost, and never free while somebody still uses them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdapterSlots, pagesFor, RANKS_PER_PAGE, type ResidentAdapter } from '../../../engine/lora/slots.ts';

const MAX_RANK = 64;

type Move = { add: number } | { remove: number } | { use: number } | { leave: number };
const moves = fc.array(
  fc.oneof(
    fc.record({ add: fc.integer({ min: 1, max: MAX_RANK }) }),
    fc.record({ remove: fc.nat(20) }),
    fc.record({ use: fc.nat(20) }),
    fc.record({ leave: fc.nat(20) }),
  ),
  { maxLength: 80 },
);

it('hold for any loads, unloads and users', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 6 }), moves, async (slots, made: Move[]) => {
      const table = new AdapterSlots(slots, MAX_RANK);
      /** All that hold memory: loaded ones, and those unloaded while in use. */
      const alive = new Set<ResidentAdapter>();
      const removed = new Map<ResidentAdapter, Promise<boolean>>();
      const pick = (i: number): ResidentAdapter | undefined => [...alive][i % Math.max(1, alive.size)];
      const settle = () => new Promise((resolve) => setImmediate(resolve));
      let names = 0;
      for (const move of made) {
        if ('add' in move) {
          const adapter = table.add(`a${names++}`, 'test', move.add, 1);
          expect(adapter === null).toBe(alive.size === slots);
          if (adapter) {
            expect(adapter.pages.length).toBe(Math.ceil(move.add / RANKS_PER_PAGE));
            alive.add(adapter);
          }
        } else if ('remove' in move) {
          const adapter = pick(move.remove);
          if (!adapter || removed.has(adapter)) continue;
          removed.set(adapter, table.remove(adapter.name));
          expect(table.get(adapter.name)).toBeUndefined();
        } else if ('use' in move) {
          const adapter = pick(move.use);
          if (adapter && !removed.has(adapter)) adapter.users++;
        } else {
          const adapter = pick(move.leave);
          if (adapter && adapter.users > 0) adapter.release();
        }
        await settle();
        for (const adapter of alive) {
          if (!removed.has(adapter) || adapter.users > 0) continue;
          expect(await removed.get(adapter)).toBe(true);
          alive.delete(adapter);
        }
        const pages = [...alive].flatMap((adapter) => adapter.pages);
        expect(new Set(pages).size).toBe(pages.length);
        expect(pages.every((page) => page >= 0 && page < table.pages)).toBe(true);
        const taken = [...alive].map(({ slot }) => slot);
        expect(new Set(taken).size).toBe(taken.length);
        expect(taken.every((slot) => slot >= 0 && slot < slots)).toBe(true);
        expect(new Set(table.list())).toEqual(new Set([...alive].filter((adapter) => !removed.has(adapter))));
      }
      // Once everybody has left, all of it can be had again.
      for (const adapter of alive) {
        const gone = removed.get(adapter) ?? table.remove(adapter.name);
        while (adapter.users > 0) adapter.release();
        expect(await gone).toBe(true);
      }
      for (let i = 0; i < slots; i++) expect(table.add(`last ${i}`, 'test', MAX_RANK, 1)).not.toBeNull();
      expect(table.add('one too many', 'test', 1, 1)).toBeNull();
    }),
    { numRuns: 60 },
  );
});

describe('unloading', () => {
  it('waits for the last user', async () => {
    const table = new AdapterSlots(1, 8);
    const adapter = table.add('a', 'test', 8, 1)!;
    adapter.users = 2;
    let gone = false;
    const removed = table.remove('a').then((found) => {
      gone = true;
      return found;
    });
    adapter.release();
    await new Promise((resolve) => setImmediate(resolve));
    expect([gone, table.get('a'), table.add('b', 'test', 8, 1)]).toEqual([false, undefined, null]);
    adapter.release();
    expect(await removed).toBe(true);
    expect(table.add('b', 'test', 8, 1)).not.toBeNull();
  });

  it('says when there is none', async () => {
    expect(await new AdapterSlots(1, 8).remove('nobody')).toBe(false);
  });
});

it('have a page for every 8 ranks begun', () => {
  expect([pagesFor(0, 64), pagesFor(3, 1), pagesFor(3, 8), pagesFor(2, 9), pagesFor(32, 64)]).toEqual([
    0, 3, 3, 4, 256,
  ]);
});
