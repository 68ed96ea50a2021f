"""Logits by llama.cpp: a GGUF and JSON lists of prompt ids in, each prompt's last logits out."""

import json
import sys

from llama_cpp import Llama

gguf, prompts = sys.argv[1], json.loads(sys.argv[2])
model = Llama(gguf, n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False, logits_all=True)
answers = []
for prompt in prompts:
    model.reset()
    model.eval(prompt)
    answers.append(model.scores[len(prompt) - 1].tolist())
print(json.dumps(answers))
