/** Text in Markdown: names come from servers, and nothing in them may end a cell, start markup or mention anybody. */
import { plainText } from './terminal.ts';

export const markdownText = (text: string): string =>
  plainText(text)
    .replace(/[\\`*_{}[\]<>|#~]/g, (character) => `\\${character}`)
    .replace(/@/g, '@\u200b');

/** A row of a table. */
export const markdownRow = (cells: readonly string[]): string => `| ${cells.map(markdownText).join(' | ')} |`;
