"""PyTorch with PEFT as a subject of `pnpm bench train`: does as many training steps as each line of standard input says."""

import argparse
import contextlib
import json
import os
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser()
    for name in ["gguf", "rows", "targets", "mode"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["batch", "threads", "rank", "alpha"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ["lr", "clip-grad"]:
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--checkpointing", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing that a library prints is taken for an answer

    folder, name = os.path.split(options.gguf)
    dtype = torch.bfloat16 if options.mode.startswith("bf16-base") else torch.float32
    base = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=dtype)
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, target_modules=options.targets.split(","),
        lora_dropout=0.0, bias="none", task_type="CAUSAL_LM",
    )
    model = get_peft_model(base, config)  # adapters are float32, whatever the base is
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.dtype == torch.float32 for parameter in trained)
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=0.0)
    model.train()
    if options.checkpointing:
        model.enable_input_require_grads()  # the recomputed part begins at the frozen embedding
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if options.mode.endswith("compile"):
        model = torch.compile(model)
    with open(options.rows, encoding="utf-8") as file:
        rows = torch.tensor([json.loads(line)["input_ids"] for line in file])

    def autocast():
        return torch.autocast("cpu", torch.bfloat16) if options.mode.startswith("bf16") else contextlib.nullcontext()

    def step(number):
        first = number * options.batch % len(rows)
        batch = rows[first : first + options.batch]
        with autocast():
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, options.clip_grad)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    say({})
    done = 0
    for line in sys.stdin:
        ms, values = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            values.append(step(done))
            ms.append(1000 * (time.perf_counter() - start))
            done += 1
        say({"ms": ms, "values": values})


if __name__ == "__main__":
    main()
