"""The small random Llama of peft-adapters.py and its tokenizer: made, saved as Hugging Face folders, and loaded again.

Every weight is a small integer times a power of two, so that bf16, f16 and f32 hold it exactly and only arithmetic can
differ. All random numbers of the golden data come from the one generator here, in the order the script asks for them.
"""

import json
import math
import shutil
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).parent
MODEL, SHARDED = HERE / "tiny-llama", HERE / "tiny-llama-sharded"

# Widths that all differ where the architecture lets them, so that no two can be mistaken for one another.
CONFIG = LlamaConfig(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
    vocab_size=120, rms_norm_eps=1e-5, rope_theta=10000.0, max_position_embeddings=256, tie_word_embeddings=False,
    bos_token_id=1, eos_token_id=2, attn_implementation="eager",
)
HEADS, GROUPS, HEAD_DIM = CONFIG.num_attention_heads, CONFIG.num_key_value_heads, CONFIG.head_dim

random = torch.Generator().manual_seed(20)


def normal(*shape):
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def exact(shape, deviation):
    """Integers up to 127 times a power of two: 8 significant bits at most, which bf16, f16 and f32 all hold."""
    step = 2.0 ** round(math.log2(deviation / 73))  # 73: standard deviation of the integers
    return torch.randint(-127, 128, shape, generator=random).to(torch.float64) * step


def make_model():
    model = LlamaForCausalLM(CONFIG).to(torch.float64)
    for name, weight in model.named_parameters():
        if "norm" in name:
            value = 1 + exact(weight.shape, 0.5)
        elif "embed" in name:
            value = exact(weight.shape, 1)
        else:
            # q and k have gain 2, so that attention is far from flat and a wrong position shows.
            gain = 2 if "q_proj" in name or "k_proj" in name else 1
            value = exact(weight.shape, gain / math.sqrt(weight.shape[1]))
        for dtype in (torch.bfloat16, torch.float16):
            if not torch.equal(value.to(dtype).to(torch.float64), value):
                sys.exit(f"{name} is not exact in {dtype}")
        weight.data.copy_(value)
    for folder in (MODEL, SHARDED):
        shutil.rmtree(folder, ignore_errors=True)
    model.to(torch.bfloat16).save_pretrained(MODEL)
    model.to(torch.float32).save_pretrained(SHARDED, max_shard_size="150KB")
    for folder in (MODEL, SHARDED):
        make_tokenizer(folder)


def make_tokenizer(folder):
    """Byte-level BPE over what ASCII prints, so that the folder can be served: 120 ids, as many as the model has."""
    special = ["<pad>", "<s>", "</s>"]
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)] + ["Ġ", "Ċ"]  # space and newline
    merges = [tuple(pair) for pair in ("Ġt", "he", "in", "er", "an", "re", "on", "at", "en", "or", "es", "is", "ed")]
    merges += [("Ġ", "a"), ("Ġt", "he"), ("in", "g"), ("an", "d"), ("Ġ", "s"), ("Ġ", "o"), ("l", "l"), ("o", "u")]
    tokens = special + letters + ["".join(pair) for pair in merges]
    if len(tokens) != CONFIG.vocab_size:
        sys.exit(f"the tokenizer has {len(tokens)} ids, the model {CONFIG.vocab_size}")
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
        "chat_template": "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def base_model():
    return LlamaForCausalLM.from_pretrained(MODEL, dtype=torch.float64, attn_implementation="eager").eval()
