/**
 * Deals the ranks of a mix over a cell's adapters by their shares. Deterministic, and the same for a prefix: the first
 * four of eight adapters have the ranks that four alone would have, so that cells of one sweep share adapters.
 */
import type { Rank } from '../scenario/scenario.ts';

/**
 * `count` ranks in dealing order. Smooth weighted round robin: every rank gains its share each turn, the richest is
 * dealt and pays the sum of shares; so any run of turns holds the shares as closely as whole numbers can (the method is
 * that of nginx's upstream balancing).
 */
export function dealtRanks(rank: Rank, count: number): number[] {
  if (rank.kind === 'one') return Array.from({ length: count }, () => rank.rank);
  const total = rank.shares.reduce((sum, share) => sum + share.weight, 0);
  const credit = rank.shares.map(() => 0);
  return Array.from({ length: count }, () => {
    let richest = 0;
    rank.shares.forEach((share, i) => {
      credit[i]! += share.weight;
      // Rounding of fractional shares must not decide between equals: the smaller rank goes first.
      if (credit[i]! > credit[richest]! + 1e-9 * total) richest = i;
    });
    credit[richest]! -= total;
    return rank.shares[richest]!.rank;
  });
}
