#!/usr/bin/env python3
"""Known answers for src/stats/, from scipy where it has the function and from plain numpy where it has not.

Special functions, tails and quantiles (scipy.special, scipy.stats), bounds of means, of values to come and of shares,
intervals of how far two means are apart (scipy.stats.ttest_rel, ttest_ind), the sign-flip test
(scipy.stats.permutation_test), Spearman's rho and p (scipy.stats.spearmanr), the slope of Theil and Sen
(scipy.stats.theilslopes), the ranks of order-statistic intervals (by trying every rank against scipy.stats.binom), and
MSER's cuts, correlation times and effective sizes straight from their definitions, with no shortcut that src/stats/ takes.
Written to statistics.json.

    pip install numpy scipy && python3 test/golden/statistics.py
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy import special, stats

rng = np.random.default_rng(20260923)


def first_order(n, rho, rounded=4):
    """A first-order autoregression with variance 1."""
    noise = rng.standard_normal(n)
    out = [noise[0]]
    for e in noise[1:]:
        out.append(rho * out[-1] + np.sqrt(1 - rho * rho) * e)
    return [round(float(x), rounded) for x in out]


def interval_ranks(p, n, confidence=0.99):
    """The largest l with P(B <= l - 1) <= tail and the smallest u with P(B <= u - 1) >= 1 - tail."""
    tail = (1 - confidence) / 2
    below = stats.binom.cdf(np.arange(n), n, p)  # P(B <= rank - 1) for ranks 1..n
    low = np.flatnonzero(below <= tail)
    high = np.flatnonzero(below >= 1 - tail)
    return None if len(low) == 0 or len(high) == 0 else [int(low[-1]) + 1, int(high[0]) + 1]


def correlation_time(series):
    x = np.asarray(series, float) - np.mean(series)
    n = len(x)
    rho = np.correlate(x, x, "full")[n - 1 :] / np.dot(x, x)
    pairs = rho[0 : n - 1 : 2] + rho[1:n:2]
    positive = np.flatnonzero(pairs <= 0)
    used = pairs[: positive[0]] if len(positive) else pairs
    time = 2 * np.minimum.accumulate(used).sum() - 1
    last = 2 * len(used) - 1
    if time <= 1:
        return {"time": 1.0, "lags": last}
    seen = 1 - (2 * last + 1) / n
    return {"time": float(time / seen) if seen > 0 else None, "lags": last}


def effective_size(above, sizes):
    a, s = np.asarray(above, float), np.asarray(sizes, float)
    p = a.sum() / s.sum()
    z = a - p * s
    time = correlation_time(z)["time"]
    variance = time * len(z) * z.var() / s.sum() ** 2
    return float(min(s.sum(), p * (1 - p) / variance))


def mser_cut(means):
    """Every cut up to half, by the definition: the variance of what stays over how much stays."""
    y = np.asarray(means, float)
    errors = [y[d:].var() / (len(y) - d) for d in range(len(y) // 2 + 1)]
    return int(np.argmin(errors))


def batches(series, size):
    n = len(series) // size
    return np.asarray(series[: n * size]).reshape(n, size).mean(1)


gamma = [{"x": x, "value": float(special.gammaln(x))} for x in (0.5, 1, 2.5, 10, 123.25, 5e6)]
beta = [
    {"a": a, "b": b, "x": x, "value": float(special.betainc(a, b, x))}
    for a, b, x in [(0.5, 0.5, 0.3), (2, 3, 0.1), (2, 3, 0.9), (9, 0.5, 0.97), (500, 20, 0.95), (2.5e6, 2.5e6, 0.5001), (50, 5e4, 0.0012)]
]
student = [{"t": t, "freedom": f, "p": float(2 * stats.t.sf(abs(t), f))} for t, f in [(0, 3), (1.5, 3.7), (-2.2, 18), (4, 11.25), (30, 5)]]
binomial = [
    {"k": k, "n": n, "p": p, "value": float(stats.binom.cdf(k, n, p))}
    for k, n, p in [(0, 8, 0.5), (7, 8, 0.5), (3, 10, 0.3), (525, 528, 0.99), (99000, 100000, 0.99), (2500000, 5000000, 0.5)]
]
ranks = [
    {"p": p, "n": n, "ranks": interval_ranks(p, n)}
    for p, sizes in [
        (0.5, (7, 8, 9, 50, 1000)),
        (0.9, (50, 51, 52, 320)),
        (0.95, (103, 104, 2000)),
        (0.99, (527, 528, 529, 2000, 20000)),
        (0.999, (5295, 5296, 20000)),
    ]
    for n in sizes
]
ranks95 = [{"p": p, "n": n, "ranks": interval_ranks(p, n, 0.95)} for p, n in [(0.9, 35), (0.9, 36), (0.95, 71), (0.95, 72), (0.99, 367), (0.99, 368)]]

spearman = []
for values in [first_order(20, 0.0), first_order(20, 0.8), [1, 2, 2, 3, 3, 3, 5, 4, 9, 9], [5, 4, 3, 3, 1, 2]]:
    rho, p = stats.spearmanr(np.arange(len(values)), values)
    slope = stats.theilslopes(values, np.arange(len(values)))[0]
    spearman.append({"values": values, "rho": float(rho), "p": float(p), "slope": float(slope)})

times = []
for n, rho in [(60, 0.0), (200, 0.5), (300, 0.9), (700, 0.985)]:
    series = first_order(n, rho, 3)
    times.append({"series": series, **correlation_time(series)})
assert times[-1]["lags"] > 64, "one of them must be longer than the lags that are computed one by one"

clusters = []
for requests, rho in [(80, 0.0), (120, 0.8)]:
    sizes = rng.integers(5, 40, requests)
    above = [int(rng.binomial(s, special.expit(-2 + 1.5 * e))) for s, e in zip(sizes, first_order(requests, rho))]
    clusters.append({"above": above, "sizes": sizes.tolist(), "effective": effective_size(above, sizes)})
indicator = [int(x > 1.0) for x in first_order(400, 0.9)]
clusters.append({"above": indicator, "sizes": [1] * 400, "effective": effective_size(indicator, [1] * 400)})

cuts = []
for name, n, shape in [
    ("step", 300, lambda i, n: np.log(2) * (i < 40)),
    ("decay", 400, lambda i, n: 1.5 * np.exp(-i / 30)),
    ("none", 250, lambda i, n: 0.0 * i),
    ("longer than half", 200, lambda i, n: np.log(3) * (i < 140)),
    ("drift", 240, lambda i, n: np.log(1 + 0.3 * i / n)),
]:
    i = np.arange(n)
    series = np.round(0.15 * np.asarray(first_order(n, 0.3)) + shape(i, n), 4).tolist()
    cuts.append({"name": name, "series": series, "cut": mser_cut(batches(series, 5))})

def bounds(values, level):
    """Of the mean, one-sided each, and p of a mean above 0.02."""
    x = np.asarray(values, float)
    low, high = stats.t.interval(1 - 2 * level, len(x) - 1, x.mean(), stats.sem(x))
    p = stats.ttest_1samp(x, 0.02, alternative="greater").pvalue
    return {"values": values, "level": level, "mean": float(x.mean()), "lower": float(low), "upper": float(high), "p": float(p)}


def excess(value, others, level):
    """Of a further value, by the definition of the prediction interval, and p of an excess above 0.02."""
    x = np.asarray(others, float)
    error = x.std(ddof=1) * np.sqrt(1 + 1 / len(x))
    margin = stats.t.isf(level, len(x) - 1) * error
    mean = value - x.mean()
    p = stats.t.sf((mean - 0.02) / error, len(x) - 1)
    return {"value": value, "others": others, "level": level, "lower": float(mean - margin), "upper": float(mean + margin), "p": float(p)}


def sign_flip(values):
    """By scipy's enumeration of all 2^k signs, of the mean."""
    test = stats.permutation_test((np.asarray(values),), lambda x, axis=-1: np.mean(x, axis=axis), permutation_type="samples", alternative="greater", n_resamples=np.inf)
    return {"values": values, "p": float(test.pvalue)}


def share(k, n, level):
    low, _ = stats.binomtest(k, n, alternative="greater").proportion_ci(1 - level)
    _, high = stats.binomtest(k, n, alternative="less").proportion_ci(1 - level)
    return {"k": k, "n": n, "level": level, "lower": float(low), "upper": float(high), "p": float(stats.binom.sf(k - 1, n, 0.01))}


def paired(differences):
    """The 95% interval of the mean of differences of pairs."""
    interval = stats.ttest_rel(differences, np.zeros(len(differences))).confidence_interval(0.95)
    return {"differences": differences, "lower": float(interval.low), "upper": float(interval.high)}


def two_means(xs, ys):
    """The 95% interval of mean(ys) - mean(xs): Welch's; with one value on a side Student's by the other side's spread."""
    if min(len(xs), len(ys)) > 1:
        test = stats.ttest_ind(ys, xs, equal_var=False)
        low, high = test.confidence_interval(0.95)
        return {"xs": xs, "ys": ys, "freedom": float(test.df), "lower": float(low), "upper": float(high)}
    many = np.asarray(xs if len(xs) > 1 else ys)
    freedom = len(many) - 1
    low, high = stats.t.interval(0.95, freedom, np.mean(ys) - np.mean(xs), many.std(ddof=1) * np.sqrt(1 + 1 / len(many)))
    return {"xs": xs, "ys": ys, "freedom": freedom, "lower": float(low), "upper": float(high)}


quantiles = [
    {"tail": tail, "freedom": f, "t": float(stats.t.isf(tail, f))}
    for tail, f in [(0.5, 5), (0.2, 19), (0.05, 1), (0.05 / 3, 5), (0.05 / 72, 11), (1e-6, 19), (0.005, 2.5), (0.01, 1000)]
]
logs = [[round(0.05 * x + shift, 4) for x in rng.standard_normal(k)] for k, shift in [(6, 0.0), (8, 0.05), (12, 0.08), (20, -0.02)]]
means = [bounds(values, level) for values, level in zip(logs, (0.05 / 3, 0.05, 0.05 / 3, 0.001))]
excesses = [excess(0.11, logs[1], 0.05), excess(-0.03, logs[2], 0.05 / 4)]
flips = [sign_flip(values) for values in [*logs[:3], [1.0, 1.0, 1.0, -1.0, 2.0, 0.0], [0.1, 0.2, 0.3, -0.3, 0.3, 0.3, -0.6], [0.0, 0.0]]]
shares = [share(k, n, level) for k, n, level in [(0, 300, 0.05), (3, 1000, 0.05 / 3), (30, 300, 0.001), (50, 50, 0.05)]]
draws = [[round(float(scale * x + shift), 4) for x in rng.standard_normal(k)] for k, scale, shift in [(5, 0.05, 0), (3, 0.2, 0.1), (8, 0.02, 0.05), (1, 0, 0.2)]]
paireds = [paired(values) for values in [*logs[:2], draws[1]]]
two = [two_means(draws[i], draws[j]) for i, j in [(0, 1), (0, 2), (1, 2), (3, 0), (2, 3)]]

golden = {
    "scipy": scipy.__version__,
    "gamma": gamma,
    "beta": beta,
    "student": student,
    "binomial": binomial,
    "ranks": ranks,
    "ranks95": ranks95,
    "spearman": spearman,
    "times": times,
    "clusters": clusters,
    "cuts": cuts,
    "quantiles": quantiles,
    "means": means,
    "excesses": excesses,
    "flips": flips,
    "shares": shares,
    "paired": paireds,
    "two": two,
}
lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
