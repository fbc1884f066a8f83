/**
 * BPE of one long pre-token, a bounded amount of work at a time.
 *
 * The package encodes a pre-token at one go, 6 us a character, so a line without a space would hold up every other
 * request. This merges by the same rule, the lowest-ranked pair first and the leftmost of equals (Sennrich et al. 2016),
 * and gives its caller a turn between. In: characters of the vocabulary's alphabet; out: tokens, each in the vocabulary or
 * a single character that is not.
 */

/** Pairs looked at between two turns: about 2 ms. */
const PAIRS_A_TURN = 2000;
/** Positions below this share a number with a rank, exactly: 2^30 positions, ranks up to 2^22. */
const POSITIONS = 2 ** 30;

/** Gives `undefined` at each turn; returns the tokens. @param rankOf of merging two tokens, or undefined */
export function* mergedInTurns(
  characters: string[],
  rankOf: (left: string, right: string) => number | undefined,
): Generator<undefined, string[]> {
  const tokens: (string | null)[] = characters;
  const count = characters.length;
  const next = Int32Array.from(characters, (_, i) => (i + 1 < count ? i + 1 : -1));
  const previous = Int32Array.from(characters, (_, i) => i - 1);
  const queue = new LeastFirst();
  const rankAt = (left: number): number | undefined => {
    const right = next[left]!;
    const token = tokens[left];
    return right < 0 || token == null ? undefined : rankOf(token, tokens[right]!);
  };
  const enqueue = (left: number) => {
    const rank = rankAt(left);
    if (rank !== undefined) queue.push(rank * POSITIONS + left);
  };

  for (let i = 0; i < count; i++) {
    enqueue(i);
    if (i % PAIRS_A_TURN === PAIRS_A_TURN - 1) yield;
  }
  for (let looked = 1; queue.size > 0; looked++) {
    if (looked % PAIRS_A_TURN === 0) yield;
    const pair = queue.pop();
    const left = pair % POSITIONS;
    // What stands there may have changed since; a pair of other tokens has another rank.
    if (rankAt(left) !== (pair - left) / POSITIONS) continue;
    const right = next[left]!;
    tokens[left] = tokens[left]! + tokens[right]!;
    tokens[right] = null;
    next[left] = next[right]!;
    if (next[left]! >= 0) previous[next[left]!] = left;
    if (previous[left]! >= 0) enqueue(previous[left]!);
    enqueue(left);
  }
  return tokens.filter((token) => token !== null);
}

/** A binary heap of numbers. */
class LeastFirst {
  readonly #heap: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  push(value: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= value) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = value;
  }

  /** Of a heap that is not empty. */
  pop(): number {
    const heap = this.#heap;
    const least = heap[0]!;
    const value = heap.pop()!;
    const size = heap.length;
    if (size === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= value) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = value;
    return least;
  }
}
