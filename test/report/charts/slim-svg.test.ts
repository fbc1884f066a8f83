import { expect, test } from 'vitest';
import { slim } from '../../../src/report/charts/slim-svg.ts';

test.each([
  ['roles, defaults and empty groups', '<g role="img" class="a" opacity="1"><g><g></g></g><b/></g>', '<g><b/></g>'],
  ['labels that are not shown', '<g><text opacity="0">40</text><text>50</text></g>', '<g><text>50</text></g>'],
  ['decimals', '<path d="M1.2345,0h-12.8799999v2e-15"/>', '<path d="M1.2,0h-12.9v2e-15"/>'],
  [
    'bars alike',
    '<path d="M0,0h1v1h-1Z" fill="a"/><path d="M2,0h1v3h-1Z" fill="a"/><path d="M4,0h1v3h-1Z" fill="b"/>',
    '<path d="M0,0h1v1h-1ZM2,0h1v3h-1Z" fill="a"/><path d="M4,0h1v3h-1Z" fill="b"/>',
  ],
  [
    'ticks',
    '<line transform="translate(9,0)" x2="0" y2="4" stroke="s"/><line transform="translate(29,0)" x2="0" y2="4" stroke="s"/><line x2="7" y2="0" stroke="s"/><line x2="7" y2="3" stroke="t"/>',
    '<path d="M9,0v4M29,0v4M0,0h7" stroke="s"/><path d="M0,0l7,3" stroke="t"/>',
  ],
  [
    'what all texts of a group share',
    '<g><text fill="a" font-size="12px">1</text><text fill="b" font-size="12px">2</text></g>',
    '<g font-size="12px"><text fill="a">1</text><text fill="b">2</text></g>',
  ],
  ['nothing else', '<text>d="M1.2345" &amp; 1.2345</text>', '<text>d="M1.2345" &amp; 1.2345</text>'],
])('%s', (_, svg, slimmed) => expect(slim(svg)).toBe(slimmed));
