"""Writes dequantise.json: packed blocks and their values by the Python package gguf 0.19, as hexadecimal bytes.

usage: python3 trainer/test/golden/make-dequantise.py > trainer/test/golden/dequantise.json
"""

import json

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

generator = numpy.random.default_rng(20240607)
# scales as they occur, and those at the edges of half precision: zero, subnormal, largest, negative
scales = [0.0125, -0.5, 0.0, 6e-8, 65504.0, 1.0]
golden = {}
for name in ["Q4_0", "Q4_1", "Q8_0", "F16", "BF16", "F32"]:
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    if elements == 1:
        values = numpy.concatenate([generator.normal(size=26), [0.0, -0.0, 6e-8, 65504.0, -1e-3, 3.0]]).astype(numpy.float32)
        if name == "F16":
            packed = values.astype(numpy.float16).view(numpy.uint8)
        elif name == "BF16":
            packed = (values.view(numpy.uint32) >> 16).astype(numpy.uint16).view(numpy.uint8)
        else:
            packed = values.view(numpy.uint8)
    else:
        blocks = generator.integers(0, 256, size=(len(scales), size), dtype=numpy.uint8)
        blocks[:, 0:2] = numpy.array(scales, dtype=numpy.float16).view(numpy.uint8).reshape(-1, 2)
        if name == "Q4_1":
            blocks[:, 2:4] = numpy.array(scales[::-1], dtype=numpy.float16).view(numpy.uint8).reshape(-1, 2)
        packed = blocks.reshape(-1)
    values = numpy.ascontiguousarray(dequantize(packed if name not in ("F16", "F32") else packed.view(numpy.float16 if name == "F16" else numpy.float32), kind), dtype=numpy.float32)
    golden[name] = {"packed": packed.tobytes().hex(), "values": values.tobytes().hex()}
print(json.dumps(golden, indent=1))
