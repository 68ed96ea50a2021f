"""P[|X| = k] of Skellam distributions by mpmath's Bessel functions, times 2**128.
usage: skellam.py < [{"variance": x, "k": k}, ...]"""

import json
import sys

from mpmath import besseli, exp, mp, mpf, nint

mp.prec = 400
masses = []
for case in json.load(sys.stdin):
    x = mpf(case["variance"])
    mass = exp(-x) * besseli(case["k"], x)
    masses.append(str(int(nint(mass * (1 if case["k"] == 0 else 2) * mpf(2) ** 128))))
print(json.dumps(masses))
