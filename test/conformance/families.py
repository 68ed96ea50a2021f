"""Writes tiny random models of each family as transformers saves them, and trains them with PEFT in fp32.

usage: families.py FOLDER   leaves FOLDER/NAME/{config.json, model.safetensors}, FOLDER/NAME/{initial,final} (adapters)
and prints as JSON, by NAME, the row's loss before each step, how the base model continues the row, and for each
published config.json the shapes of all its weights

Published configurations are also trained, under their own config.json, at the sizes below.

usage: families.py --score FOLDER   prints by NAME the row's loss with PEFT under FOLDER/NAME/ours and with transformers
under FOLDER/NAME/merged as JSON; a warning is an error
"""

import json
import os
import sys
import warnings
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
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
    "gemma3_text": {"head_dim": 12, "sliding_window": 8, "sliding_window_pattern": 2, "query_pre_attn_scalar": 20},
}
PUBLISHED = json.loads(Path(__file__).with_name("published-configs.json").read_text())
SMALL = {key: SIZES[key] for key in SIZES if key.endswith("_size") or key.startswith("num_") or key.endswith("_token_id")}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROW = [(17 * i * i + 5 * i + 3) % 250 for i in range(32)]
STEPS = 4
NEW_TOKENS = 12


def whole_shapes(published):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**published))
    return {name: list(parameter.shape) for name, parameter in model.named_parameters()}


def shrunk(published):
    head = {"head_dim": 12} if "head_dim" in published else {}
    return {**published, **SMALL, **head, "initializer_range": SIZES["initializer_range"]}


def results(config, folder):
    torch.manual_seed(7)
    base = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    with torch.no_grad():
        for parameter in base.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    base.save_pretrained(folder)
    ids = torch.tensor([ROW])
    asked = {"do_sample": False, "max_new_tokens": NEW_TOKENS, "eos_token_id": -1, "pad_token_id": 0}
    made = base.generate(ids, attention_mask=torch.ones_like(ids), **asked)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    trained = [(key, parameter) for key, parameter in model.named_parameters() if parameter.requires_grad]
    with torch.no_grad():
        for key, parameter in trained:
            if "lora_B" in key:
                parameter.normal_(0.0, 0.1)
    model.save_pretrained(os.path.join(folder, "initial"))
    optimizer = torch.optim.AdamW([parameter for _, parameter in trained], lr=1e-3, weight_decay=0.0)
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model(input_ids=ids, labels=ids).loss
        found.append(loss.item())
        loss.backward()
        optimizer.step()
    model.save_pretrained(os.path.join(folder, "final"))
    return {"losses": found, "continuation": made[0, len(ROW) :].tolist()}


def score(folder):
    ids = torch.tensor([ROW])
    scores = {}
    for name in [*FAMILIES, *PUBLISHED]:
        place = os.path.join(folder, name)
        base = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
        merged = AutoModelForCausalLM.from_pretrained(os.path.join(place, "merged"), dtype=torch.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", FutureWarning)
            adapted = PeftModel.from_pretrained(base, os.path.join(place, "ours"))
        with torch.no_grad():
            scores[name] = [model(input_ids=ids, labels=ids).loss.item() for model in (adapted, merged)]
    print(json.dumps(scores))


def main():
    if sys.argv[1] == "--score":
        return score(sys.argv[2])
    folder = sys.argv[1]
    cases = {}
    for name, overrides in FAMILIES.items():
        cases[name] = results({"model_type": name, **SIZES, **overrides}, os.path.join(folder, name))
    for name, published in PUBLISHED.items():
        place = os.path.join(folder, name)
        cases[name] = results(shrunk(published), place)
        Path(place, "config.json").write_text(json.dumps(shrunk(published)))
    shapes = {name: whole_shapes(published) for name, published in PUBLISHED.items()}
    print(json.dumps({"row": ROW, "cases": cases, "shapes": shapes}))


main()
