"""Writes operators.json: inputs, outputs and gradients of every operator by PyTorch in float64.

python3 make-operators.py   (needs torch and transformers; the JSON is committed, so tests need no Python)
"""

import json
import math
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

torch.set_default_dtype(torch.float64)


def wave(shape, seed, scale=1.0):
    """Numbers without pattern, exact in float32."""
    count = math.prod(shape)
    values = [scale * math.sin(1.7 * i * (1 + 0.01 * i) + 2.3 * seed + 0.4) for i in range(count)]
    return torch.tensor(values, dtype=torch.float32).to(torch.float64).reshape(shape)


def rotary(x, base, scale, scaling=None):
    seq, head_dim = x.shape[-2:]
    inverse_frequency = base ** (-torch.arange(0, head_dim, 2) / head_dim)
    if scaling:
        rope = {"rope_theta": base, "original_max_position_embeddings": 64, **scaling}
        config = LlamaConfig(head_dim=head_dim, max_position_embeddings=128, rope_parameters=rope)
        inverse_frequency, amplitude = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config)
        inverse_frequency, scale = inverse_frequency.double(), scale * amplitude
    angles = torch.outer(torch.arange(seq).double(), inverse_frequency)
    angles = torch.cat([angles, angles], dim=-1)
    low, high = x.chunk(2, dim=-1)
    return scale * (x * angles.cos() + torch.cat([-high, low], dim=-1) * angles.sin())


def cross_entropy(logits, targets, weights):
    return (weights * F.cross_entropy(logits, targets, reduction="none")).sum()


def ints(*values):
    return torch.tensor(values, dtype=torch.int64)


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "beta_fast": 8.0, "beta_slow": 1.0, "truncate": False}

# name → function, inputs; inputs that are marked "frozen" get no gradient
CASES = {
    "add same shape": (lambda a, b: a + b, [wave((2, 3), 1), wave((2, 3), 2)]),
    "add broadcast row": (lambda a, b: a + b, [wave((2, 3), 1), wave((3,), 2)]),
    "add broadcast both": (lambda a, b: a + b, [wave((2, 1, 3), 1), wave((4, 1), 2)]),
    "mul same shape": (lambda a, b: a * b, [wave((2, 3), 3), wave((2, 3), 4)]),
    "mul broadcast column": (lambda a, b: a * b, [wave((2, 3), 3), wave((2, 1), 4)]),
    "mul square": (lambda a: a * a, [wave((5,), 5)]),
    "silu": (F.silu, [wave((3, 4), 6, 3.0)]),
    "swiglu": (lambda gate, up: F.silu(gate) * up, [wave((3, 4), 17, 3.0), wave((3, 4), 18)]),
    "gelu": (lambda x: F.gelu(x, approximate="tanh"), [wave((3, 4), 6, 3.0)]),
    "geglu": (lambda gate, up: F.gelu(gate, approximate="tanh") * up, [wave((3, 4), 17, 3.0), wave((3, 4), 18)]),
    "gemm plain": (lambda a, b: a @ b, [wave((2, 3), 1), wave((3, 4), 2)]),
    "gemm transB alpha": (lambda a, b: 0.5 * a @ b.T, [wave((2, 3), 1), wave((4, 3), 2)]),
    "gemm transA": (lambda a, b: a.T @ b, [wave((3, 2), 1), wave((3, 4), 2)]),
    "gemm transA transB with C": (lambda a, b, c: 2 * a.T @ b.T + c, [wave((3, 2), 1), wave((4, 3), 2), wave((2, 4), 3)]),
    "gemm with row C": (lambda a, b, c: a @ b + c, [wave((2, 3), 1), wave((3, 4), 2), wave((4,), 3)]),
    "matmul plain": (lambda a, b: a @ b, [wave((2, 2, 3), 1), wave((2, 3, 4), 2)]),
    "matmul transB alpha": (lambda a, b: 0.25 * a @ b.mT, [wave((2, 2, 2, 3), 1), wave((2, 2, 4, 3), 2)]),
    "matmul transA": (lambda a, b: a.mT @ b, [wave((2, 3, 2), 1), wave((2, 3, 4), 2)]),
    "matmul transA transB": (lambda a, b: a.mT @ b.mT, [wave((2, 3, 2), 1), wave((2, 4, 3), 2)]),
    "cast": (lambda a: 1 * a, [wave((2, 3), 1)]),
    "narrow": (lambda a: 1 * a, [wave((2, 3), 2)]),
    "reshape": (lambda a: a.reshape(3, 4), [wave((2, 6), 7)]),
    "transpose": (lambda a: a.permute(2, 0, 1), [wave((2, 3, 4), 8)]),
    "split": (lambda a: a.split([1, 2, 3], dim=1), [wave((2, 6), 9)]),
    "slice": (lambda a: a[:, 1:4], [wave((2, 6), 9)]),
    "concat": (lambda a, b, c: torch.cat([a, b, c], dim=1), [wave((2, 1), 9), wave((2, 3), 10), wave((2, 2), 11)]),
    "split with an unused part": (lambda a: a.split([1, 2, 3], dim=1)[1], [wave((2, 6), 9)]),
    "gatherRows with repeats": (lambda table, rows: table[rows], [wave((5, 3), 10), ints(4, 1, 1, 0, 4, 1)]),
    "softmax": (lambda a: a.softmax(-1), [wave((2, 3, 4), 11, 2.0)]),
    "rmsNorm": (
        lambda x, g: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-2) * g,
        [wave((3, 6), 12), wave((6,), 13)],
    ),
    "rotary": (lambda x: rotary(x, 100.0, 1.0), [wave((1, 2, 3, 4), 14)]),
    "rotary scaled": (lambda x: rotary(x, 10000.0, 0.25), [wave((2, 1, 3, 6), 15)]),
    "rotary llama3": (lambda x: rotary(x, 100.0, 1.0, LLAMA3), [wave((1, 2, 5, 6), 17)]),
    "rotary yarn": (lambda x: rotary(x, 100.0, 0.5, YARN), [wave((1, 2, 5, 8), 18)]),
    "crossEntropy": (
        lambda logits, targets, weights: cross_entropy(logits, targets, weights.detach()),
        [wave((4, 5), 16, 3.0), ints(2, 0, 4, 4), torch.tensor([0.5, 0.0, 0.25, 0.25])],
    ),
}
FROZEN = {"crossEntropy": [2]}


def tensor(value):
    kind = "int64" if value.dtype == torch.int64 else "float32"
    return {"type": kind, "shape": list(value.shape), "data": value.flatten().tolist()}


def golden(name, function, inputs):
    wanted = [i for i, x in enumerate(inputs) if x.is_floating_point() and i not in FROZEN.get(name, [])]
    leaves = [x.clone().requires_grad_(i in wanted) for i, x in enumerate(inputs)]
    outputs = function(*leaves)
    outputs = list(outputs) if isinstance(outputs, tuple) else [outputs]
    cotangents = [wave(tuple(y.shape), 20 + i) for i, y in enumerate(outputs)]
    gradients = torch.autograd.grad(outputs, [leaves[i] for i in wanted], cotangents)
    return {
        "inputs": [tensor(x) for x in inputs],
        "outputs": [tensor(y.detach()) for y in outputs],
        "cotangents": [tensor(c) for c in cotangents],
        "wanted": wanted,
        "gradients": [tensor(g) for g in gradients],
    }


def main():
    cases = {name: golden(name, *case) for name, case in CASES.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(case)}" for name, case in cases.items())
    Path(__file__).with_name("operators.json").write_text("{\n" + lines + "\n}\n")


main()
