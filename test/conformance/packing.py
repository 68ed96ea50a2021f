"""Trains a tiny random Llama with PEFT on packed rows: position_ids that begin anew, a block mask, masked first labels.

usage: packing.py FOLDER < rows.json, a list of rows {"inputIds", "labels", "segmentLengths"}; leaves FOLDER/model,
FOLDER/initial, FOLDER/final and prints the loss before each step as JSON
"""

import json
import os
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

folder = sys.argv[1]
rows = json.load(sys.stdin)
length = max(len(row["inputIds"]) for row in rows)

torch.manual_seed(11)
config = AutoConfig.for_model(
    "llama",
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=260,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
    initializer_range=0.2,
    attn_implementation="eager",
)
base = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
base.save_pretrained(os.path.join(folder, "model"))
lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM")
model = get_peft_model(base, lora)
trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
with torch.no_grad():
    for name, parameter in trained:
        if "lora_B" in name:
            parameter.normal_(0.0, 0.1)
model.save_pretrained(os.path.join(folder, "initial"))

ids = torch.zeros(len(rows), length, dtype=torch.long)
labels = torch.full((len(rows), length), -100)
positions = torch.zeros(len(rows), length, dtype=torch.long)
segments = torch.zeros(len(rows), length, dtype=torch.long)
for index, row in enumerate(rows):
    count = len(row["inputIds"])
    ids[index, :count] = torch.tensor(row["inputIds"])
    labels[index, :count] = torch.tensor(row["labels"])
    positions[index, :count] = torch.cat([torch.arange(n) for n in row["segmentLengths"]])
    segments[index, :count] = torch.cat([torch.full((n,), i + 1) for i, n in enumerate(row["segmentLengths"])])
sees = (segments[:, :, None] == segments[:, None, :]) & torch.ones(length, length).tril().bool()
mask = torch.where(sees, 0.0, torch.finfo(torch.float32).min)[:, None]

optimizer = torch.optim.AdamW([parameter for _, parameter in trained], lr=1e-3, weight_decay=0.0)
losses = []
for _ in range(4):
    optimizer.zero_grad()
    loss = model(input_ids=ids, labels=labels, position_ids=positions, attention_mask=mask).loss
    losses.append(loss.item())
    loss.backward()
    optimizer.step()
model.save_pretrained(os.path.join(folder, "final"))
print(json.dumps(losses))
