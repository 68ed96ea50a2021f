"""llama.cpp as a subject of `pnpm bench generate`: continues as many prompts as each line of standard input says.
Arguments: GGUF, threads, tokens to make, and a JSON list of prompts."""

import json
import os
import sys
import time

from llama_cpp import Llama

gguf, threads, made, prompts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # nothing that a library prints is taken for an answer
room = max(map(len, prompts)) + made
model = Llama(gguf, n_ctx=room, n_threads=threads, n_threads_batch=threads, verbose=False)


def continuing(ids, count):
    """Seconds of the whole, and of the tokens after the first."""
    start = first = time.perf_counter()
    for number, _ in enumerate(model.generate(ids, temp=0.0, repeat_penalty=1.0)):
        if number == 0:
            first = time.perf_counter()
        if number == count - 1:
            break
    end = time.perf_counter()
    return end - start, end - first


def say(answer):
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


continuing([1], 1)
say({})
turn = 0
for line in sys.stdin:
    ms, values = [], []
    for _ in range(int(line)):
        whole, after = continuing(prompts[turn % len(prompts)], made)
        ms.append(1000 * whole)
        values.append(1000 * after)
        turn += 1
    say({"ms": ms, "values": values})
