/**
 * Makes vega's SVG small. In: SVG text. Out: the same picture in fewer bytes.
 *
 * A report holds hundreds of drawings. What says nothing in it goes: roles and names below the one labelled figure, defaults, empty
 * shapes, decimals that no eye sees. Neighbours that differ in nothing but their outline, such as a histogram's bars, become one path.
 */
const BALLAST =
  / (?:role|aria-roledescription|aria-hidden|xmlns|xmlns:xlink|version|class|font-family|pointer-events)="[^"]*"| (?:opacity|stroke-width)="1"| transform="translate\(0,0\)"/g;
const EMPTY_SHAPE = /<path(?: d="(?:|M0,0h0v0h0Z)"| display="none"| stroke="[^"]*")+\/>/g;
const GEOMETRY = / (?:d|transform|[xy]2)="[^"]*"/g;
const DECIMALS = /-?\d+\.\d{2,}(?:e-?\d+)?/g;
const OUTLINE_AND_NEXT = /<path d="([^"]*)"((?: [^>]*)?)\/>(?:<path d="[^"]*"\2\/>)+/g;
const OUTLINE = / d="([^"]*)"/g;

/** A tenth of a CSS pixel. */
const rounded = (geometry: string): string =>
  geometry.replace(DECIMALS, (number) => String(Number(Number(number).toFixed(1))));

const joined = (paths: string, _first: string, attributes: string): string => {
  const outlines = [...paths.matchAll(OUTLINE)].map(([, outline]) => outline);
  return `<path d="${outlines.join('')}"${attributes}/>`;
};

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
    svg.replace(BALLAST, '').replace(EMPTY_SHAPE, '').replace(GEOMETRY, rounded).replace(OUTLINE_AND_NEXT, joined),
  );
