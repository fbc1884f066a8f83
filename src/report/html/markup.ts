/**
 * HTML that is safe by construction: everything put into a template is escaped unless it is markup already.
 *
 * Values in (text, numbers, markup, lists of these), markup out. Names of models, adapters and errors come from servers,
 * so there is no way round this in the report but `trusted()`, which is for text that this program made itself.
 */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Markup | string | number | null | undefined | false | readonly Part[];

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Safe as text and inside a quoted attribute. Control characters, which HTML forbids, become visible. */
export const escapeHtml = (text: string): string =>
  text
    .replace(/[&<>"']/g, (character) => ENTITIES[character]!)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\uFFFD');

function rendered(part: Part): string {
  if (part === null || part === undefined || part === false) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(rendered).join('');
  return escapeHtml(String(part));
}

/** html`<b>${name}</b>` */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(strings.reduce((text, piece, i) => text + rendered(parts[i - 1]) + piece));
}

/** Markup that this program made: an SVG it drew, a script it ships. Never anything that holds a name. */
export const trusted = (text: string): Markup => new Markup(text);

/** JSON that can stand inside a script element: no "<" that could end it, no line separators. */
export const jsonForScript = (value: unknown): Markup =>
  new Markup(
    JSON.stringify(value).replace(
      /[<>&\u2028\u2029]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  );
