#!/usr/bin/env python3
"""Rotation frequencies as transformers computes them, for test/engine/transformer/rope-scaling.test.ts.

For each published configuration: head size, base, Llama 3's scaling or none, and inv_freq (radians a position) of every
pair. transformers computes in f32, so the values hold to about 1e-7 of themselves. Written to rope-scaling.json.

    pip install torch transformers && python3 test/golden/rope-scaling.py
"""

import json
from pathlib import Path

import transformers
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
CONFIGS = {
    "llama-3-8b": (128, 500000.0, None),
    "llama-3.1-8b": (128, 500000.0, {**LLAMA3, "factor": 8.0}),
    "llama-3.2-1b": (64, 500000.0, {**LLAMA3, "factor": 32.0}),
    "llama-3.2-3b": (128, 500000.0, {**LLAMA3, "factor": 32.0}),
    "smollm2-135m": (64, 100000.0, None),
}

cases = []
for model, (head_dim, theta, scaling) in CONFIGS.items():
    config = LlamaConfig(
        hidden_size=4 * head_dim, num_attention_heads=4, head_dim=head_dim, rope_theta=theta, rope_scaling=scaling,
        max_position_embeddings=131072 if scaling else 8192,
    )
    rotary = LlamaRotaryEmbedding(config)
    assert rotary.attention_scaling == 1
    cases.append({"model": model, "headDim": head_dim, "ropeTheta": theta, "scaling": scaling, "frequencies": rotary.inv_freq.tolist()})

golden = {"transformers": transformers.__version__, "cases": cases}
Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")
