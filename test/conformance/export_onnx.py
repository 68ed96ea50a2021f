"""Compares an exported ONNX model with transformers' reading of the same weights, and prints how far they are apart.

usage: export_onnx.py ONNX_FOLDER MERGED_FOLDER PROMPTS.json NEW_TOKENS
"""

import json
import os
import sys


import numpy as np
import onnx
import onnxruntime
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

folder, merged, prompts_file, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
path = os.path.join(folder, "onnx", "model.onnx")
with open(prompts_file) as file:
    prompts = json.load(file)

onnx.checker.check_model(path, full_check=True)
proto = onnx.load(path, load_external_data=False)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
config = AutoConfig.from_pretrained(folder)
caches = [value for value in session.get_inputs() if value.name.startswith("past_key_values.")]
names = [output.name for output in session.get_outputs()]


def run(ids, mask, positions, past):
    feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past}
    outputs = dict(zip(names, session.run(None, feeds)))
    return outputs["logits"], {cache.name: outputs[cache.name.replace("past_key_values", "present")] for cache in caches}


# All prompts at once, padded on the left, as people batch them
longest = max(len(prompt) for prompt in prompts)
ids = np.array([[0] * (longest - len(prompt)) + prompt for prompt in prompts], dtype=np.int64)
mask = np.array([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], dtype=np.int64)
positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
empty = np.zeros((len(prompts), caches[0].shape[1], 0, caches[0].shape[3]), dtype=np.float32)
logits, past = run(ids, mask, positions, {cache.name: empty for cache in caches})
apart = 0.0
with torch.no_grad():
    for row, prompt in enumerate(prompts):
        theirs = model(input_ids=torch.tensor([prompt])).logits[0].numpy()
        apart = max(apart, float(np.abs(logits[row, longest - len(prompt) :] - theirs).max()))

made = [[] for _ in prompts]
for _ in range(count):
    chosen = logits[:, -1].argmax(axis=-1)
    for row, token in enumerate(chosen):
        made[row].append(int(token))
    mask = np.concatenate([mask, np.ones((len(prompts), 1), dtype=np.int64)], axis=1)
    positions = mask.sum(axis=1, keepdims=True) - 1
    logits, past = run(chosen[:, None].astype(np.int64), mask, positions, past)
expected = []
for prompt in prompts:
    prompt_ids = torch.tensor([prompt])
    answer = model.generate(
        prompt_ids, attention_mask=torch.ones_like(prompt_ids), do_sample=False, max_new_tokens=count, eos_token_id=-1, pad_token_id=0
    )
    expected.append(answer[0, len(prompt) :].tolist())

json.dump(
    {
        "apart": apart,
        "made": made,
        "expected": expected,
        "inputs": [value.name for value in session.get_inputs()][:4],
        "domains": sorted({node.domain for node in proto.graph.node}),
        "embedded": sum(len(tensor.raw_data) for tensor in proto.graph.initializer),
        "metadata": {entry.key: entry.value for entry in proto.metadata_props},
        "layers": config.num_hidden_layers,
        "text": AutoTokenizer.from_pretrained(folder).decode(prompts[0]),
    },
    sys.stdout,
)
