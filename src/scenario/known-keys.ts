/**
 * Which keys the scenario format has where, read from the generated JSON Schema so that there is no second list to keep.
 * Used to suggest names for unknown keys and to check the paths of --set.
 */
import { scenarioJsonSchema } from './schema.ts';

type JsonSchema = {
  $ref?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  definitions?: Record<string, JsonSchema>;
};

let cached: JsonSchema | undefined;

function root(): JsonSchema {
  cached ??= scenarioJsonSchema() as JsonSchema;
  return cached;
}

/** A schema and all it may stand for: references followed, alternatives side by side. */
function alternatives(schema: JsonSchema): JsonSchema[] {
  const referred = schema.$ref === undefined ? [] : [root().definitions?.[schema.$ref.split('/').at(-1) ?? ''] ?? {}];
  const inner = [...referred, ...(schema.anyOf ?? []), ...(schema.allOf ?? [])];
  return [schema, ...inner.flatMap(alternatives)];
}

export interface KnownKeys {
  names: string[];
  /** Any other name is fine too: headers, weights by adapter name and the like. */
  anyName: boolean;
}

/** The schemas that describe the value at a path, list indices included. */
function schemasAt(path: readonly PropertyKey[]): JsonSchema[] {
  let here = alternatives(root());
  for (const key of path) {
    here = here.flatMap((schema) => {
      const next = typeof key === 'number' ? schema.items : (schema.properties?.[String(key)] ?? openValue(schema));
      return next === undefined ? [] : alternatives(next);
    });
  }
  return here;
}

/** What additionalProperties says of any name: a schema, or {} for "anything". */
function openValue(schema: JsonSchema): JsonSchema | undefined {
  const open = schema.additionalProperties;
  return open === true ? {} : open === false ? undefined : open;
}

/** Names that may stand in the mapping at a path, over all forms that mapping can have. */
export function knownKeysAt(path: readonly PropertyKey[]): KnownKeys {
  const schemas = schemasAt(path);
  const names = new Set(schemas.flatMap((schema) => Object.keys(schema.properties ?? {})));
  return { names: [...names], anyName: schemas.some((schema) => openValue(schema) !== undefined) };
}
