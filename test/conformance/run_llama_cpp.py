"""Runs models in llama.cpp: JSON jobs in, JSON answers out.

usage: run_llama_cpp.py JOBS.json   a list of {"model", "lora"?, "prompts": [[id]], "tokens", "lines": [text]}
prints for each {"made": [[id]], "logits": [[value]], "ids": [[id]]}: what it continues a prompt with, taking the likeliest
token, the logits after the prompt's last token, and the ids of each line
"""

import json
import os
import sys

from llama_cpp import GGML_TYPE_F32, Llama


def answer(job):
    # Keys and values in float32 and no kernel that narrows them: what is compared is the model, not its cache
    model = Llama(
        model_path=job["model"],
        lora_path=job.get("lora"),
        n_ctx=256,
        n_threads=1,
        n_threads_batch=1,
        logits_all=True,
        type_k=GGML_TYPE_F32,
        type_v=GGML_TYPE_F32,
        flash_attn=False,
        verbose=False,
    )
    made, logits = [], []
    for prompt in job["prompts"]:
        model.reset()
        model.eval(prompt)
        logits.append(model.scores[len(prompt) - 1].tolist())
        new = []
        while len(new) < job["tokens"]:
            new.append(int(model.scores[model.n_tokens - 1].argmax()))
            model.eval(new[-1:])
        made.append(new)
    ids = [model.tokenize(line.encode(), add_bos=False, special=True) for line in job["lines"]]
    model.close()
    return {"made": made, "logits": logits, "ids": ids}


with open(sys.argv[1]) as file:
    jobs = json.load(file)
# llama.cpp itself writes to standard output now and then
out = os.dup(1)
os.dup2(2, 1)
answers = [answer(job) for job in jobs]
with os.fdopen(out, "w") as file:
    json.dump(answers, file)
