#!/usr/bin/env python3
"""Writes random-f16.json: bits of the engine's seeded random weights, computed a second time in numpy.

The rule is stated in engine/kernels/random-weights.wgsl and is written here from that statement alone:

  h = lowbias32(index ^ key)                              (github.com/skeeto/hash-prospector)
  m = max(((h & 0x7fff) * magnitude) >> 15, smallest)     value = +-m * 2^-exponent, mantissa cut to 11 bits

with a = gain * sqrt(3 / in), magnitude = round(a * 2^exponent) in 32768..65535, and smallest the m below which an f16 would
be subnormal. Run with numpy installed: python3 random-f16.py
"""
import json
import math
import pathlib

import numpy as np

M32 = 0xFFFFFFFF


def lowbias32(value):
    x = np.asarray(value, dtype=np.uint64) & M32
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & M32
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & M32
    return x ^ (x >> np.uint64(16))


def tensor_key(seed, layer, tensor):
    return int(lowbias32(int(lowbias32(seed + 1)) + layer * 64 + tensor))


def values(index, key, fan_in, gain):
    """Exact values in float64, before they are written as f16."""
    a = gain * math.sqrt(3 / fan_in)
    exponent = 15 - math.floor(math.log2(a))
    magnitude = math.floor(a * 2.0**exponent + 0.5)
    if magnitude > 65535:
        exponent -= 1
        magnitude = math.floor(a * 2.0**exponent + 0.5)
    smallest = max(1, 2 ** (exponent - 14))
    h = lowbias32(np.asarray(index, dtype=np.uint64) ^ np.uint64(key))
    m = ((h & np.uint64(0x7FFF)) * np.uint64(magnitude)) >> np.uint64(15)
    m = np.maximum(m, np.uint64(smallest)).astype(np.float64)
    # Cut to 11 significant bits: the bits below the eleventh are dropped, not rounded.
    unit = 2.0 ** (np.floor(np.log2(m)) - 10)
    m = np.floor(m / unit) * unit
    return np.where(h >> np.uint64(31), -m, m) * 2.0**-exponent


def main():
    index = np.array([0, 1, 2, 3, 31, 32, 255, 4095, 65536, 1000003, 58720255, 1050673151], dtype=np.uint64)
    cases = []
    for seed, layer, tensor, fan_in, gain in [
        (0, 0, 1, 4096, 2), (0, 31, 7, 14336, 1), (1, 79, 3, 8192, 1), (7, 0xFFFF, 8, 4096, 1), (7, 0xFFFF, 9, 512, 1),
        (3, 2, 17, 576, 1), (3, 2, 33, 1, 1), (3, 2, 39, 16, 1), (12, 5, 36, 64, 1), (2147483647, 1, 5, 3, 1),
    ]:
        key = tensor_key(seed, layer, tensor)
        exact = values(index, key, fan_in, gain)
        bits = exact.astype(np.float16)
        assert (bits.astype(np.float64) == exact).all(), "every value is an f16 already"
        assert (np.abs(exact) >= 2.0**-14).all(), "none is subnormal"
        cases.append({
            "seed": seed, "layer": layer, "tensor": tensor, "fanIn": fan_in, "gain": gain, "key": key,
            "bits": [int(b) for b in bits.view(np.uint16)],
        })
    out = {"index": [int(i) for i in index], "cases": cases}
    path = pathlib.Path(__file__).with_suffix(".json")
    lines = ",\n    ".join(json.dumps(case) for case in cases)
    path.write_text('{\n  "index": %s,\n  "cases": [\n    %s\n  ]\n}\n' % (json.dumps(out["index"]), lines))


if __name__ == "__main__":
    main()
