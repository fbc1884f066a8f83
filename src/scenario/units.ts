/**
 * Durations, rates, sizes and percentages as scenario files and flags write them: a number with its unit.
 *
 * Text in, plain numbers out (milliseconds, events a second, bytes, shares); null for text that is none, since only the caller
 * knows the place to name in the error. A bare number is never taken: its unit would be a guess.
 */

const MS_PER: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const SECONDS_PER: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const BYTES_PER: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

export const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
export const RATE_PATTERN = /^(\d+(?:\.\d+)?)\/(s|m|h)$/;
export const SIZE_PATTERN = /^(\d+(?:\.\d+)?)(B|[KMGT]i?B)$/;
export const PERCENT_PATTERN = /^(\d+(?:\.\d+)?)(%)$/;

export const DURATION_EXPECTED = 'a duration with its unit (ms, s, m or h), such as 500ms, 2s or 10m';
export const RATE_EXPECTED = 'a rate with its unit (/s, /m or /h), such as 4/s';
export const SIZE_EXPECTED = 'a size with its unit (B, KB, MB, GB, KiB, MiB or GiB), such as 24GB';
export const PERCENT_EXPECTED = 'a percentage, such as 5%';

function measured(text: string, pattern: RegExp): { amount: number; unit: string } | null {
  const match = pattern.exec(text.trim());
  return match?.[1] === undefined || match[2] === undefined ? null : { amount: Number(match[1]), unit: match[2] };
}

/** "500ms", "2s", "1.5m", "1h" in milliseconds. */
export function durationMs(text: string): number | null {
  const found = measured(text, DURATION_PATTERN);
  return found && found.amount * (MS_PER[found.unit] ?? Number.NaN);
}

/** "4/s", "120/m", "10/h" in events a second. */
export function ratePerSecond(text: string): number | null {
  const found = measured(text, RATE_PATTERN);
  return found && found.amount / (SECONDS_PER[found.unit] ?? Number.NaN);
}

/** "5%" as a share, 0.05. */
export function percentShare(text: string): number | null {
  const found = measured(text, PERCENT_PATTERN);
  return found && found.amount / 100;
}

/** "24GB" (powers of ten), "80GiB" (powers of two) in bytes, rounded down. */
export function sizeBytes(text: string): number | null {
  const found = measured(text, SIZE_PATTERN);
  return found && Math.floor(found.amount * (BYTES_PER[found.unit] ?? Number.NaN));
}

/** Milliseconds for people: the two coarsest units that matter, such as "850 ms", "12 s", "3 min 20 s", "2 h 5 min". */
export function humanDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** Bytes for people, in powers of ten: "512 B", "1.7 GB", "84 MB". */
export function humanSize(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
