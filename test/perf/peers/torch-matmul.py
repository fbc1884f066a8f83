"""PyTorch's matrix products on this machine's GPU, of the shapes that a prefill of 2,048 tokens of Llama 3 8B has: the rate that
gpu-measure.mjs's own products are set beside. Random f16 data (zeros run faster), the median of timed batches. Prints one JSON line.
"""
import json
import sys
import time

import torch

ROWS = 2048
SHAPES = {"qkv": (6144, 4096), "o": (4096, 4096), "gateUp": (28672, 4096), "down": (4096, 14336)}


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = ROWS if device == "cuda" else 64
    batches, times = (9, 20) if device == "cuda" else (3, 1)
    results = {}
    for name, (n, k) in SHAPES.items():
        if device == "cpu":
            n, k = n // 8, k // 8
        x = torch.randn(rows, k, dtype=torch.float16 if device == "cuda" else torch.float32, device=device)
        w = torch.randn(n, k, dtype=x.dtype, device=device)
        seconds = []
        for batch in range(batches + 2):
            synchronize(device)
            began = time.perf_counter()
            for _ in range(times):
                x @ w.T
            synchronize(device)
            if batch >= 2:
                seconds.append((time.perf_counter() - began) / times)
        median = sorted(seconds)[len(seconds) // 2]
        results[name] = {"rows": rows, "n": n, "k": k, "seconds": median, "flopsPerSecond": 2 * rows * n * k / median}
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    print(json.dumps({"torch": torch.__version__, "device": name, "results": results}))


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
