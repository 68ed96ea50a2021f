"""Writes llama.json: a tiny Llama by transformers and PEFT in float64: losses, gradients, a few steps of AdamW.

python3 make-llama.py   (needs torch, transformers, peft; the JSON is committed, so tests need no Python)
"""

import json
import math
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, get_cosine_schedule_with_warmup

CONFIG = {
    "hiddenSize": 16,
    "intermediateSize": 24,
    "layers": 2,
    "heads": 4,
    "kvHeads": 2,
    "headDim": 6,
    "vocabSize": 40,
    "ropeTheta": 100.0,
    "rmsNormEps": 1e-5,
    "maxPositions": 64,
}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RANK, ALPHA = 2, 6
ROWS = [
    {"inputIds": [3, 17, 0, 39, 22, 8, 8, 31, 5], "labels": [-100, -100, 0, 39, 22, -100, 8, 31, 5]},
    {"inputIds": [12, 30, 1, 2], "labels": [12, 30, 1, 2]},
]
STEPS = {"steps": 6, "learningRate": 0.01, "warmupSteps": 2, "weightDecay": 0.1, "clipGradNorm": 0.25}


def wave(shape, seed, scale, offset=0.0):
    values = [offset + scale * math.sin(1.7 * i * (1 + 0.01 * i) + 2.3 * seed + 0.4) for i in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float32).to(torch.float64).reshape(shape)


def model(tied):
    config = LlamaConfig(
        hidden_size=CONFIG["hiddenSize"],
        intermediate_size=CONFIG["intermediateSize"],
        num_hidden_layers=CONFIG["layers"],
        num_attention_heads=CONFIG["heads"],
        num_key_value_heads=CONFIG["kvHeads"],
        head_dim=CONFIG["headDim"],
        vocab_size=CONFIG["vocabSize"],
        rms_norm_eps=CONFIG["rmsNormEps"],
        max_position_embeddings=CONFIG["maxPositions"],
        tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": CONFIG["ropeTheta"]},
        attn_implementation="eager",
    )
    llama = LlamaForCausalLM(config).double()
    with torch.no_grad():
        for index, (_, parameter) in enumerate(llama.named_parameters()):
            norm = parameter.dim() == 1
            parameter.copy_(wave(parameter.shape, index, 0.1 if norm else 0.4, 1.0 if norm else 0.0))
    return llama


def adapted(llama):
    lora = get_peft_model(llama, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, task_type="CAUSAL_LM")).double()
    with torch.no_grad():
        for index, (_, parameter) in enumerate(trained(lora)):
            parameter.copy_(wave(parameter.shape, 100 + index, 0.3))
    return lora


def trained(network):
    return [(name.replace(".default", ""), p) for name, p in network.named_parameters() if p.requires_grad]


def batch():
    width = max(len(row["inputIds"]) for row in ROWS)
    pad = lambda values, filler: values + [filler] * (width - len(values))
    return {
        "input_ids": torch.tensor([pad(row["inputIds"], 0) for row in ROWS]),
        "labels": torch.tensor([pad(row["labels"], -100) for row in ROWS]),
        "attention_mask": torch.tensor([pad([1] * len(row["inputIds"]), 0) for row in ROWS]),
    }


def gradients(network):
    network.zero_grad()
    loss = network(**batch()).loss
    loss.backward()
    return {"loss": loss.item(), "gradients": {name: p.grad.flatten().tolist() for name, p in trained(network)}}


def steps(network):
    parameters = [p for _, p in trained(network)]
    optimizer = torch.optim.AdamW(parameters, lr=STEPS["learningRate"], weight_decay=STEPS["weightDecay"])
    schedule = get_cosine_schedule_with_warmup(optimizer, STEPS["warmupSteps"], STEPS["steps"])
    losses = []
    for _ in range(STEPS["steps"]):
        optimizer.zero_grad()
        loss = network(**batch()).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, STEPS["clipGradNorm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return {"losses": losses, "final": {name: p.flatten().tolist() for name, p in trained(network)}}


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def main():
    golden = {
        "config": CONFIG,
        "rank": RANK,
        "alpha": ALPHA,
        "rows": ROWS,
        "options": STEPS,
        "lora": {"untied": gradients(adapted(model(False))), "steps": steps(adapted(model(False)))},
        "full": {"untied": gradients(model(False)), "tied": gradients(model(True)), "steps": steps(model(True))},
    }
    Path(__file__).with_name("llama.json").write_text(json.dumps(rounded(golden), separators=(",", ":")) + "\n")


main()
