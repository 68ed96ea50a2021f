"""Prints the names of tensors in which an unpacked safetensors file differs, in any bit, from transformers' reading of its GGUF.

usage: weights.py FILE.gguf UNPACKED.safetensors
"""

import json
import os
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GgufConfig

gguf, unpacked = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(
    os.path.dirname(gguf), gguf_file=os.path.basename(gguf), dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
)
theirs = model.state_dict()
if model.config.tie_word_embeddings:
    del theirs["lm_head.weight"]
ours = load_file(unpacked)
different = [name for name in {**theirs, **ours} if name not in ours or name not in theirs or not torch.equal(ours[name], theirs[name])]
json.dump({"tensors": len(theirs), "different": different}, sys.stdout)
