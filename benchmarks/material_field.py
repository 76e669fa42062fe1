"""Time of one law for many grains against a phase for each: build, compile, solve.

    python benchmarks/material_field.py field 64 48
    python benchmarks/material_field.py phases 64 48

with the number of grains and of pixels along an edge: elastoplastic grains whose moduli and yield stresses
all differ, at random in a square. With a fresh folder in XDG_CACHE_HOME the compiler's time counts, and in a
second run with the same folder it does not.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

import fe2

GRADIENT = np.array([4e-3, -2e-3, 1e-3])


def main(kind: str, grains: int, size: int) -> None:
    """Print seconds, unknowns and memory."""
    rng, numbers = np.random.default_rng(1), np.arange(grains)
    image = rng.integers(0, grains, size=(size, size))
    image.reshape(-1)[:grains] = numbers
    young, strength = 200e3 + numbers, 400.0 + 450.0 * numbers / grains
    start = time.perf_counter()
    if kind == "field":
        parameters = {"young": young, "poisson": 0.3, "yield_stress": strength, "hardening": 2e3}
        law = fe2.MaterialField(fe2.J2Plasticity, numbers, **parameters)
        rve = fe2.small_strain(fe2.image_cell(image, {"grains": numbers}), {"grains": law})
    else:
        laws = {f"g{k}": fe2.J2Plasticity(young[k], 0.3, strength[k], 2e3) for k in numbers}
        rve = fe2.small_strain(fe2.image_cell(image, {f"g{k}": int(k) for k in numbers}), laws)
    state = rve.initial_state()
    trial = state.copy()
    rve.solve(GRADIENT, state, 1.0, trial)
    first = time.perf_counter() - start
    start = time.perf_counter()
    rve.solve(GRADIENT, state, 1.0, trial)
    again = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{kind}, {grains} grains: first solve after {first:.1f} s, the next {again:.2f} s, "
        f"{rve.unknowns} unknowns, peak {memory:.2f} GB"
    )


if __name__ == "__main__":
    fe2.RVE  # noqa: B018  # loads DOLFINx, whose time is not counted
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
