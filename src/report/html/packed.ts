/**
 * Data that a page carries and its script reads: JSON, gzip, base64, in a block that no browser runs.
 *
 * Packed it is a fifth to a tenth as large; and base64 has no character that HTML could take for markup, whatever names are in it.
 */
import { gzipSync } from 'node:zlib';
import { html, type Markup, trusted } from './markup.ts';

/** Wide lines are hard on editors and version control. */
const LINE = 32_000;

export function packedBlock(id: string, value: unknown): Markup {
  const text = gzipSync(JSON.stringify(value), { level: 9 }).toString('base64');
  const lines = text.match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return html`<script type="application/gzip" id="${id}">${trusted(`\n${lines.join('\n')}\n`)}</script>`;
}
