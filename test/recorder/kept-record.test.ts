/** A record that is kept reads the same. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { kept } from '../../src/recorder/kept-record.ts';
import type { RequestRecord } from '../../src/result/schema.ts';
import { record } from '../metrics/records.ts';

it('reads as it was, chunks of unknown tokens and of none included', () => {
  const chunk = fc.tuple(fc.nat(2 ** 40), fc.option(fc.nat(8)));
  fc.assert(
    fc.property(fc.array(chunk), fc.option(fc.string()), (chunks, adapter) => {
      const plain: RequestRecord = { ...record({}), chunks, adapter };
      const one = kept(plain);
      for (const name of Object.keys(plain) as (keyof RequestRecord)[]) expect(one[name]).toEqual(plain[name]);
      expect(one.chunks.at(-1)).toEqual(chunks.at(-1));
    }),
  );
});
