/** Takes a written report apart, the way a browser would: its scripts, styles, data blocks, policy, and visible text. */
import { gunzipSync } from 'node:zlib';

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

export const unescapeHtml = (text: string): string =>
  text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name]!);

export interface Page {
  policy: string;
  scripts: string[];
  styles: string[];
  /** What blocks that no browser runs hold, as JSON text. */
  data: Record<string, string>;
  /** Everything between <body> and the first data block. */
  body: string;
}

export function readPage(html: string): Page {
  const scripts: string[] = [];
  const data: Record<string, string> = {};
  for (const [, attributes, text] of html.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)) {
    const id = /id="([^"]*)"/.exec(attributes!)?.[1];
    if (attributes!.includes('application/gzip')) data[id!] = gunzipSync(Buffer.from(text!, 'base64')).toString();
    else scripts.push(text!);
  }
  return {
    policy: unescapeHtml(/http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!),
    scripts,
    styles: [...html.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, text]) => text!),
    data,
    body: html.slice(html.indexOf('<body>'), html.indexOf('<script')),
  };
}

/** Every table on the page as rows of text, by its caption. */
export function tablesOf(body: string): Map<string, string[][]> {
  const tables = new Map<string, string[][]>();
  for (const [, table] of body.matchAll(/<table[^>]*>(<caption[\s\S]*?)<\/table>/g)) {
    const caption = unescapeHtml(/<caption[^>]*>([^<]*)</.exec(table!)![1]!);
    const rows = [...table!.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
      [...row!.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, text]) =>
        unescapeHtml(text!.replace(/<[^>]*>/g, '')).trim(),
      ),
    );
    tables.set(caption, rows);
  }
  return tables;
}
