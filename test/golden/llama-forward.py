#!/usr/bin/env python3
"""A Llama with LoRA adapters, forward in numpy: the independent half of test/engine/transformer/golden.test.ts.

Written from the formulas, not from the engine: the Llama architecture (Touvron et al. 2023: RMSNorm, RoPE in the
half-split form of the published checkpoints, grouped-query attention, SwiGLU), Llama 3.1's frequency scaling, and LoRA
(Hu et al. 2021: W x + scale * B A x) on all seven projections. A sequence is one dense matrix: no paging, no batching, no
chunks, no cache that could share a mistake with the engine's.

Arithmetic is float64. One thing is rounded, because the engine stores it so: rotated keys and values, to f16 (to nearest,
ties to even), which is what makes its KV cache. Everything else that the engine rounds, it rounds to f32, which is far finer.
How much that f16 rounding moves the logits is measured here by a second pass without it ("kvRounding") and is the scale
that the test's bound is stated in.

Weights and adapters are the engine's seeded random ones. Their bits follow from integers alone (documented at
engine/lora/random-f16.ts) and are computed again here; some of them are in the output, so that a difference is found there
first. Quantised weights are those numbers in groups of 32 along the input, by the rule at engine/kernels/weight-format.ts:
scale = largest / 127 (int8) or / 7 (int4), rounded to f16 and at least 2^-14, and q = value / scale, both to nearest even.
The forward pass is then that of q * scale, so that what is compared is arithmetic, not what quantising costs. Written to
llama-forward.json: geometry, sequences, and after the prompt and after each forced token the argmax, the
top five, the log of the sum of exponentials, and 64 logits.

    pip install numpy && python3 test/golden/llama-forward.py      (a few seconds; only to regenerate)
"""

import json
import math
from pathlib import Path

import numpy as np

FORCED = 3  # teacher-forced tokens after each prompt
WATCHED = 64  # logits kept of each position
SEED = 20
SCALE = 0.5  # alpha / rank of a synthetic adapter

LLAMA32_ROPE = {"factor": 32, "lowFreqFactor": 1, "highFreqFactor": 4, "originalMaxPosition": 8192}
MODELS = [
    {
        "name": "llama-3.2-1b@1/8", "hidden": 256, "intermediate": 1024, "layers": 2, "heads": 4, "kvHeads": 1,
        "headDim": 64, "vocab": 16032, "normEps": 1e-5, "ropeTheta": 500000, "ropeScaling": LLAMA32_ROPE, "tied": True,
    },
    {
        "name": "llama-3-8b@1/8", "hidden": 512, "intermediate": 1792, "layers": 4, "heads": 4, "kvHeads": 1,
        "headDim": 128, "vocab": 16032, "normEps": 1e-5, "ropeTheta": 500000, "ropeScaling": None, "tied": False,
    },
]
ADAPTERS = [
    {"name": "rank-4", "rank": 4, "seed": 1},
    {"name": "rank-7", "rank": 7, "seed": 2},
    {"name": "rank-16", "rank": 16, "seed": 3},
    {"name": "rank-64", "rank": 64, "seed": 4},
]
# (index of the model, format of its weights, sequences). The first has its head tied, and so in f16; the second has not.
QUANTISED = [(0, "int8", [0, 2, 3]), (1, "int4", [0, 2, 3])]
MOST = {"int8": 127, "int4": 7}
GROUP = 32
# (adapter, tokens of the prompt). Lengths fall on, before and after the edge of a KV block of 16.
SEQUENCES = [(None, 24), ("rank-4", 31), ("rank-7", 32), ("rank-16", 33), ("rank-64", 40), (None, 37), ("rank-16", 20)]


# Random weights -------------------------------------------------------------------------------------------------------


def lowbias32(value):
    """Chris Wellons' hash (github.com/skeeto/hash-prospector)."""
    x = np.asarray(value, dtype=np.uint32)
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


TENSOR = {"q": 1, "k": 2, "v": 3, "o": 4, "gate": 5, "up": 6, "down": 7, "embed": 8, "head": 9}
LORA_A, LORA_B = 16, 32  # added to a projection's number
OUTSIDE = 0xFFFF  # the layer that embedding and head belong to


def tensor_key(seed, layer, tensor):
    return int(lowbias32((int(lowbias32(seed + 1)) + layer * 64 + tensor) & 0xFFFFFFFF))


def f16_bits(rows, columns, key, fan_in, gain):
    """[rows, columns] of f16 bits, uniform in (-a, a), a = gain * sqrt(3 / fan_in), never subnormal."""
    a = gain * math.sqrt(3 / fan_in)
    exponent = 15 - math.floor(math.log2(a))
    magnitude = math.floor(a * 2**exponent + 0.5)
    if magnitude > 65535:
        exponent -= 1
        magnitude = math.floor(a * 2**exponent + 0.5)
    smallest = 2 ** (exponent - 14) if exponent > 14 else 1
    h = lowbias32(np.arange(rows * columns, dtype=np.uint32) ^ np.uint32(key)).astype(np.int64)
    m = np.maximum(((h & 0x7FFF) * magnitude) >> 15, smallest)
    e = np.floor(np.log2(m.astype(np.float64))).astype(np.int64)  # exact: m is below 2^16
    bits = ((h >> 31) << 15) | ((e + (15 - exponent)) << 10) | (((m << (15 - e)) >> 5) & 0x3FF)
    return bits.astype(np.uint16).reshape(rows, columns)


def values(bits):
    return bits.view(np.float16).astype(np.float64)


def quantised(exact, weights):
    """[out, in] as the format holds it."""
    if weights == "f16":
        return exact
    groups = exact.reshape(len(exact), -1, GROUP)
    scale = np.abs(groups).max(axis=-1, keepdims=True) / MOST[weights]
    scale = np.maximum(scale, 2.0**-14).astype(np.float16).astype(np.float64)
    return (np.rint(groups / scale) * scale).reshape(exact.shape)


class Weights:
    def __init__(self, g, seed, weights):
        self.g, self.seed = g, seed
        q, kv = g["heads"] * g["headDim"], g["kvHeads"] * g["headDim"]
        # (out, in), gain: q and k have 2, so that random attention is not flat
        self.shapes = {
            "q": (q, g["hidden"], 2), "k": (kv, g["hidden"], 2), "v": (kv, g["hidden"], 1), "o": (g["hidden"], q, 1),
            "gate": (g["intermediate"], g["hidden"], 1), "up": (g["intermediate"], g["hidden"], 1),
            "down": (g["hidden"], g["intermediate"], 1),
        }
        self.layers = [
            {name: quantised(values(self.bits(layer, name)), weights) for name in self.shapes} for layer in range(g["layers"])
        ]
        self.embed = values(self.table("embed"))
        self.head = self.embed if g["tied"] else quantised(values(self.table("head")), weights)
        self.norm = np.ones(g["hidden"])

    def bits(self, layer, name):
        out, fan_in, gain = self.shapes[name]
        return f16_bits(out, fan_in, tensor_key(self.seed, layer, TENSOR[name]), fan_in, gain)

    def table(self, name):
        return f16_bits(self.g["vocab"], self.g["hidden"], tensor_key(self.seed, OUTSIDE, TENSOR[name]), self.g["hidden"], 1)

    def lora_bits(self, adapter, layer, name):
        """A [rank, in] of variance 1 / in, B [out, rank] of variance 1 / rank."""
        out, fan_in, _ = self.shapes[name]
        rank, seed = adapter["rank"], adapter["seed"]
        a = f16_bits(rank, fan_in, tensor_key(seed, layer, LORA_A + TENSOR[name]), fan_in, 1)
        b = f16_bits(out, rank, tensor_key(seed, layer, LORA_B + TENSOR[name]), rank, 1)
        return a, b

    def lora(self, adapter):
        return [
            {name: tuple(map(values, self.lora_bits(adapter, layer, name))) for name in self.shapes}
            for layer in range(self.g["layers"])
        ]


# Forward --------------------------------------------------------------------------------------------------------------


def frequencies(g):
    speed = g["ropeTheta"] ** (-np.arange(0, g["headDim"], 2) / g["headDim"])
    s = g["ropeScaling"]
    if s is None:
        return speed
    turns = s["originalMaxPosition"] * speed / (2 * math.pi)  # full turns within the original context
    smooth = np.clip((turns - s["lowFreqFactor"]) / (s["highFreqFactor"] - s["lowFreqFactor"]), 0, 1)
    return speed * ((1 - smooth) / s["factor"] + smooth)


def rope(x, speed):
    """x [positions, heads, headDim]"""
    angle = np.arange(len(x))[:, None, None] * speed
    low, high = np.split(x, 2, axis=-1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps) * weight


def forward(w, ids, lora, round_kv):
    """Logits [positions, vocab] of one sequence."""
    g = w.g
    count, group = len(ids), g["heads"] // g["kvHeads"]
    speed = frequencies(g)
    stored = (lambda t: t.astype(np.float16).astype(np.float64)) if round_kv else (lambda t: t)
    causal = np.where(np.tri(count, dtype=bool), 0, -np.inf)

    x = w.embed[ids]
    for i, layer in enumerate(w.layers):

        def project(name, h):
            y = h @ layer[name].T
            if lora is not None:
                a, b = lora[i][name]
                y = y + SCALE * ((h @ a.T) @ b.T)
            return y

        h = rms_norm(x, w.norm, g["normEps"])
        q = rope(project("q", h).reshape(count, g["heads"], g["headDim"]), speed)
        k = stored(rope(project("k", h).reshape(count, g["kvHeads"], g["headDim"]), speed))
        v = stored(project("v", h).reshape(count, g["kvHeads"], g["headDim"]))
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(g["headDim"]) + causal
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        attended = np.einsum("hqk,khd->qhd", p, v).reshape(count, -1)
        x = x + project("o", attended)
        h = rms_norm(x, w.norm, g["normEps"])
        gate = project("gate", h)
        x = x + project("down", gate / (1 + np.exp(-gate)) * project("up", h))
    return rms_norm(x, w.norm, g["normEps"]) @ w.head.T


# Output ---------------------------------------------------------------------------------------------------------------


def short(number):
    return float(f"{number:.9g}")


def spread_ids(key, count, below):
    """`count` ids below `below`, from the same hash."""
    return [int(h) % below for h in lowbias32(np.arange(count, dtype=np.uint32) ^ np.uint32(key))]


def golden(g, weights="f16", chosen=range(len(SEQUENCES))):
    w = Weights(g, SEED, weights)
    adapters = {adapter["name"]: adapter for adapter in ADAPTERS}
    watched = sorted(set(spread_ids(7, 2 * WATCHED, g["vocab"])))[:: 2][:WATCHED]
    sequences, rounding = [], []
    for number in chosen:
        name, length = SEQUENCES[number]
        ids = spread_ids(1000 + number, length + FORCED, g["vocab"])
        lora = None if name is None else w.lora(adapters[name])
        logits = forward(w, ids, lora, round_kv=True)[length - 1 :]
        unrounded = forward(w, ids, lora, round_kv=False)[length - 1 :]
        rounding.append((logits - unrounded).reshape(-1))
        after = []
        for row in logits:
            order = np.argsort(-row, kind="stable")[:5]
            largest = row.max()
            after.append({
                "argmax": int(order[0]),
                "top5": [[int(i), short(row[i])] for i in order],
                "logSumExp": short(largest + math.log(np.exp(row - largest).sum())),
                "logits": [short(row[i]) for i in watched],
            })
        sequences.append({"adapter": name, "prompt": ids[:length], "forced": ids[length:], "after": after})
    moved = np.concatenate(rounding)
    hexes = lambda bits: [f"{int(b):04x}" for b in bits.reshape(-1)[[0, 1, -2, -1]]]
    bits = {
        "q": hexes(w.bits(0, "q")),
        "down": hexes(w.bits(g["layers"] - 1, "down")),
        "embed": hexes(w.table("embed")),
        "rank7DownA": hexes(w.lora_bits(adapters["rank-7"], 1, "down")[0]),
        "rank7DownB": hexes(w.lora_bits(adapters["rank-7"], 1, "down")[1]),
    }
    return {
        "geometry": g, "weights": weights, "seed": SEED, "scale": SCALE, "adapters": ADAPTERS, "bits": bits,
        # Two groups of the last layer's second row.
        "down": [float(value) for value in w.layers[-1]["down"][1, : 2 * GROUP]],
        "kvRounding": {"max": short(np.abs(moved).max()), "rms": short(np.sqrt(np.mean(moved**2)))}, "watched": watched, "sequences": sequences,
    }


def main():
    out = Path(__file__).with_suffix(".json")
    # A line for each sequence: small, and a change can still be read.
    goldens = [golden(g) for g in MODELS] + [golden(MODELS[i], weights, chosen) for i, weights, chosen in QUANTISED]
    text = json.dumps(goldens, separators=(",", ":"))
    out.write_text(text.replace('{"adapter":', '\n{"adapter":').replace('{"geometry":', '\n{"geometry":') + "\n")


main()
