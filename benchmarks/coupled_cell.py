"""What coupling costs a point: a cell that deforms and is heated against the same cell that deforms only.

    OMP_NUM_THREADS=1 python benchmarks/coupled_cell.py

Both are solved in turns, from the virgin state with a strain of its own each time, to the consistent tangent;
the median of the ratios of neighbouring solves is told. Where all phases are linear, a solve is a product.
"""

from __future__ import annotations

import argparse
import time

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np

from fe2.arrays import Array
from fe2.micro.newton import NewtonOptions

PIXELS = np.zeros((16, 16), dtype=int)
PIXELS[4:12, 4:12] = 1
VOXELS = np.zeros((8, 8, 8), dtype=int)
VOXELS[2:6, 2:6, 2:6] = 1
ELASTIC, YIELD = {"young": 400e3, "poisson": 0.2}, {"yield_stress": 100.0, "hardening": 700.0}
METAL, HEAT = (
    {"young": 70e3, "poisson": 0.3},
    {"expansion": 2e-5, "conductivity": 200.0, "heat_capacity": 2.4},
)


def pairs(strategy: str) -> dict[str, tuple[fe2.RVE, fe2.RVE]]:
    """The mechanical and the coupled cell by name."""
    options = NewtonOptions(strategy=strategy)  # type: ignore[arg-type]
    found = {}
    for shape, image in (("plane", PIXELS), ("space", VOXELS)):
        cell = fe2.image_cell(image, {"a": 0, "b": 1}, voxel_size=1 / len(image))
        stiff, hot = fe2.LinearElastic.isotropic(**ELASTIC), fe2.thermoelastic(**ELASTIC, **HEAT)
        laws = {
            "linear": (fe2.LinearElastic.isotropic(**METAL), fe2.thermoelastic(**METAL, **HEAT)),
            "plastic": (fe2.J2Plasticity(**METAL, **YIELD), fe2.thermoplastic(**METAL, **YIELD, **HEAT)),
        }
        for name, (cold, warm) in laws.items():
            found[f"{shape}, {name}"] = (
                fe2.small_strain(cell, {"a": cold, "b": stiff}, options=options),
                fe2.thermoelasticity(cell, {"a": warm, "b": hot}, options=options),
            )
    return found


def solve_time(rve: fe2.RVE, gradient: Array, solves: int) -> tuple[float, int]:
    """Seconds of the processor for a solve, and its linear systems."""
    state, out = rve.initial_state(), np.empty(rve.state_size)
    start = time.process_time()
    for _ in range(solves):
        response = rve.solve(gradient, state, 60.0, out)
    return (time.process_time() - start) / solves, response.iterations


def compare(
    mechanical: fe2.RVE, coupled: fe2.RVE, repetitions: int, solves: int
) -> tuple[float, float, int, int]:
    """Milliseconds of the mechanical solve, ratio, and linear systems of both, by their medians."""
    rows, strains = [], len(mechanical.kinematics.origin)
    for factors in np.random.default_rng(0).uniform(0.5, 1.0, (repetitions + 1, strains)):
        change = np.zeros(coupled.kinematics.size)
        change[:strains], change[strains] = 4e-3 * factors, 20.0
        alone, first = solve_time(mechanical, 4e-3 * factors, solves)
        both, second = solve_time(coupled, coupled.kinematics.origin + change, solves)
        rows.append((1e3 * alone, both / alone, first, second))
    time_alone, ratio, first, second = np.median(rows[1:], axis=0)
    return float(time_alone), float(ratio), int(first), int(second)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What coupling costs a point.")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--strategy", default="newton", choices=["newton", "adaptive"])
    arguments = parser.parse_args()
    print(f"{'cell':18}{'unknowns':>10}{'':>8}{'systems':>10}{'':>8}{'ms':>10}{'ratio':>8}")
    for name, (mechanical, coupled) in pairs(arguments.strategy).items():
        solves = 100 if name.endswith("linear") else 1
        alone, ratio, first, second = compare(mechanical, coupled, arguments.repetitions, solves)
        print(
            f"{name:18}{mechanical.unknowns:10}{coupled.unknowns:8}{first:10}{second:8}{alone:10.3f}{ratio:8.2f}"
        )
