/**
 * Keeps secrets out of what servers and sockets say: a server may echo the key it refused. In: the secrets of a client,
 * a text. Out: the text without them, cut to what a record holds.
 */
const DETAIL_LIMIT = 300;
/** Shorter values ("1", "json") are no secrets, and hiding them would garble every message. */
const SHORTEST_SECRET = 8;
const HIDDEN = '***';

/** A function that hides the key and every header's value; "Bearer KEY" hides KEY too. */
export function redactor(apiKey: string | null, headers: Record<string, string>): (text: string) => string {
  const values = [
    ...(apiKey === null ? [] : [apiKey]),
    ...Object.values(headers).flatMap((v) => [v, ...v.split(/\s+/)]),
  ];
  const secrets = [...new Set(values)].filter((value) => value.length >= SHORTEST_SECRET || value === apiKey);
  secrets.sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of secrets) if (secret !== '') clean = clean.replaceAll(secret, HIDDEN);
    const oneLine = clean.replace(/\s+/g, ' ').trim();
    return oneLine.length > DETAIL_LIMIT ? `${oneLine.slice(0, DETAIL_LIMIT - 1)}…` : oneLine;
  };
}
