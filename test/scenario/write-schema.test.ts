import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaFilePath, schemaFileText } from '../../src/scenario/write-schema.ts';

type Node = { properties?: Record<string, Node>; description?: string; [key: string]: unknown };

test('scenarios/scenario.schema.json is what the schema gives; `npm run schema` writes it', () => {
  expect(readFileSync(schemaFilePath(), 'utf8')).toBe(schemaFileText());
});

test('every key has a description', () => {
  const bare: string[] = [];
  let keys = 0;
  const visit = (node: unknown, path: string) => {
    if (node === null || typeof node !== 'object') return;
    for (const [key, property] of Object.entries((node as Node).properties ?? {})) {
      keys++;
      if (!property.description) bare.push(`${path}.${key}`);
    }
    for (const [key, child] of Object.entries(node)) visit(child, `${path}/${key}`);
  };
  visit(JSON.parse(schemaFileText()), '');
  expect(bare).toEqual([]);
  expect(keys).toBeGreaterThan(50);
});
