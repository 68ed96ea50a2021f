"""Writes tiny random models of each family as transformers saves them, and trains them with PEFT in fp32.

usage: families.py FOLDER   leaves FOLDER/NAME/{config.json, model.safetensors}, FOLDER/NAME/{initial,final} (adapters)
and prints, by NAME, the row's loss before each step as JSON
"""

import json
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 260,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
    "initializer_range": 0.2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES = {
    "llama": {"rope_parameters": LLAMA3},
    "mistral": {"sliding_window": 8},
    "qwen2": {},
    "qwen3": {"head_dim": 12},
    "smollm3": {},
}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROW = [(17 * i * i + 5 * i + 3) % 250 for i in range(32)]
STEPS = 4


def losses(name, folder):
    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **SIZES, **FAMILIES[name]), dtype=torch.float32)
    with torch.no_grad():
        for parameter in base.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    base.save_pretrained(folder)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    trained = [(key, parameter) for key, parameter in model.named_parameters() if parameter.requires_grad]
    with torch.no_grad():
        for key, parameter in trained:
            if "lora_B" in key:
                parameter.normal_(0.0, 0.1)
    model.save_pretrained(os.path.join(folder, "initial"))
    optimizer = torch.optim.AdamW([parameter for _, parameter in trained], lr=1e-3, weight_decay=0.0)
    ids = torch.tensor([ROW])
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        found.append(loss.item())
        loss.backward()
        optimizer.step()
    model.save_pretrained(os.path.join(folder, "final"))
    return found


def main():
    folder = sys.argv[1]
    print(json.dumps({"row": ROW, "losses": {name: losses(name, os.path.join(folder, name)) for name in FAMILIES}}))


main()
