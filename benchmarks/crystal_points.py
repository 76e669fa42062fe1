"""Points of crystal plasticity in a second of one core: twelve systems, several exponents.

OMP_NUM_THREADS=1 python benchmarks/crystal_points.py
"""

from __future__ import annotations

import time

import numpy as np

import fe2
from fe2.testing.material_point import virgin

POINTS, STEPS = 4_000, 3

strains = 1e-3 * np.random.default_rng(0).normal(size=(POINTS, 6))
print("exponent  hardens  points a second")
for exponent in (5.0, 20.0, 100.0):
    for hardens in (False, True):
        more = {"hardening": 200.0, "saturation": 160.0} if hardens else {}
        law = fe2.crystal_plasticity(168.4e3, 121.4e3, 75.4e3, 60.0, 1e-3, exponent, **more)
        history = virgin(law, POINTS, 6)
        begin = time.process_time()
        for step in range(1, STEPS + 1):
            history = law.respond(step * strains, history, 1.0).history
        rate = STEPS * POINTS / (time.process_time() - begin)
        print(f"{exponent:8.0f}  {'yes' if hardens else 'no':>7}  {rate:15,.0f}")
