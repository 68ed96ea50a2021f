"""numpy's int8 and int4 of a matrix, as trainer/src/weights/quantised makes them: writes quantised.json."""

import base64
import json
import pathlib

import numpy as np

rng = np.random.default_rng(7)
weight = (rng.standard_normal((72, 96)) * np.geomspace(1e-3, 10, 72)[:, None]).astype(np.float32)
weight[5] = 0  # a row of zeros
weight[:, 9] = 0
weight[6, :32] = np.float32(0.5) * np.arange(-8, 24)  # ties


def text(array):
    return base64.b64encode(array.tobytes()).decode()


def int8(matrix):
    """Levels and scales of the columns of [k, n]."""
    largest = np.abs(matrix).max(axis=0)
    scales = np.where(largest < 1e-30, np.float32(1), largest / np.float32(127)).astype(np.float32)
    return {"levels": text(np.rint(matrix / scales).astype(np.int8)), "scales": text(scales)}


def int4(matrix):
    blocks = matrix.reshape(-1, 32)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scales = np.where(np.abs(extreme) < 1e-30, np.float32(1), extreme / np.float32(-8)).astype(np.float32)
    levels = np.minimum(np.rint(blocks / scales), 7).astype(np.int8).reshape(-1) & 15
    return {"levels": text((levels[0::2] | (levels[1::2] << 4)).astype(np.uint8)), "scales": text(scales)}


golden = {
    "shape": weight.shape,
    "weight": text(weight),
    "forward": int8(np.ascontiguousarray(weight.T)),
    "backward": int8(weight),
    "centred": int8(weight - weight.mean(axis=0, dtype=np.float64).astype(np.float32)),
    "blocks": int4(weight),
}
path = pathlib.Path(__file__).with_name("quantised.json")
path.write_text(json.dumps(golden) + "\n")
