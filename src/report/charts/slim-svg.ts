/**
 * Makes vega's SVG small. In: SVG text. Out: the same picture in a fraction of the bytes.
 *
 * A report holds hundreds of drawings. What says nothing in it goes: roles and names below the one labelled figure, defaults, empty
 * shapes, labels that overlap and are not shown, decimals that no eye sees. Neighbours that differ in nothing but their outline, such
 * as a histogram's bars or an axis' ticks, become one path, and what all texts of a group share is said once.
 */
const BALLAST =
  / (?:role|aria-roledescription|aria-hidden|xmlns|xmlns:xlink|version|class|font-family|pointer-events)="[^"]*"| (?:opacity|stroke-width)="1"| transform="translate\(0,0\)"| font-weight="normal"/g;
const EMPTY_SHAPE = /<path(?: d="(?:|M0,0h0v0h0Z)"| display="none"| stroke="[^"]*")+\/>/g;
const UNSEEN_TEXT = /<text [^>]*opacity="0"[^>]*>[^<]*<\/text>/g;
const GEOMETRY = / (?:d|transform|[xy]2)="[^"]*"/g;
const DECIMALS = /-?\d+\.\d{2,}(?:e-?\d+)?/g;
const LINE = /<line(?: transform="translate\(([^,]*),([^)]*)\)")? x2="([^"]*)" y2="([^"]*)"((?: [^>]*)?)\/>/g;
const OUTLINE_AND_NEXT = /<path d="([^"]*)"((?: [^>]*)?)\/>(?:<path d="[^"]*"\2\/>)+/g;
const OUTLINE = / d="([^"]*)"/g;
const TEXTS = /<g>((?:<text [^>]*>[^<]*<\/text>){2,})<\/g>/g;
const INHERITED = / (?:text-anchor|font-size|fill)="[^"]*"/g;

/** A tenth of a CSS pixel. */
const rounded = (geometry: string): string =>
  geometry.replace(DECIMALS, (number) => String(Number(Number(number).toFixed(1))));

const asPath = (_line: string, x = '0', y = '0', dx: string, dy: string, attributes: string): string =>
  `<path d="M${x},${y}${dy === '0' ? `h${dx}` : dx === '0' ? `v${dy}` : `l${dx},${dy}`}"${attributes}/>`;

const joined = (paths: string, _first: string, attributes: string): string => {
  const outlines = [...paths.matchAll(OUTLINE)].map(([, outline]) => outline);
  return `<path d="${outlines.join('')}"${attributes}/>`;
};

function saidOnce(group: string, texts: string): string {
  const all = texts.match(/<text [^>]*>/g) ?? [];
  const shared = (all[0]?.match(INHERITED) ?? []).filter((attribute) => all.every((text) => text.includes(attribute)));
  if (shared.length === 0) return group;
  const bare = shared.reduce((text, attribute) => text.replaceAll(attribute, ''), texts);
  return `<g${shared.join('')}>${bare}</g>`;
}

function withoutEmptyGroups(svg: string): string {
  let before = '';
  let text = svg;
  while (text !== before) {
    before = text;
    text = text.replace(/<g(?: [^>]*)?><\/g>/g, '');
  }
  return text;
}

export const slim = (svg: string): string =>
  withoutEmptyGroups(
    svg
      .replace(UNSEEN_TEXT, '')
      .replace(BALLAST, '')
      .replace(EMPTY_SHAPE, '')
      .replace(GEOMETRY, rounded)
      .replace(LINE, asPath)
      .replace(OUTLINE_AND_NEXT, joined)
      .replace(TEXTS, saidOnce),
  );
