/**
 * A YAML tree whose every value and key knows where it was written, so that an error found long after parsing, and
 * after merging, can still name line and column.
 *
 * In: a parsed YAML document. Out: Located, which plainOf() turns into plain data and placeOf() into a position.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';

/** Where something was written: "file:12:3", or the --set that said it. */
export interface Place {
  label: string;
  /** For sorting: offset in the file; what --set says comes after the file. */
  order: number;
}

export type Located =
  | { kind: 'scalar'; at: Place; value: unknown }
  | { kind: 'list'; at: Place; items: Located[] }
  | { kind: 'map'; at: Place; entries: Map<string, Entry> };

export interface Entry {
  keyAt: Place;
  value: Located;
}

export type LocatedMap = Extract<Located, { kind: 'map' }>;

/** Names the place of an offset in the text. */
export type PlaceAt = (offset: number) => Place;

export const placesIn =
  (label: string, lines: LineCounter): PlaceAt =>
  (offset) => {
    const { line, col } = lines.linePos(offset);
    return { label: `${label}:${line}:${col}`, order: offset };
  };

/** The tree of a document without errors. Aliases become what they stand for (placed where that was written). */
export function locatedOf(document: Document, placeAt: PlaceAt): Located {
  const convert = (node: unknown, around: Place): Located => {
    if (isAlias(node)) return convert(node.resolve(document), around);
    const at = placeOfNode(node, around, placeAt);
    if (isSeq(node)) return { kind: 'list', at, items: node.items.map((item) => convert(item, at)) };
    if (isMap(node)) {
      const entries = new Map<string, Entry>();
      for (const { key, value } of node.items) {
        const keyAt = placeOfNode(key, at, placeAt);
        entries.set(String(isScalar(key) ? key.value : key), { keyAt, value: convert(value, keyAt) });
      }
      return { kind: 'map', at, entries };
    }
    return { kind: 'scalar', at, value: isScalar(node) ? node.value : (node ?? null) };
  };
  return convert(document.contents, placeAt(0));
}

function placeOfNode(node: unknown, around: Place, placeAt: PlaceAt): Place {
  const range = (node as Node | null)?.range;
  return range ? placeAt(range[0]) : around;
}

export function plainOf(tree: Located): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(plainOf);
  return Object.fromEntries([...tree.entries].map(([key, entry]) => [key, plainOf(entry.value)]));
}

type Path = readonly PropertyKey[];

/** The child under a key or index, if there is one. */
export function childOf(tree: Located | undefined, key: PropertyKey): Entry | undefined {
  if (tree?.kind === 'map') return tree.entries.get(String(key));
  if (tree?.kind === 'list') {
    const item = tree.items[Number(key)];
    return item && { keyAt: item.at, value: item };
  }
  return undefined;
}

/** Where the value at a path stands; if it is absent, the nearest thing around it. */
export function placeOf(tree: Located, path: Path): Place {
  let node = tree;
  for (const key of path) {
    const child = childOf(node, key);
    if (!child) break;
    node = child.value;
  }
  return node.at;
}

/** Where the key at the end of a path stands, if it is there; else as placeOf(). */
export function placeOfKey(tree: Located, path: Path): Place {
  const parent = path.slice(0, -1).reduce<Located | undefined>((node, key) => childOf(node, key)?.value, tree);
  return childOf(parent, path.at(-1) ?? '')?.keyAt ?? placeOf(tree, path);
}
