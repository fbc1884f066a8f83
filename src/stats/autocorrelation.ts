/**
 * How much a series repeats itself. In: values in order of time. Out: its autocorrelations, and its correlation time: how
 * many samples say as much as one independent sample would.
 *
 * n samples with correlation time τ give a mean as uncertain as n / τ independent ones do: τ = 1 + 2 (ρ1 + ρ2 + ..)
 * (Bayley & Hammersley 1946, "The 'Effective' Number of Independent Observations in an Autocorrelated Time Series").
 */
import { transform } from './fourier.ts';

/** Lags that are cheaper to compute one by one than with a Fourier transform of everything. */
const DIRECT_LAGS = 64;

/** ρ of a lag from 0 to n - 1, estimated about the series' own mean and with divisor n; NaN where nothing varies. */
export function autocorrelations(series: ArrayLike<number>): (lag: number) => number {
  const n = series.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += series[i] as number;
  const centred = new Float64Array(n);
  for (let i = 0; i < n; i++) centred[i] = (series[i] as number) - sum / n;
  const variance = sumOfProducts(centred, 0);
  let all: Float64Array | null = null;
  return (lag) => {
    if (lag < DIRECT_LAGS) return sumOfProducts(centred, lag) / variance;
    all ??= allSumsOfProducts(centred);
    return (all[lag] as number) / variance;
  };
}

function sumOfProducts(centred: Float64Array, lag: number): number {
  let sum = 0;
  for (let i = lag; i < centred.length; i++) sum += (centred[i] as number) * (centred[i - lag] as number);
  return sum;
}

/** Of every lag at once: the transform of the power spectrum (Wiener-Khinchin), padded so that the ends don't meet. */
function allSumsOfProducts(centred: Float64Array): Float64Array {
  const size = 2 ** Math.ceil(Math.log2(2 * centred.length));
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  real.set(centred);
  transform(real, imaginary);
  for (let i = 0; i < size; i++) {
    real[i] = ((real[i] as number) ** 2 + (imaginary[i] as number) ** 2) / size;
    imaginary[i] = 0;
  }
  transform(real, imaginary);
  return real;
}

/**
 * τ of a series, at least 1; Infinity where it is as long as the series can show, and 1 where nothing varies.
 *
 * The sum over lags ends by Geyer's initial monotone sequence (1992, "Practical Markov Chain Monte Carlo"): pairs
 * ρ(2k) + ρ(2k+1) are added while they are positive, none for more than the one before. Each estimate is too low by the
 * variance of the mean, about τ / n of the series' own (Priestley 1981, section 5.3), which the K lags in the sum make
 * good: τ / (1 - (2K + 1) / n). Without that, short series that depend strongly look independent.
 */
export function correlationTime(series: ArrayLike<number>): number {
  const n = series.length;
  const rho = autocorrelations(series);
  let time = -1;
  let least = Number.POSITIVE_INFINITY;
  let lags = 0;
  for (let k = 0; 2 * k + 1 < n; k++) {
    const pair = rho(2 * k) + rho(2 * k + 1);
    if (!(pair > 0)) break;
    least = Math.min(least, pair);
    time += 2 * least;
    lags = 2 * k + 1;
  }
  if (!(time > 1)) return 1;
  const seen = 1 - (2 * lags + 1) / n;
  return seen > 0 ? time / seen : Number.POSITIVE_INFINITY;
}
