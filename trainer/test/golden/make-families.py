"""Writes families.json: tiny models of each family by transformers and PEFT in float64: logits, losses, gradients.

python3 make-families.py   (needs torch, transformers, peft; the JSON is committed, so tests need no Python)
"""

import json
import math
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 32,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
PLAIN = {"rope_type": "default", "rope_theta": 100.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}
LOCAL = {"rope_type": "default", "rope_theta": 20.0}
GEMMA3 = {
    "model_type": "gemma3_text",
    "head_dim": 6,
    "query_pre_attn_scalar": 10,
    "sliding_window": 3,
    "sliding_window_pattern": 2,
}
CASES = {
    "llama with llama3 scaling": {"model_type": "llama", "head_dim": 6, "rope_parameters": LLAMA3},
    "llama with linear scaling": {
        "model_type": "llama",
        "rope_parameters": LINEAR,
    },
    "llama with yarn and two factors": {
        "model_type": "llama",
        "rope_parameters": {**YARN, "original_max_position_embeddings": 16, "mscale": 0.707, "mscale_all_dim": 1.3},
    },
    "llama with dynamic scaling": {
        "model_type": "llama",
        "rope_parameters": {"rope_type": "dynamic", "rope_theta": 100.0, "factor": 4.0},
    },
    "mistral with a window": {"model_type": "mistral", "head_dim": 6, "sliding_window": 3, "rope_parameters": PLAIN},
    "qwen2": {"model_type": "qwen2", "rope_parameters": PLAIN, "tie_word_embeddings": True},
    "qwen2 with yarn and a window": {
        "model_type": "qwen2",
        "rope_parameters": YARN,
        "use_sliding_window": True,
        "sliding_window": 4,
        "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 6, "rope_parameters": PLAIN},
    "smollm3": {"model_type": "smollm3", "rope_parameters": PLAIN, "no_rope_layer_interval": 2},
    "gemma3": {**GEMMA3, "rope_parameters": {"full_attention": PLAIN, "sliding_attention": LOCAL}},
    "gemma3 with linear scaling": {
        **GEMMA3,
        "layer_types": ["full_attention", "sliding_attention"],
        "rope_parameters": {"full_attention": LINEAR, "sliding_attention": LOCAL},
    },
}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA = 2, 6
ROW = [3, 17, 0, 31, 22, 8, 8, 30, 5, 12, 19]


def wave(shape, seed, scale, offset=0.0):
    values = [offset + scale * math.sin(1.7 * i * (1 + 0.01 * i) + 2.3 * seed + 0.4) for i in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float32).to(torch.float64).reshape(shape)


def trained(network):
    return [(name.replace(".default", ""), p) for name, p in network.named_parameters() if p.requires_grad]


def gradients(network):
    ids = torch.tensor([ROW])
    out = network(input_ids=ids, labels=ids)
    out.loss.backward()
    found = {name: p.grad.flatten().tolist() for name, p in trained(network)}
    return {"loss": out.loss.item(), "logits": out.logits[0].tolist(), "gradients": found}


def case(overrides):
    config = AutoConfig.for_model(**SIZES, **overrides)
    config._attn_implementation = "eager"
    network = AutoModelForCausalLM.from_config(config).double()
    with torch.no_grad():
        for index, (_, parameter) in enumerate(network.named_parameters()):
            vector = parameter.dim() == 1
            parameter.copy_(wave(parameter.shape, index, 0.1 if vector else 0.4, 1.0 if vector else 0.0))
    shapes = {name: list(p.shape) for name, p in network.named_parameters()}
    full = gradients(network)
    vectors = {name: full["gradients"][name] for name, shape in shapes.items() if len(shape) == 1}
    lora = get_peft_model(network, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, task_type="CAUSAL_LM"))
    lora.double()
    with torch.no_grad():
        for index, (_, parameter) in enumerate(trained(lora)):
            parameter.copy_(wave(parameter.shape, 100 + index, 0.3))
    return {
        "configJson": config.to_json_string(),
        "shapes": shapes,
        "full": {"loss": full["loss"], "logits": full["logits"], "gradients": vectors},
        "lora": gradients(lora),
    }


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def main():
    golden = {"rank": RANK, "alpha": ALPHA, "row": ROW, "cases": {name: case(c) for name, c in CASES.items()}}
    Path(__file__).with_name("families.json").write_text(json.dumps(rounded(golden), separators=(",", ":")) + "\n")


main()
