"""Greedy continuations by transformers: a model folder and JSON lists of prompt ids in, lists of new ids and the first
token's logits out."""

import json
import sys

import torch
from transformers import AutoModelForCausalLM

folder, prompts, count = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
torch.set_num_threads(1)
answers = []
for prompt in prompts:
    ids = torch.tensor([prompt])
    with torch.no_grad():
        logits = model(ids).logits[0, -1]
        made = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=count, eos_token_id=-1, pad_token_id=0
        )
    answers.append({"ids": made[0, len(prompt) :].tolist(), "logits": logits.tolist()})
print(json.dumps(answers))
