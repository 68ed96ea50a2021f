"""Writes a GGUF file of each architecture with random weights in every tensor type, and what transformers makes of it.

Where transformers reads an architecture's GGUF, it does. What its reader does not know (SmolLM3, scaled positions,
Mistral's window) it computes in a model of the same configuration, into which the file's tensors are put by gguf's names.

usage: gguf_files.py FOLDER ID,ID,…   leaves FOLDER/NAME.gguf and FOLDER/NAME.json: the SHA-256 of each tensor's float32
values by its Hugging Face name, and the logits after the ids; prints the names as JSON
"""

import hashlib
import json
import math
import os
import sys

import numpy
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFReader, GGUFWriter, RopeScalingType, dequantize
from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

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


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}


def llama3_divisors(head_dim):
    """As convert_hf_to_gguf.py computes them, in LlamaModel.generate_extra_tensors."""
    base, factor = LLAMA3["rope_theta"], LLAMA3["factor"]
    low, high, context = LLAMA3["low_freq_factor"], LLAMA3["high_freq_factor"], LLAMA3["original_max_position_embeddings"]
    freqs = 1.0 / (base ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim))
    divisors = []
    for freq in freqs:
        length = 2 * math.pi / freq
        if length < context / high:
            divisors.append(1)
        elif length > context / low:
            divisors.append(factor)
        else:
            smooth = (context / length - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return numpy.array(divisors, dtype=numpy.float32)


def yarn(writer):
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(YARN["factor"])
    writer.add_rope_scaling_orig_ctx_len(YARN["original_max_position_embeddings"])


def linear(writer):
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(LINEAR["factor"])


GEMMA = dict(architecture="gemma3", pre="smollm", head_dim=256, norms=True, tied=True, layers=7, after=True)
# how each file is written; config: that of a model which transformers cannot read from a GGUF
ARCHITECTURES = {
    "llama": dict(architecture="llama", pre="smollm"),
    "llama3-scaled": dict(
        architecture="llama", pre="llama-bpe", tied=True, theta=500000.0, divisors=True,
        config=("llama", {"rope_parameters": LLAMA3}),
    ),
    "llama-linear": dict(
        architecture="llama", pre="llama-bpe", keys=[linear], config=("llama", {"rope_parameters": LINEAR})
    ),
    "mistral": dict(
        architecture="llama", pre="smollm", keys=[lambda writer: writer.add_sliding_window(32)],
        config=("mistral", {"sliding_window": 32}),
    ),
    "qwen2": dict(architecture="qwen2", pre="qwen2", bias=True),
    "qwen2-yarn": dict(
        architecture="qwen2", pre="qwen2", bias=True, keys=[yarn], config=("qwen2", {"rope_parameters": YARN})
    ),
    "qwen3": dict(architecture="qwen3", pre="qwen2", head_dim=128, norms=True, tied=True),
    "smollm3": dict(
        architecture="smollm3", pre="smaug-bpe", tied=True, layers=5,
        config=("smollm3", {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}),
    ),
    "gemma3": dict(**GEMMA, keys=[lambda writer: writer.add_sliding_window(32)]),
}


def write(
    path, seed, architecture, pre, head_dim=HIDDEN // HEADS, bias=False, norms=False, tied=False, layers=LAYERS,
    after=False, theta=10000.0, divisors=False, keys=(), config=None,
):
    generator = numpy.random.default_rng(seed)
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(1e-5)
    for add in keys:
        add(writer)
    vocabulary = add_tokenizer(writer, pre)
    turn = iter(range(1000))

    def matrix(name, rows, columns):
        kind = TYPES[(seed + next(turn)) % len(TYPES)]
        raw = None if kind in ("F16", "F32") else GGMLQuantizationType[kind]
        writer.add_tensor(name, random_blocks(generator, kind, rows, columns, 0.15), raw_dtype=raw)

    def vector(name, size, mean=1.0):
        writer.add_tensor(name, (mean + 0.1 * generator.normal(size=size)).astype(numpy.float32))

    matrix("token_embd.weight", vocabulary, HIDDEN)
    vector("output_norm.weight", HIDDEN)
    if not tied:
        matrix("output.weight", vocabulary, HIDDEN)
    if divisors:
        writer.add_tensor("rope_freqs.weight", llama3_divisors(head_dim))
    for layer in range(layers):
        prefix = f"blk.{layer}"
        for name in ["attn_norm", "ffn_norm", *(["post_attention_norm", "post_ffw_norm"] if after else [])]:
            vector(f"{prefix}.{name}.weight", HIDDEN)
        for name, heads in [("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)]:
            matrix(f"{prefix}.attn_{name}.weight", heads * head_dim, HIDDEN)
            if bias:
                vector(f"{prefix}.attn_{name}.bias", heads * head_dim, 0)
            if norms and name != "v":
                vector(f"{prefix}.attn_{name}_norm.weight", head_dim)
        matrix(f"{prefix}.attn_output.weight", HIDDEN, HEADS * head_dim)
        matrix(f"{prefix}.ffn_gate.weight", INNER, HIDDEN)
        matrix(f"{prefix}.ffn_up.weight", INNER, HIDDEN)
        matrix(f"{prefix}.ffn_down.weight", HIDDEN, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


PARTS = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}
WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def name_of(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{PARTS[parts[2]]}.{parts[3]}"
    return f"{WHOLE[parts[0]]}.{parts[1]}"


def build(path, architecture, family, changes):
    """A model of the configuration with the file's tensors."""
    reader = GGUFReader(path)
    tensors = {}
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        values = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        rows = {"attn_q.weight": HEADS, "attn_k.weight": KV_HEADS}.get(tensor.name.split(".", 2)[-1])
        if rows and architecture in ("llama", "smollm3"):
            values = values.reshape(rows, -1, 2, HIDDEN).swapaxes(1, 2).reshape(values.shape)
        tensors[name_of(tensor.name)] = torch.from_numpy(numpy.ascontiguousarray(values))
    layers = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("model.layers."))
    sizes = {
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": layers, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "vocab_size": tensors["model.embed_tokens.weight"].shape[0], "pad_token_id": None,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "tie_word_embeddings": "lm_head.weight" not in tensors,
    }
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **{**sizes, **changes}), dtype=torch.float32)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model


def read(folder, file):
    return AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )


def answers(model, ids):
    model.eval()
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
        path = os.path.join(folder, f"{name}.gguf")
        write(path, seed, **options)
        model = build(path, options["architecture"], *options["config"]) if "config" in options else read(folder, f"{name}.gguf")
        with open(os.path.join(folder, f"{name}.json"), "w") as file:
            json.dump(answers(model, ids), file)
    print(json.dumps(list(ARCHITECTURES)))


main()
