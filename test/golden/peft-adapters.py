#!/usr/bin/env python3
"""A small random Llama and adapters of every kind and format, with the logits that transformers and peft give for them.

The independent half of golden-adapters.test.ts in test/engine/transformer and golden.test.ts in test/engine/adapter-files.
Written beside this script:

  tiny-llama/           the model as transformers saves it: bf16, one safetensors file; and a tokenizer of 120 ids
  tiny-llama-sharded/   the same values in f32, in several safetensors files with their index
  adapters/<name>/      what peft's save_pretrained leaves; NeMo archives and the Tied-LoRA form are written here
  peft-adapters.json    prompts, and for the base and each adapter the logits after every position

The model's weights are exact in bf16, f16 and f32 (tiny_llama.py), so that only arithmetic can differ. Adapters are read
back from their files before logits are computed, by peft itself where peft knows the format. NeMo's and Tied-LoRA's are
applied by formula; the same code is first held against peft's own logits.

Arithmetic is float64 but for what transformers always does in f32 (RMSNorm, softmax, rotation), about 1e-6 of a logit.
The engine rounds more: A, B, DoRA's g - 1 and lora_bias to f16 when it packs an adapter, keys and values to f16 in its
cache, and merged weights to f16. How far those roundings move the logits is measured here, adapter by adapter
("rounding", "merged"), and is the scale of the test's bounds.

    pip install torch transformers peft safetensors pyyaml
    PYTHONHASHSEED=0 python3 test/golden/peft-adapters.py     (seconds; the seed only orders lists in peft's files)
"""

import base64
import io
import json
import math
import shutil
import sys
import tarfile

import peft
import torch
import transformers
import yaml
from peft import LoraConfig, PeftModel, VeraConfig, get_peft_model
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.vera.layer import VeraLayer
from safetensors.torch import load_file, save_file
from tiny_llama import CONFIG, GROUPS, HEAD_DIM, HEADS, HERE, base_model, make_model, normal
from transformers.models.llama import modeling_llama

ADAPTERS = HERE / "adapters"
PROMPTS = [[1, 17, 93, 44, 5, 60, 118, 8, 71, 71, 30, 102], [1, 88, 3, 25, 25, 112, 54, 9, 37, 64, 119]]
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHORT = {name: name.removesuffix("_proj") for name in SEVEN}


# Logits ---------------------------------------------------------------------------------------------------------------


def f16(tensor):
    return tensor.to(torch.float16).to(torch.float64)


plain_attention = modeling_llama.eager_attention_forward


def rounded_attention(module, query, key, value, *rest, **named):
    return plain_attention(module, query, f16(key), f16(value), *rest, **named)


@torch.no_grad()
def logits(model, round_cache=False):
    """[positions of all prompts, vocab]"""
    modeling_llama.eager_attention_forward = rounded_attention if round_cache else plain_attention
    try:
        return torch.cat([model(torch.tensor([prompt]), use_cache=False).logits[0] for prompt in PROMPTS])
    finally:
        modeling_llama.eager_attention_forward = plain_attention


def formula(modules, rounded=False, merged=False):
    """Logits with {(layer, name): {a, b, scale, magnitude, bias}} applied to the base.

    LoRA (Hu et al. 2021): W x + scale (B A x + bias). DoRA (Liu et al. 2024): magnitude / |W + scale B A| times
    (W x + scale B A x), the norm of each output row.
    """
    model = base_model()
    stored = f16 if rounded else lambda tensor: tensor
    for (layer, name), change in modules.items():
        block = model.model.layers[layer]
        linear = getattr(block.self_attn if hasattr(block.self_attn, name) else block.mlp, name)
        a, b, scale = stored(change["a"]), stored(change["b"]), change["scale"]
        weight = linear.weight.data + scale * b @ a
        g = torch.ones(len(weight), dtype=torch.float64)
        if change["magnitude"] is not None:
            g = change["magnitude"] / weight.norm(dim=1)
            g = g if merged else 1 + stored(g - 1)
        linear.weight.data = g[:, None] * weight if not merged else stored(g[:, None] * weight)
        if change["bias"] is not None:
            linear.bias = torch.nn.Parameter(scale * stored(change["bias"]))
    return logits(model, round_cache=rounded)


# PEFT's adapters ------------------------------------------------------------------------------------------------------


def fill(model, strength):
    """Random values such as training could leave: the change is `strength` of the base projection's own size."""
    for module in model.modules():
        if isinstance(module, LoraLayer) and module.lora_A:
            a, b = module.lora_A["default"], module.lora_B["default"]
            a.weight.data = (normal(*a.weight.shape) / math.sqrt(a.weight.shape[1])).float()
            spread = strength / (module.scaling["default"] * math.sqrt(b.weight.shape[1]))
            b.weight.data = (normal(*b.weight.shape) * spread).float()
            if b.bias is not None:
                b.bias.data = (normal(*b.bias.shape) * strength / module.scaling["default"]).float()
            if module.lora_magnitude_vector:
                m = module.lora_magnitude_vector["default"].weight
                m.data = (m.data.double() * (1 + 0.3 * normal(*m.shape))).float()
        if isinstance(module, VeraLayer) and module.vera_lambda_d:
            for vector, mean, spread in ((module.vera_lambda_d, 1, 0.5), (module.vera_lambda_b, 0, 2 * strength)):
                parameter = vector["default"]
                parameter.data = (mean + spread * normal(*parameter.shape)).float()


def make_peft(name, config, strength=0.5, dtype=None, binary=False):
    folder = ADAPTERS / name
    model = base_model().to(torch.float32)
    model.name_or_path = "tiny-llama"
    model = get_peft_model(model, config)
    fill(model, strength)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    file = folder / "adapter_model.safetensors"
    state = load_file(file)
    if dtype:
        save_file({key: value.to(dtype) for key, value in state.items()}, file, metadata={"format": "pt"})
    if binary:  # as peft wrote adapters before safetensors, and with safe_serialization=False
        torch.save(state, folder / "adapter_model.bin")
        file.unlink()
    for written in folder.iterdir():  # safetensors makes its files readable to their owner alone
        written.chmod(0o644)
    loaded = PeftModel.from_pretrained(base_model(), folder, autocast_adapter_dtype=False).double().eval()
    modules = {}
    for path, module in loaded.named_modules():
        parts = path.split(".")
        if isinstance(module, LoraLayer) and module.lora_A:
            b, m = module.lora_B["default"], module.lora_magnitude_vector
            modules[int(parts[4]), parts[-1]] = {
                "a": module.lora_A["default"].weight.data, "b": b.weight.data, "scale": module.scaling["default"],
                "bias": None if b.bias is None else b.bias.data, "magnitude": m["default"].weight.data if m else None,
            }
        if isinstance(module, VeraLayer) and module.vera_lambda_d:  # Kopiczko et al. 2024
            d, b = module.vera_lambda_d["default"].data, module.vera_lambda_b["default"].data
            modules[int(parts[4]), parts[-1]] = {
                "a": d[:, None] * module.vera_A["default"][:, : module.in_features],
                "b": b[:, None] * module.vera_B["default"][: module.out_features],
                "scale": 1, "bias": None, "magnitude": None,
            }
    expected = logits(loaded)
    merged = None
    if not getattr(config, "lora_bias", False):  # peft cannot merge one: the base has no bias to put it in
        merged = logits(loaded.merge_and_unload())
        agree(f"{name} merged", merged, expected)
    return modules, expected, merged is not None


def agree(what, got, expected, bound=2e-5):
    worst = (got - expected).abs().max().item()
    if not worst < bound:
        sys.exit(f"{what}: {worst:.2g} from peft's logits, {bound:.2g} accepted")


# NeMo's archives ------------------------------------------------------------------------------------------------------

NEMO_MODULES = {  # Hugging Face's name -> (NeMo's module, its unfused adapter)
    "q_proj": ("self_attention.adapter_layer.lora_unfused_kqv_adapter", "q_adapter."),
    "k_proj": ("self_attention.adapter_layer.lora_unfused_kqv_adapter", "k_adapter."),
    "v_proj": ("self_attention.adapter_layer.lora_unfused_kqv_adapter", "v_adapter."),
    "gate_proj": ("mlp.adapter_layer.lora_unfused_hto4h_adapter", "gate_adapter."),
    "up_proj": ("mlp.adapter_layer.lora_unfused_hto4h_adapter", "up_adapter."),
    "o_proj": ("self_attention.adapter_layer.lora_dense_attention_adapter", ""),
    "down_proj": ("mlp.adapter_layer.lora_4htoh_adapter", ""),
}


def linear_pair(out, fan_in, dim, scale, strength=0.5):
    """(linear_in [dim, in], linear_out [out, dim])"""
    a = normal(dim, fan_in) / math.sqrt(fan_in)
    return a.float(), (normal(out, dim) * strength / (scale * math.sqrt(dim))).float()


def make_nemo(name, variant, prefix, dim, alpha, dtype):
    """A .nemo as NeMo 1.x saves LoRA: names from parallel_adapters.py, config from peft_config.py.

    Fused projections are split as Megatron does it with activations: query, key and value of a group lie together
    (SelfAttention.get_query_key_value_tensors), and the first half of fc1's output goes through the nonlinearity.
    """
    scale = (alpha or dim) / dim
    widths = {key: value.shape for key, value in base_model().state_dict().items()}
    state, modules = {}, {}

    def put(key, pair):
        for part, tensor in zip(("linear_in", "linear_out"), pair):
            state[f"{key}{part}.weight"] = tensor.to(dtype)

    def take(layer, module, a, b):
        modules[layer, module] = {
            "a": a.to(dtype).double(), "b": b.to(dtype).double(), "scale": scale, "bias": None, "magnitude": None,
        }

    for layer in range(CONFIG.num_hidden_layers):
        at = f"{prefix}.layers.{layer}."

        def single(module):
            kind = "self_attn" if module in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            out, fan_in = widths[f"model.layers.{layer}.{kind}.{module}.weight"]
            pair = linear_pair(out, fan_in, dim, scale)
            where, adapter = NEMO_MODULES[module]
            put(f"{at}{where}.{adapter}", pair)
            take(layer, module, *pair)

        single("o_proj")
        single("down_proj")
        if variant == "canonical":
            for module in ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"):
                single(module)
            continue
        a, b = linear_pair((HEADS + 2 * GROUPS) * HEAD_DIM, CONFIG.hidden_size, dim, scale)
        put(f"{at}self_attention.adapter_layer.lora_kqv_adapter.", (a, b))
        queries = HEADS // GROUPS * HEAD_DIM
        by_group = b.view(GROUPS, queries + 2 * HEAD_DIM, dim)
        for module, part in zip(("q_proj", "k_proj", "v_proj"), by_group.split([queries, HEAD_DIM, HEAD_DIM], dim=1)):
            take(layer, module, a, part.reshape(-1, dim))
        a, b = linear_pair(2 * CONFIG.intermediate_size, CONFIG.hidden_size, dim, scale)
        put(f"{at}mlp.adapter_layer.lora_hto4h_adapter.", (a, b))
        for module, part in zip(("gate_proj", "up_proj"), b.chunk(2)):
            take(layer, module, a, part)

    config = {
        "hidden_size": CONFIG.hidden_size, "num_attention_heads": HEADS, "num_query_groups": GROUPS,
        "kv_channels": HEAD_DIM, "ffn_hidden_size": CONFIG.intermediate_size, "num_layers": CONFIG.num_hidden_layers,
        "tensor_model_parallel_size": 1, "pipeline_model_parallel_size": 1,
        "peft": {
            "peft_scheme": "lora",
            "lora_tuning": {
                "variant": variant, "target_modules": ["all"], "adapter_dim": dim, "alpha": alpha,
                "adapter_dropout": 0.0, "column_init_method": "xavier", "row_init_method": "zero",
                "layer_selection": None, "weight_tying": False,
            },
        },
    }
    folder = ADAPTERS / name
    folder.mkdir(parents=True)
    checkpoint = io.BytesIO()
    torch.save(state, checkpoint)
    with tarfile.open(folder / f"{name}.nemo", "w") as tar:
        for file, data in (("model_config.yaml", yaml.safe_dump(config).encode()), ("model_weights.ckpt", checkpoint.getvalue())):
            entry = tarfile.TarInfo(f"./{file}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return modules


# Tied-LoRA ------------------------------------------------------------------------------------------------------------


def make_tied(name, rank, alpha, targets):
    """After Renduchintala et al. 2023: one A and B for all layers, u and v of each layer; the file form is our own."""
    state, modules = {}, {}
    scale = alpha / rank
    block = base_model().model.layers[0]
    for module in targets:
        linear = getattr(block.self_attn if hasattr(block.self_attn, module) else block.mlp, module)
        a, b = linear_pair(linear.out_features, linear.in_features, rank, scale)
        state[f"tied.{module}.A"], state[f"tied.{module}.B"] = a, b
        for layer in range(CONFIG.num_hidden_layers):
            u, v = torch.ones(rank), torch.ones(linear.out_features)
            if module != targets[-1]:  # the last one leaves its vectors out: they are ones then
                u, v = (1 + 0.5 * normal(rank)).float(), (1 + 0.5 * normal(linear.out_features)).float()
                state[f"layers.{layer}.{module}.u"], state[f"layers.{layer}.{module}.v"] = u, v
            modules[layer, module] = {
                "a": (u[:, None] * a).double(), "b": (v[:, None] * b).double(), "scale": scale, "bias": None, "magnitude": None,
            }
    folder = ADAPTERS / name
    folder.mkdir(parents=True)
    save_file(state, folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").chmod(0o644)
    config = {
        "peft_type": "TIED_LORA", "base_model_name_or_path": "tiny-llama", "r": rank, "lora_alpha": alpha,
        "target_modules": targets,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return modules


# All of them ----------------------------------------------------------------------------------------------------------


def packed(tensor):
    return base64.b64encode(tensor.to(torch.float32).numpy().astype("<f4").tobytes()).decode()


def spread(difference):
    return {"max": difference.abs().max().item(), "rms": difference.pow(2).mean().sqrt().item()}


def main():
    transformers.logging.disable_progress_bar()
    torch.manual_seed(20)  # VeRA's projections
    make_model()
    shutil.rmtree(ADAPTERS, ignore_errors=True)
    base = logits(base_model())
    cases = []

    def add(name, kind, form, modules, expected=None, merges=True):
        own = formula(modules)
        if expected is None:
            expected = own
        else:
            agree(f"{name} by formula", own, expected)
        rounding = spread(formula(modules, rounded=True) - expected)
        merged = spread(formula(modules, rounded=True, merged=True) - expected) if merges else None
        change = (expected - base).abs().median().item()
        # Else a loader that leaves something out could pass.
        if not change > 20 * rounding["max"]:
            sys.exit(f"{name}: the median logit changes by {change:.3g}, rounding by {rounding['max']:.3g}")
        print(f"{name:20} change {change:.3f}  rounding {rounding['max']:.5f} rms {rounding['rms']:.6f}", merged)
        cases.append({
            "name": name, "kind": kind, "format": form, "rank": max(m["a"].shape[0] for m in modules.values()),
            "modules": {
                f"{layer}.{SHORT[module]}": [m["a"].shape[0], m["scale"], (m["scale"] * m["b"] @ m["a"]).norm().item()]
                for (layer, module), m in sorted(modules.items(), key=lambda item: (item[0][0], SEVEN.index(item[0][1])))
            },
            "medianChange": change, "rounding": rounding, "merged": merged, "logits": packed(expected),
        })

    def add_peft(name, config, kind="lora", **options):
        modules, expected, merges = make_peft(name, config, **options)
        add(name, kind, "peft", modules, expected, merges)

    add_peft("plain", LoraConfig(r=4, lora_alpha=8, target_modules=SEVEN))
    add_peft("rslora", LoraConfig(r=16, lora_alpha=6, use_rslora=True, target_modules=SEVEN))
    add_peft("patterns", LoraConfig(
        r=4, lora_alpha=8, target_modules=SEVEN,
        rank_pattern={"q_proj": 10, "layers.1.mlp.down_proj": 1, r"layers\.0\..*(gate|up)_proj": 6},
        alpha_pattern={"k_proj": 20, "model.layers.0.mlp.gate_proj": 3},
    ))
    add_peft("regex", LoraConfig(r=8, lora_alpha=8, target_modules=r".*layers\.0\..*\.(q_proj|o_proj)|.*mlp\.up_proj"))
    add_peft("one-layer", LoraConfig(r=5, lora_alpha=10, target_modules=["o_proj", "down_proj"], layers_to_transform=[1]))
    add_peft("lora-bias", LoraConfig(r=4, lora_alpha=6, lora_bias=True, target_modules=SEVEN))
    add_peft("dora", LoraConfig(r=8, lora_alpha=16, use_dora=True, target_modules=SEVEN), "dora")
    add_peft("dora-patterns", LoraConfig(
        r=3, lora_alpha=6, use_dora=True, use_rslora=True, target_modules=["v_proj", "gate_proj", "down_proj"],
        rank_pattern={"down_proj": 12},
    ), "dora")
    add_peft("vera", VeraConfig(r=8, target_modules=SEVEN, save_projection=True), "vera")
    add_peft("q-v-f16", LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]), strength=0.8, dtype=torch.float16)
    add_peft("q-v-bf16", LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]), strength=0.8, dtype=torch.bfloat16)
    add_peft("bin", LoraConfig(r=4, lora_alpha=8, target_modules=SEVEN), binary=True)
    for name, options in {
        "nemo-fused": ("nemo", "model.language_model.encoder", 8, 20, torch.float32),
        "nemo-canonical": ("canonical", "model.decoder", 6, None, torch.bfloat16),
    }.items():
        add(name, "lora", "nemo", make_nemo(name, *options))
    add("tied", "tied", "tied-lora", make_tied("tied", 8, 12, ["q_proj", "v_proj", "up_proj", "down_proj"]))

    golden = {
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
        "prompts": PROMPTS,
        "base": {"rounding": spread(logits(base_model(), round_cache=True) - base), "logits": packed(base)},
        "adapters": cases,
    }
    (HERE / "peft-adapters.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
