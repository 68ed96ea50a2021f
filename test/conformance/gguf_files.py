"""Writes a GGUF file of each architecture with random weights in every tensor type, and reads it with transformers.

usage: gguf_files.py FOLDER ID,ID,…   leaves FOLDER/NAME.gguf and FOLDER/NAME.json: the SHA-256 of each tensor's float32
values by its Hugging Face name, and the logits after the ids; prints the names as JSON
"""

import hashlib
import json
import os
import sys

import numpy
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFWriter
from transformers import AutoModelForCausalLM, GgufConfig

HIDDEN, INNER, HEADS, KV_HEADS, LAYERS, CONTEXT = 256, 512, 4, 2, 3, 256

# by type: where d lies, where dmin does, and about how far the values then reach from zero for d = 1
BLOCKS = {
    "Q4_0": (0, None, 8),
    "Q4_1": (0, 2, 15),
    "Q5_0": (0, None, 16),
    "Q5_1": (0, 2, 31),
    "Q8_0": (0, None, 127),
    "Q2_K": (80, 82, 45),
    "Q3_K": (108, None, 128),
    "Q4_K": (0, 2, 945),
    "Q5_K": (0, 2, 1953),
    "Q6_K": (208, None, 4096),
    "IQ4_NL": (0, None, 127),
    "IQ4_XS": (0, None, 4064),
}
TYPES = [*BLOCKS, "F16", "BF16", "F32"]


def halves(values):
    return values.astype(numpy.float16).view(numpy.uint8).reshape(-1, 2)


def random_blocks(generator, kind, rows, columns, reach):
    """Bytes of a tensor whose values lie within about ±reach, in any pattern of bits but the scales'."""
    if kind in ("F16", "BF16", "F32"):
        values = (reach / 2 * generator.normal(size=(rows, columns))).astype(numpy.float32)
        if kind == "BF16":
            return (values.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8).reshape(rows, 2 * columns)
        return values.astype(numpy.float16) if kind == "F16" else values
    elements, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    at, at_minimum, largest = BLOCKS[kind]
    count = rows * columns // elements
    blocks = generator.integers(0, 256, size=(count, size), dtype=numpy.uint8)
    d = reach / largest * generator.uniform(0.5, 2, size=count)
    blocks[:, at : at + 2] = halves(d)
    if at_minimum is not None:
        # of blocks of 32 values the minimum is added, of 256 subtracted and scaled once more
        minimum = d * {"Q4_1": -7.5, "Q5_1": -15.5, "Q2_K": 1.5, "Q4_K": 7.5, "Q5_K": 15.5}[kind]
        blocks[:, at_minimum : at_minimum + 2] = halves(minimum)
    return blocks.reshape(rows, columns // elements * size)


def byte_alphabet():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = iter(range(0x100, 0x200))
    return [chr(byte) if byte in plain else chr(next(moved)) for byte in range(256)]


def add_tokenizer(writer, pre):
    tokens = [*byte_alphabet(), "<s>", "</s>", "ab", "cd"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.endswith("s>") else 1 for token in tokens])
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    return len(tokens)


# what an architecture writes beside Llama's tensors and keys
ARCHITECTURES = {
    "llama": {"architecture": "llama", "pre": "smollm"},
}


def write(path, seed, architecture, pre, head_dim=HIDDEN // HEADS, bias=False, norms=False, tied=False, keys=None):
    generator = numpy.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    for add in keys or []:
        add(writer)
    vocabulary = add_tokenizer(writer, pre)
    turn = iter(range(1000))

    def matrix(name, rows, columns):
        kind = TYPES[(seed + next(turn)) % len(TYPES)]
        raw = None if kind in ("F16", "F32") else GGMLQuantizationType[kind]
        writer.add_tensor(name, random_blocks(generator, kind, rows, columns, 0.15), raw_dtype=raw)

    def vector(name, size, mean):
        writer.add_tensor(name, (mean + 0.1 * generator.normal(size=size)).astype(numpy.float32))

    matrix("token_embd.weight", vocabulary, HIDDEN)
    vector("output_norm.weight", HIDDEN, 1)
    if not tied:
        matrix("output.weight", vocabulary, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"blk.{layer}"
        vector(f"{prefix}.attn_norm.weight", HIDDEN, 1)
        vector(f"{prefix}.ffn_norm.weight", HIDDEN, 1)
        for name, heads in [("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)]:
            matrix(f"{prefix}.attn_{name}.weight", heads * head_dim, HIDDEN)
            if bias:
                vector(f"{prefix}.attn_{name}.bias", heads * head_dim, 0)
            if norms and name != "v":
                vector(f"{prefix}.attn_{name}_norm.weight", head_dim, 1)
        matrix(f"{prefix}.attn_output.weight", HIDDEN, HEADS * head_dim)
        matrix(f"{prefix}.ffn_gate.weight", INNER, HIDDEN)
        matrix(f"{prefix}.ffn_up.weight", INNER, HIDDEN)
        matrix(f"{prefix}.ffn_down.weight", HIDDEN, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(folder, file, ids):
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    tensors = model.state_dict()
    if model.config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    hashes = {name: hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest() for name, tensor in tensors.items()}
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    return {"tensors": hashes, "logits": logits.tolist()}


def main():
    folder, ids = sys.argv[1], [int(word) for word in sys.argv[2].split(",")]
    for seed, (name, options) in enumerate(ARCHITECTURES.items()):
        write(os.path.join(folder, f"{name}.gguf"), seed, **options)
        with open(os.path.join(folder, f"{name}.json"), "w") as file:
            json.dump(read(folder, f"{name}.gguf", ids), file)
    print(json.dumps(list(ARCHITECTURES)))


main()
