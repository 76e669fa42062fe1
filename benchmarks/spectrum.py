"""Spectrum of periodic layers: 100 frequencies of a cell of 200 elements, by modes and by factorizations.

    OMP_NUM_THREADS=1 python benchmarks/spectrum.py

prints the seconds of both, compiled forms in the cache, and their difference.
"""

from __future__ import annotations

import time

import fe2  # isort: skip  # before dolfinx

import numpy as np

from fe2.micro import spectrum as module


def layers() -> fe2.RVE:
    """Twenty by ten elements, half of them of a softer, slower material."""
    labels = np.repeat([0, 1], 10)[:, None] * np.ones(10, dtype=int)
    laws = {
        "stiff": fe2.thermoelastic(70.0, 0.33, 0.01, 237.0, 2.4),
        "soft": fe2.thermoelastic(30.0, 0.2, 0.03, 2.0, 1.5),
    }
    return fe2.thermoelasticity(fe2.image_cell(labels, {"stiff": 0, "soft": 1}, voxel_size=0.1), laws)


def main() -> None:
    """Time both ways, three times each."""
    frequencies, tangents = np.geomspace(1e-2, 1e3, 100), []
    layers().spectrum(frequencies)  # compiles
    for name, most in (("modes", module.MOST_MODES), ("factorizations", 0)):
        module.MOST_MODES, seconds = most, []
        for _ in range(3):
            start = time.perf_counter()
            found = layers().spectrum(frequencies)
            seconds.append(time.perf_counter() - start)
        tangents.append(found.tangent)
        print(f"{name}: {sorted(seconds)[1]:.2f} s for 100 frequencies, the making of the cell included")
    difference = np.abs(tangents[0] - tangents[1]).max() / np.abs(tangents[1]).max()
    print(f"relative difference: {difference:.1e}")


if __name__ == "__main__":
    main()
