/**
 * Deals the ranks and kinds of a mix over a cell's adapters by their shares. Deterministic, and the same for a prefix: the
 * first four of eight adapters are those that four alone would be, so that cells of one sweep share adapters.
 */
import type { Kind, Kinds, Rank } from '../scenario/scenario.ts';

/** `count` ranks in dealing order. */
export const dealtRanks = (rank: Rank, count: number): number[] =>
  rank.kind === 'one'
    ? Array.from({ length: count }, () => rank.rank)
    : dealt(
        rank.shares.map((share) => ({ value: share.rank, weight: share.weight })),
        count,
      );

/** `count` kinds in dealing order. */
export const dealtKinds = (kinds: Kinds, count: number): Kind[] =>
  kinds.kind === 'one'
    ? Array.from({ length: count }, () => kinds.name)
    : dealt(
        kinds.shares.map((share) => ({ value: share.name, weight: share.weight })),
        count,
      );

/**
 * Smooth weighted round robin: every value gains its share each turn, the richest is dealt and pays the sum of shares; so
 * any run of turns holds the shares as closely as whole numbers can (the method is that of nginx's upstream balancing).
 */
function dealt<T>(shares: readonly { value: T; weight: number }[], count: number): T[] {
  const total = shares.reduce((sum, share) => sum + share.weight, 0);
  const credit = shares.map(() => 0);
  return Array.from({ length: count }, () => {
    let richest = 0;
    shares.forEach((share, i) => {
      credit[i]! += share.weight;
      // Rounding of fractional shares must not decide between equals: the first of them goes first.
      if (credit[i]! > credit[richest]! + 1e-9 * total) richest = i;
    });
    credit[richest]! -= total;
    return shares[richest]!.value;
  });
}
