"""Robust aggregation on whole vectors in NumPy, from the papers' definitions.
usage: aggregation_rules.py < [{"rule", "byzantine", "trimShare", "radius", "iterations", "updates": [[x, ...], ...]}, ...]"""

import json
import math
import sys

import numpy as np


def krum_order(x, f):
    """Indices by the sum of squared distances to the closest n - f - 2 others, ties by the sum to all."""
    squared = ((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)
    keys = []
    for i in range(len(x)):
        others = np.sort(np.delete(squared[i], i))
        keys.append((others[: max(1, len(x) - f - 2)].sum(), others.sum(), i))
    return [i for _, _, i in sorted(keys)]


def bulyan(x, f):
    left, picked = list(range(len(x))), []
    while len(picked) < len(x) - 2 * f:
        picked.append(left.pop(krum_order(x[left], f)[0]))
    chosen = x[picked]
    by_closeness = np.argsort(np.abs(chosen - np.median(chosen, axis=0)), axis=0, kind="stable")
    return np.take_along_axis(chosen, by_closeness[: len(picked) - 2 * f], axis=0).mean(axis=0)


def trimmed_mean(x, share):
    n = len(x)
    cut = min(math.ceil(share * n), math.ceil(n / 2) - 1)
    return np.sort(x, axis=0)[cut : n - cut].mean(axis=0)


def geometric_median(x, iterations):
    z = x.mean(axis=0)
    for _ in range(iterations):
        pull = 1 / np.maximum(1e-6, np.linalg.norm(x - z, axis=1))
        z = (pull[:, None] * x).sum(axis=0) / pull.sum()
    return z


def shortened(x, radius):
    return x / np.maximum(1, np.linalg.norm(x, axis=1) / radius)[:, None]


def centred_clipping(x, radius, iterations):
    v = np.zeros(x.shape[1])
    for _ in range(iterations):
        v = v + shortened(x - v, radius).mean(axis=0)
    return v


def aggregate(case):
    x, f = np.array(case["updates"], dtype=np.float64), case["byzantine"]
    rules = {
        "mean": lambda: x.mean(axis=0),
        "coordinate-median": lambda: np.median(x, axis=0),
        "trimmed-mean": lambda: trimmed_mean(x, case["trimShare"]),
        "krum": lambda: x[krum_order(x, f)[0]],
        "multi-krum": lambda: x[krum_order(x, f)[: len(x) - f - 2]].mean(axis=0),
        "bulyan": lambda: bulyan(x, f),
        "geometric-median": lambda: geometric_median(x, case["iterations"]),
        "norm-bounding": lambda: shortened(x, case["radius"]).mean(axis=0),
        "centred-clipping": lambda: centred_clipping(x, case["radius"], case["iterations"]),
    }
    return rules[case["rule"]]().tolist()


print(json.dumps([aggregate(case) for case in json.load(sys.stdin)]))
