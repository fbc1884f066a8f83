/**
 * The READMEs, taken apart. In: the repository. Out: each Markdown page with its fenced blocks, headings and links, each with its line,
 * so that what does not hold can be told as file:line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** What a reader measures or makes while following the pages lies elsewhere, and is nobody's business. */
const FOLDERS = ['.build', '.ci', '.github', 'engine', 'reports', 'scenarios', 'src', 'test'];
const REPORTS = ['devices', 'baselines', 'examples'];

export interface Block {
  page: string;
  line: number;
  /** "sh", "yaml", ..; empty for a drawing. */
  language: string;
  text: string;
  /** The heading that it stands under. */
  heading: string;
}

export interface Page {
  /** From the root, with "/". */
  path: string;
  blocks: Block[];
  /** As GitHub makes them of headings; the second of two alike is "name-1". */
  anchors: string[];
  links: { line: number; to: string }[];
  /** `code` within sentences. */
  code: { line: number; text: string }[];
}

/** Every file of the repository that may be committed, from the root, with "/". */
export function filesIn(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name).split(sep).join('/');
    if (entry.isDirectory()) return isOurs(folder, entry.name) ? filesIn(path) : [];
    return entry.isFile() ? [path] : [];
  });
}

function isOurs(folder: string, name: string): boolean {
  if (folder === '') return FOLDERS.includes(name);
  return folder === 'reports' ? REPORTS.includes(name) : name !== '__pycache__';
}

/** Pages that people write; those in reports/examples/ are results. */
export const pages = (): Page[] =>
  filesIn()
    .filter((path) => path.endsWith('.md') && !path.startsWith('reports/examples/'))
    .map((path) => pageOf(path, readFileSync(join(ROOT, path), 'utf8')));

export function pageOf(path: string, text: string): Page {
  const page: Page = { path, blocks: [], anchors: [], links: [], code: [] };
  let open: Block | null = null;
  let heading = '';
  text.split('\n').forEach((line, i) => {
    const fence = /^\s*```(?<language>\S*)\s*$/.exec(line);
    if (open !== null) {
      if (fence === null) open.text += `${line}\n`;
      else open = null;
      return;
    }
    if (fence !== null) {
      open = { page: path, line: i + 1, language: fence.groups?.['language'] ?? '', text: '', heading };
      page.blocks.push(open);
      return;
    }
    const title = /^#{1,6} (?<title>.+)$/.exec(line)?.groups?.['title'];
    if (title !== undefined) {
      heading = title;
      page.anchors.push(anchorOf(title, page.anchors));
    }
    for (const [, to] of line.matchAll(/\]\((?<to>[^)\s]+)\)/g)) page.links.push({ line: i + 1, to: to! });
    for (const [, code] of line.matchAll(/`(?<code>[^`]+)`/g)) page.code.push({ line: i + 1, text: code! });
  });
  return page;
}

/** GitHub's: lower case, no punctuation but dashes and underscores, spaces as dashes. */
function anchorOf(title: string, before: readonly string[]): string {
  const name = title
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
  const same = before.filter((one) => one === name || one.replace(/-\d+$/, '') === name).length;
  return same === 0 ? name : `${name}-${same}`;
}
