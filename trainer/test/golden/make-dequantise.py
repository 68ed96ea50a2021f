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
# where the half-precision scales of a block lie: d, and a second one, m or dmin
SCALES = {
    "Q4_0": [0],
    "Q4_1": [0, 2],
    "Q5_0": [0],
    "Q5_1": [0, 2],
    "Q8_0": [0],
    "Q2_K": [80, 82],
    "Q3_K": [108],
    "Q4_K": [0, 2],
    "Q5_K": [0, 2],
    "Q6_K": [208],
    "IQ4_NL": [0],
    "IQ4_XS": [0],
}
for name in [*SCALES, "F16", "BF16", "F32"]:
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
        for at, of in zip(SCALES[name], [scales, scales[::-1]]):
            blocks[:, at : at + 2] = numpy.array(of, dtype=numpy.float16).view(numpy.uint8).reshape(-1, 2)
        packed = blocks.reshape(-1)
    values = numpy.ascontiguousarray(dequantize(packed if name not in ("F16", "F32") else packed.view(numpy.float16 if name == "F16" else numpy.float32), kind), dtype=numpy.float32)
    golden[name] = {"packed": packed.tobytes().hex(), "values": values.tobytes().hex()}
print(json.dumps(golden, indent=1))
