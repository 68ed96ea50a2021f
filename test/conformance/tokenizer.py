"""Token ids of lines (JSON list on standard input) by transformers' tokenizer from a GGUF, as JSON on standard output.

Also, for each pre-tokenizer named behind it, a tiny model with the same vocabulary under that name is written into the
output folder, with the ids that transformers gives for it; the tokenizer is saved in Hugging Face's layout, and so is
one of Gemma's kind.

usage: tokenizer.py FILE.gguf OUTPUT_FOLDER [PRE_TOKENIZER...]
"""

import json
import os
import sys

import numpy
from gguf import GGUFReader, GGUFWriter
from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import AutoTokenizer, GemmaTokenizer


def tiny_model(source, pre, path):
    """A one-layer Llama of zeros around the vocabulary of `source`."""
    field = lambda key: source.fields[f"tokenizer.ggml.{key}"].contents()
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(8)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(4)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(field("tokens"))
    writer.add_token_types(field("token_type"))
    writer.add_token_merges(field("merges"))
    writer.add_bos_token_id(field("bos_token_id"))
    writer.add_eos_token_id(field("eos_token_id"))
    shapes = {
        "token_embd": (len(field("tokens")), 8), "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.ffn_norm": (8,),
        "blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8), "blk.0.attn_output": (8, 8),
        "blk.0.ffn_gate": (8, 8), "blk.0.ffn_up": (8, 8), "blk.0.ffn_down": (8, 8),
    }
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", numpy.zeros(shape, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ids(path, lines):
    tokenizer = AutoTokenizer.from_pretrained(os.path.dirname(path), gguf_file=os.path.basename(path))
    return tokenizer, [tokenizer(line, add_special_tokens=False)["input_ids"] for line in lines]


def gemma(lines, folder):
    """A tokenizer with Gemma's steps, its merges learnt from the lines, saved as transformers saves it."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>"]
    letters = special + [f"<0x{byte:02X}>" for byte in range(256)]
    learner = Tokenizer(BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.train_from_iterator(lines[::2], BpeTrainer(vocab_size=2000, special_tokens=letters, limit_alphabet=300))
    model = json.loads(learner.to_str())["model"]
    tokenizer = GemmaTokenizer(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<start_of_turn>"]})
    tokenizer.save_pretrained(folder)
    return [tokenizer(line, add_special_tokens=False)["input_ids"] for line in lines]


def main():
    path, folder, *pre_tokenizers = sys.argv[1:]
    lines = json.load(sys.stdin)
    tokenizer, of_gguf = ids(path, lines)
    tokenizer.save_pretrained(os.path.join(folder, "saved"))  # apart: beside a GGUF it would be read in its place
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    result = {
        "ids": of_gguf,
        "chat": [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt) for prompt in (False, True)],
        "gemma": gemma(lines, os.path.join(folder, "gemma")),
        "others": {},
    }
    source = GGUFReader(path)
    for pre in pre_tokenizers:
        tiny = os.path.join(folder, f"{pre}.gguf")
        tiny_model(source, pre, tiny)
        result["others"][pre] = ids(tiny, lines)[1]
    json.dump(result, sys.stdout)


main()
