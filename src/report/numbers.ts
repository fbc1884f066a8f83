/**
 * Numbers as people read them: three significant digits, thousands apart, never a false zero.
 *
 * Plain numbers in, text without a unit out; units stand in headings, so that columns stay narrow. The same functions
 * serve the terminal and the HTML report, so that one figure is never rounded two ways.
 */

/** What stands where there is no figure. */
export const NONE = '–';

const decimals = (value: number, places: number): string =>
  value.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });

/** Three significant digits below 1,000, whole above: 0.0123, 1.23, 12.3, 123, 1,234. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.0005) return value.toExponential(1);
  // Rounding can reach the next power of ten (9.996 is 10.0), so the digits are counted on the rounded value.
  const rounded = Math.abs(Number(value.toPrecision(3)));
  if (rounded >= 100) return decimals(value, 0);
  if (rounded >= 10) return decimals(value, 1);
  if (rounded >= 1) return decimals(value, 2);
  return decimals(value, 3);
}

/** A ratio to the base model: "1.25×". Two places always, since costs near 1 are what matters. */
export const ratioText = (ratio: number): string =>
  Number.isFinite(ratio) ? `${decimals(ratio, ratio >= 100 ? 0 : ratio >= 10 ? 1 : 2)}×` : NONE;

/** A ratio as a change: "+25 %", "−3 %", "±0 %". */
export function changeText(ratio: number): string {
  if (!Number.isFinite(ratio)) return NONE;
  const percent = (ratio - 1) * 100;
  const size = Math.abs(percent) < 10 ? Number(Math.abs(percent).toFixed(1)) : Math.round(Math.abs(percent));
  if (size === 0) return '±0 %';
  return `${percent > 0 ? '+' : '−'}${size.toLocaleString('en-US')} %`;
}

/** A share of 1 as percent: "12.3 %"; a share that is not zero is never shown as zero. */
export function shareText(share: number): string {
  if (!Number.isFinite(share)) return NONE;
  if (share > 0 && share < 0.001) return '< 0.1 %';
  if (share < 1 && share > 0.999) return '> 99.9 %';
  return `${Number((share * 100).toFixed(1))} %`;
}

export const countText = (count: number): string => count.toLocaleString('en-US');

/** "1, 8 and 32". */
export function listText(words: readonly (string | number)[]): string {
  const all = words.map(String);
  return all.length < 2 ? (all[0] ?? '') : `${all.slice(0, -1).join(', ')} and ${all.at(-1)}`;
}

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`;

/** Four significant digits: what a chart, or a histogram of three digits, is good for. */
export const fourDigits = (value: number): number => Number(value.toPrecision(4));
