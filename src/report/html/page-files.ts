/**
 * What a report ships beside vega: its style, and the scripts of ../page as one.
 *
 * Nothing in, texts out, exactly as they will stand between their tags. The scripts are classic ones, checked as such by their own
 * tsconfig.json; here they get one function around them, in the order in which they need each other.
 */
import { readFileSync } from 'node:fs';

const SCRIPTS = [
  'state',
  'draw',
  'download',
  'controls',
  'legend',
  'nav',
  'explore',
  'slo',
  'distributions',
  'close-up',
  'start',
] as const;

const read = (name: string): string => readFileSync(new URL(`../page/${name}`, import.meta.url), 'utf8');

const STYLES = ['colors', 'layout', 'charts', 'tables', 'controls', 'narrow-and-paper'] as const;

export const pageStyle = (): string => STYLES.map((name) => read(`style/${name}.css`)).join('');

export const pageScript = (): string =>
  `(() => {\n'use strict';\n${SCRIPTS.map((name) => read(`${name}.js`)).join('\n')}})();`;
