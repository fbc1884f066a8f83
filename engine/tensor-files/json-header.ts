/**
 * JSON of a tensor file's header. JSON.parse keeps the last of two members with one name and says nothing; here that is
 * an error, since two readers could then see two different files in the same bytes.
 */

/** The first name that some object of the text has twice, or null. The text must be JSON that JSON.parse accepts. */
export function duplicateMember(text: string): string | null {
  const objects: (Set<string> | null)[] = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') objects.push(new Set());
    else if (character === '[') objects.push(null);
    else if (character === '}' || character === ']') objects.pop();
    else if (character === '"') {
      const end = endOfString(text, i);
      const names = objects.at(-1);
      if (names && isFollowedByColon(text, end)) {
        const name = JSON.parse(text.slice(i, end)) as string;
        if (names.has(name)) return name;
        names.add(name);
      }
      i = end - 1;
    }
  }
  return null;
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from;
  while (' \t\n\r'.includes(text[i] ?? ':')) i++;
  return text[i] === ':';
}
