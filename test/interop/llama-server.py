#!/usr/bin/env python3
"""llama.cpp's own server on a free port: {"url", "version"} on stdout when it can be used, gone when stdin closes.

    python3 llama-server.py f32|f16 MODEL.gguf [ADAPTER.gguf ..] [--slots N] [--threads N]

f32 or f16 is how it keeps keys and values. Adapters are loaded and not applied: a request names them ("lora": [{"id",
"scale"}], ids in the order given here). No flash attention, whose sums are rounded otherwise; one slot unless told
otherwise, since a slot answers one adapter at a time. The model is called "smollm2".
"""

import argparse
import json
import os
import sys

import xllamacpp as llama

parser = argparse.ArgumentParser()
parser.add_argument("cache", choices=["f32", "f16"])
parser.add_argument("model")
parser.add_argument("adapters", nargs="*")
parser.add_argument("--slots", type=int, default=1)
parser.add_argument("--threads", type=int, default=min(4, os.cpu_count() or 1))
args = parser.parse_args()

params = llama.CommonParams()
params.model.path = args.model
params.model_alias = {"smollm2"}
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 2048, args.slots, args.threads
params.cache_type_k = params.cache_type_v = getattr(llama.ggml_type, f"GGML_TYPE_{args.cache.upper()}")
params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
params.lora_adapters = [llama.CommonAdapterLoraInfo(path, 0.0) for path in args.adapters]
params.lora_init_without_apply = True
params.cache_ram_mib = 0
server = llama.Server(params)
print(json.dumps({"url": server.listening_address, "version": llama.__version__}), flush=True)
sys.stdin.read()
os._exit(0)  # the server's threads hold nothing that needs an orderly end
