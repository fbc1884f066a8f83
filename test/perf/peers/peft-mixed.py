"""peft's mixed batches (`adapter_names` to generate) on transformers: Llama 3 8B with random f16 weights, 64 sequences of 200
tokens in and 200 out over 32 rank-16 adapters on all seven projections, and on the base alone. Prints one JSON line with tokens a
second; gpu-measure.mjs sets its own beside them.
"""
import json
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    quick = "--quick" in sys.argv or not torch.cuda.is_available()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scale = 8 if quick else 1
    sequences, tokens, adapters = (4, 8, 4) if quick else (64, 200, 32)
    config = LlamaConfig(
        hidden_size=4096 // scale,
        intermediate_size=14336 // scale,
        num_hidden_layers=32 // scale,
        num_attention_heads=32 // scale,
        num_key_value_heads=max(1, 8 // scale),
        vocab_size=128256 // scale,
        max_position_embeddings=8192,
        rope_theta=500000.0,
        torch_dtype=torch.float16 if device == "cuda" else torch.float32,
    )
    torch.manual_seed(1)
    dtype = torch.float16 if device == "cuda" else torch.float32
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model = LlamaForCausalLM(config).eval()
    names = [f"a{i}" for i in range(adapters)]
    lora = LoraConfig(r=16, lora_alpha=16, target_modules=PROJECTIONS, init_lora_weights=False)
    model = get_peft_model(model, lora, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, lora)
    model = model.to(device).eval()
    prompt = torch.randint(0, config.vocab_size, (sequences, tokens), device=device)

    def tokens_per_second(adapter_names: list[str]) -> float:
        seconds = []
        for repeat in range(2 if quick else 3):
            synchronize(device)
            began = time.perf_counter()
            with torch.no_grad():
                out = model.generate(
                    input_ids=prompt,
                    attention_mask=torch.ones_like(prompt),
                    adapter_names=adapter_names,
                    min_new_tokens=tokens,
                    max_new_tokens=tokens,
                    do_sample=False,
                    pad_token_id=0,
                )
            synchronize(device)
            if repeat > 0:
                seconds.append(time.perf_counter() - began)
            assert out.shape[1] == 2 * tokens, out.shape
        return sequences * tokens / min(seconds)

    mixed = tokens_per_second([names[i % adapters] for i in range(sequences)])
    base = tokens_per_second(["__base__"] * sequences)
    import peft
    import transformers

    print(
        json.dumps(
            {
                "peft": peft.__version__,
                "transformers": transformers.__version__,
                "torch": torch.__version__,
                "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
                "sequences": sequences,
                "tokens": tokens,
                "adapters": adapters,
                "mixedTokensPerSecond": mixed,
                "baseTokensPerSecond": base,
            }
        )
    )


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
