"""Reduced cells against whole ones: time of a solve, error on paths that were not trained on, and refinement.

    OMP_NUM_THREADS=1 python benchmarks/reduced.py --dim 2 --output reduced_2d.json
    OMP_NUM_THREADS=1 python benchmarks/reduced.py --dim 3 --output reduced_3d.json

The cell has stiff elastic inclusions in a J2 matrix with a hardening of 1 % of the modulus. It is trained on
cycles and random walks, and both cells are then taken along the same unseen cycles. All times are of one
run; "ratio" is the time of the whole cell over that of the reduced. With --refined all is done with elements
of half the size, and "refinement" is the ratio of the reduced solves' times.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before DOLFINx

import numpy as np
from fe2_meshes.simple_cubic import simple_cubic
from fe2_meshes.square_array import square_array

from fe2.hierarchical.paths import Path as GradientPath
from fe2.hierarchical.paths import cyclic, random_walks
from fe2.hierarchical.training import train

AMPLITUDE = 5e-3
SIZES = {2: 0.046, 3: 0.075}
DEGREES = {2: 2, 3: 1}


def make_rve(dim: int, size: float) -> fe2.RVE:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cell.msh"
        {2: square_array, 3: simple_cubic}[dim](file, fraction={2: 0.3, 3: 0.2}[dim], size=size)
        cell = fe2.read_cell(file)
    matrix = fe2.J2Plasticity(young=70e3, poisson=0.3, yield_stress=100.0, hardening=700.0)
    stiff = fe2.LinearElastic.isotropic(young=400e3, poisson=0.2)
    laws = {name: matrix if name == "matrix" else stiff for name in cell.names}
    return fe2.small_strain(cell, laws, degree=DEGREES[dim])


def seconds_of(model: Any, path: GradientPath) -> tuple[float, np.ndarray]:
    """Seconds of a solve, the median along a path, and the fluxes."""
    row, trial = model.initial_state(), model.initial_state()
    times, fluxes = [], []
    for dt, gradient in zip(path.steps, path.gradients, strict=True):
        start = time.perf_counter()
        fluxes.append(model.solve(gradient, row, float(dt), trial).flux)
        times.append(time.perf_counter() - start)
        row[:] = trial
    return float(np.median(times)), np.array(fluxes)


def measure(dim: int, size: float, count: int, tolerance: float) -> dict[str, Any]:
    rve = make_rve(dim, size)
    start = time.perf_counter()
    paths = cyclic(rve.kinematics, AMPLITUDE, count=count, steps=5, turns=(1.0, -1.0))
    paths += random_walks(rve.kinematics, AMPLITUDE, count=count // 2, corners=3, steps=4)
    solved = train(rve, paths)
    trained = time.perf_counter()
    reduction = fe2.reduce(rve, solved, tolerance=tolerance)
    made = time.perf_counter()
    model, controlled = reduction.model(), fe2.error_controlled(reduction, tolerance=1e9)
    rows = []
    for path in cyclic(rve.kinematics, 0.9 * AMPLITUDE, count=3, steps=5, turns=(1.0, -0.8, 0.6), seed=9):
        full, truth = seconds_of(rve, path)
        few, fluxes = seconds_of(model, path)
        both, _ = seconds_of(controlled, path)
        error = np.linalg.norm(fluxes - truth, axis=1).max() / np.linalg.norm(truth, axis=1).max()
        rows.append((full, few, both, error))
    full, few, both, _ = np.median(rows, axis=0)
    return {
        "dim": dim,
        "unknowns": rve.unknowns,
        "mesh_cells": reduction.report.all_cells,
        "modes": reduction.report.modes,
        "cubature_cells": reduction.report.cells,
        "training_solves": reduction.report.solves,
        "training_seconds": trained - start,
        "reduction_seconds": made - trained,
        "ms_full": 1e3 * full,
        "ms_reduced": 1e3 * few,
        "ms_error_controlled": 1e3 * both,
        "ratio": full / few,
        "ratio_error_controlled": full / both,
        "largest_error": max(row[3] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Reduced cells against whole ones.")
    parser.add_argument("--dim", type=int, choices=(2, 3), default=2)
    parser.add_argument("--size", type=float, help="edge length of the elements, the cell's being 1")
    parser.add_argument("--paths", type=int, default=16, help="cycles of the training; half as many walks")
    parser.add_argument("--tolerance", type=float, default=0.03)
    parser.add_argument("--refined", action="store_true", help="again with elements of half the size")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    size = arguments.size or SIZES[arguments.dim]
    results = measure(arguments.dim, size, arguments.paths, arguments.tolerance)
    if arguments.refined:
        fine = measure(arguments.dim, size / 2, arguments.paths, arguments.tolerance)
        results = {**results, "refined": fine, "refinement": fine["ms_reduced"] / results["ms_reduced"]}
    text = json.dumps(results, indent=2)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
