"""Micro solves a second for each physics: one cell of 16 by 16 pixels with a square inclusion, on one core.

    OMP_NUM_THREADS=1 python benchmarks/physics_rates.py

Each solve starts from the virgin state with a gradient of its own and ends with the consistent tangent; the
first one, which compiles and sets up, is left out. Linear cells only multiply: zero systems.
"""

from __future__ import annotations

import time

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np

PIXELS = np.zeros((16, 16), dtype=int)
PIXELS[4:12, 4:12] = 1
CELL = fe2.image_cell(PIXELS, {"a": 0, "b": 1}, voxel_size=1 / 16)
SOLVES = 50


def models() -> dict[str, tuple[fe2.RVE, np.ndarray]]:
    """A cell and the size of its gradients for each physics."""
    stiff = fe2.LinearElastic.isotropic(young=400e3, poisson=0.2)
    plastic = fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0, hardening=700.0)
    rubber, hard = fe2.NeoHookean(young=1.0, poisson=0.3), fe2.NeoHookean(young=10.0, poisson=0.3)
    wax = fe2.MeltingConduction(0.25, 1.6e6, 1.6e8, solidus=25.0, liquidus=28.0)
    wall, copper = fe2.LinearConduction(0.5, capacity=1.2e6), fe2.LinearConduction(400.0)
    air = fe2.NewtonianFluid(mean_free_path=0.05)
    heat = fe2.diffusion(CELL, {"a": wall, "b": wax}, value=True, initial_value=26.0)
    gas = fe2.pore_flow(CELL, {"a": air}, value=True, initial_value=1.0)
    swift = fe2.pore_flow(CELL, {"a": fe2.NewtonianFluid(density=1.0)})
    return {
        "elasticity": (fe2.small_strain(CELL, {"a": stiff, "b": stiff}), np.full(3, 1e-3)),
        "plasticity": (fe2.small_strain(CELL, {"a": plastic, "b": stiff}), np.full(3, 4e-3)),
        "finite strain": (fe2.finite_strain(CELL, {"a": rubber, "b": hard}), np.full(4, 0.1)),
        "conduction": (fe2.diffusion(CELL, {"a": fe2.LinearConduction(0.5), "b": copper}), np.ones(2)),
        "melting": (heat, np.array([0.5, 10.0, 10.0])),
        "creeping flow": (fe2.pore_flow(CELL, {"a": fe2.NewtonianFluid()}), np.ones(2)),
        "swift flow": (swift, np.full(2, 1e3)),
        "gas that slips": (gas, np.array([0.2, 1.0, 1.0])),
    }


def rate(rve: fe2.RVE, size: np.ndarray) -> tuple[float, float]:
    """Solves a second, and linear systems in each."""
    factors = np.random.default_rng(0).uniform(0.5, 1.0, (SOLVES + 1, len(size)))
    state, out, systems, start = rve.initial_state(), np.empty(rve.state_size), 0, 0.0
    for number, factor in enumerate(factors):
        response = rve.solve(rve.kinematics.origin + factor * size, state, 60.0, out)
        systems += response.iterations if number else 0
        start = start if number else time.perf_counter()
    return SOLVES / (time.perf_counter() - start), systems / SOLVES


if __name__ == "__main__":
    print(f"{'physics':16}{'unknowns':>10}{'systems':>10}{'solves/s':>10}")
    for name, (rve, size) in models().items():
        solves, systems = rate(rve, size)
        print(f"{name:16}{rve.unknowns:10}{systems:10.1f}{solves:10.0f}")
