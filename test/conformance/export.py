"""Prints what transformers and the gguf package find in what Weft exported.

usage: export.py MERGED_FOLDER ROWS.json ADAPTER_FOLDER ADAPTER.gguf HEADS KV_HEADS
"""

import json
import sys

import numpy as np
import torch
from gguf import GGUFReader
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

merged, rows, adapter, gguf, heads, kv_heads = sys.argv[1:]
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(merged)
with open(rows) as file:
    ids = json.load(file)
with torch.no_grad():
    losses = [model(input_ids=torch.tensor([row]), labels=torch.tensor([row])).loss.item() * (len(row) - 1) for row in ids]

reader = GGUFReader(gguf)
field = lambda key: reader.fields[key].contents()
names = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
theirs = {tensor.name: tensor.data for tensor in reader.tensors}
different = []
for name, values in load_file(adapter + "/adapter_model.safetensors").items():
    _, _, _, _, layer, _, target, factor, _ = name.split(".")
    key = f"blk.{layer}.{names[target]}.weight.{factor.lower()}"
    found = theirs.pop(key, None)
    if found is not None and factor == "lora_B" and target in ("q_proj", "k_proj"):
        # inverse of LlamaModel.permute in convert_hf_to_gguf.py
        n = int(heads if target == "q_proj" else kv_heads)
        found = found.reshape(n, found.shape[0] // n // 2, 2, *found.shape[1:]).swapaxes(1, 2).reshape(found.shape)
    if found is None or not np.array_equal(found, values):
        different.append(name)

json.dump(
    {
        "dtype": str(model.dtype),
        "loss": sum(losses) / sum(len(row) - 1 for row in ids),
        "text": AutoTokenizer.from_pretrained(merged).decode(ids[0]),
        "general": [field("general.type"), field("adapter.type"), field("general.architecture")],
        "alpha": field("adapter.lora.alpha"),
        "different": different,
        "foreign": list(theirs),
    },
    sys.stdout,
)
