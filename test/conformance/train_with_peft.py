"""Trains and scores with PyTorch, transformers and PEFT what `weft train` trains: the witness of test/conformance.

  train  writes FOLDER/initial (a PEFT adapter whose B is not zero) and FOLDER/rows.jsonl, trains on them in fp32,
         and leaves FOLDER/losses.json and FOLDER/final (the trained adapter)
  score  loads any PEFT adapter with PEFT and prints its mean loss on ROWS as JSON
"""

import argparse
import json
import math
import os

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, get_cosine_schedule_with_warmup

IGNORED = -100


def load_base(gguf):
    folder, name = os.path.split(gguf)
    return AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)


def make_rows(gguf, text_file, count, sequence, seed):
    """Rows of several lengths from one text; every other row masks a prompt, and the first has no labels at all."""
    folder, name = os.path.split(gguf)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    with open(text_file, encoding="utf-8") as file:
        ids = tokenizer(file.read(), add_special_tokens=False)["input_ids"]
    random = torch.Generator().manual_seed(seed)
    rows, at = [], 0
    for index in range(count):
        length = sequence - int(torch.randint(0, sequence // 2, (1,), generator=random))
        row = ids[at : at + length]
        at = (at + length) % (len(ids) - sequence)
        labels = list(row)
        if index % 2 == 1:
            labels[: length // 3] = [IGNORED] * (length // 3)
        rows.append({"input_ids": row} if index == 0 else {"input_ids": row, "labels": labels})
    return rows


def read_rows(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def collate(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    pad = lambda values, filler: values + [filler] * (longest - len(values))
    return {
        "input_ids": torch.tensor([pad(row["input_ids"], 0) for row in rows]),
        "labels": torch.tensor([pad(row.get("labels", row["input_ids"]), IGNORED) for row in rows]),
        "attention_mask": torch.tensor([pad([1] * len(row["input_ids"]), 0) for row in rows]),
    }


def initial_adapter(base, folder, rank, alpha, targets, seed):
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0, bias="none", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.02)
    model.save_pretrained(folder)
    return model


def train(options):
    rows = make_rows(options.gguf, options.text, options.steps * options.batch, options.seq, options.seed)
    with open(os.path.join(options.folder, "rows.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    base = load_base(options.gguf)
    targets = options.targets.split(",")
    model = initial_adapter(base, os.path.join(options.folder, "initial"), options.rank, options.alpha, targets, options.seed)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=options.weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, options.warmup, options.steps)
    losses, norms = [], []
    model.train()
    for step in range(options.steps):
        loss = model(**collate(rows[step * options.batch : (step + 1) * options.batch])).loss
        losses.append(loss.item())
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, options.clip_grad).item())
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.save_pretrained(os.path.join(options.folder, "final"))
    with open(os.path.join(options.folder, "losses.json"), "w", encoding="utf-8") as file:
        json.dump({"losses": losses, "gradientNorms": norms}, file)


def score(options):
    model = PeftModel.from_pretrained(load_base(options.gguf), options.adapter)
    model.eval()
    loss_sum, tokens = 0.0, 0
    with torch.no_grad():
        rows = read_rows(options.rows)
        for start in range(0, len(rows), 8):
            batch = collate(rows[start : start + 8])
            counted = int((batch["labels"][:, 1:] != IGNORED).sum())
            loss_sum += model(**batch).loss.item() * counted
            tokens += counted
    assert math.isfinite(loss_sum)
    print(json.dumps({"loss": loss_sum / tokens, "tokens": tokens}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "score"])
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--text")
    parser.add_argument("--adapter")
    parser.add_argument("--rows")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seq", type=int)
    parser.add_argument("--rank", type=int)
    parser.add_argument("--alpha", type=int)
    parser.add_argument("--targets")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--weight-decay", type=float)
    parser.add_argument("--warmup", type=int)
    parser.add_argument("--clip-grad", type=float)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(2)
    train(options) if options.what == "train" else score(options)


if __name__ == "__main__":
    main()
