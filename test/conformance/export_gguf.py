"""Compares exported GGUF models with the merged safetensors and with the gguf package's own conversion.

usage: export_gguf.py MERGED_FOLDER HEADS KV_HEADS F32.gguf F16.gguf Q8_0.gguf
"""

import json
import sys

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFReader, get_tensor_name_map
from gguf.quants import quantize
from safetensors.numpy import load_file
from transformers import AutoTokenizer

merged, heads, kv_heads, *paths = sys.argv[1:]
weights = load_file(merged + "/model.safetensors")
layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("model.layers."))
names = get_tensor_name_map(MODEL_ARCH.LLAMA, layers)


def permuted(values, count):
    # LlamaModel.permute in convert_hf_to_gguf.py
    return values.reshape(count, 2, values.shape[0] // count // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


expected = {}
for name, values in weights.items():
    if name.endswith("q_proj.weight"):
        values = permuted(values, int(heads))
    if name.endswith("k_proj.weight"):
        values = permuted(values, int(kv_heads))
    expected[names.get_name(name, try_suffixes=(".weight",))] = values

different, types = [], []
for path, kind in zip(paths, (GGMLQuantizationType.F32, GGMLQuantizationType.F16, GGMLQuantizationType.Q8_0)):
    reader = GGUFReader(path)
    types.append(reader.fields["general.file_type"].contents())
    found = {tensor.name: tensor for tensor in reader.tensors}
    if found.keys() != expected.keys():
        different.append([path, sorted(found.keys() ^ expected.keys())])
        continue
    for name, tensor in found.items():
        wanted = GGMLQuantizationType.F32 if expected[name].ndim == 1 else kind
        if tensor.tensor_type != wanted or quantize(expected[name], wanted).tobytes() != tensor.data.tobytes():
            different.append([path, name])

tokenizer = AutoTokenizer.from_pretrained(merged)
field = lambda key: reader.fields["tokenizer.ggml." + key].contents()
json.dump(
    {
        "tensors": len(expected),
        "types": types,
        "different": different,
        "tokens": field("tokens") == tokenizer.convert_ids_to_tokens(range(len(tokenizer))),
        "eos": field("eos_token_id") == tokenizer.eos_token_id,
    },
    sys.stdout,
)
