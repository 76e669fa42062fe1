"""Peak memory of cells against what is estimated before anything is assembled.

    OMP_NUM_THREADS=1 python benchmarks/memory.py            all kinds, each in a process of its own
    OMP_NUM_THREADS=1 python benchmarks/memory.py hexahedra 24

Prints for each cell the estimate, the peak above what the process had before the matrix, and their ratio,
which has to stay within a factor of 1.5 where cells are large enough to matter. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import fe2  # isort: skip  # before dolfinx

import numpy as np
from fe2_meshes.square_array import square_array
from petsc4py import PETSc

from fe2.hierarchical.paths import cyclic, random_walks
from fe2.hierarchical.training_memory import training_memory
from fe2.micro.memory_estimate import cell_size
from fe2.micro.rve import RVE

ELASTIC = {"a": fe2.LinearElastic.isotropic(1.0, 0.3), "b": fe2.LinearElastic.isotropic(5.0, 0.3)}
PLASTIC = {**ELASTIC, "b": fe2.J2Plasticity(1.0, 0.3, 0.01, 0.1)}
CONDUCTING = {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(2.0)}


def image(*shape: int) -> fe2.Cell:
    """Two phases at random."""
    labels = (np.random.default_rng(0).random(shape) < 0.4).astype(int)
    return fe2.image_cell(labels, {"a": 0, "b": 1})


def pores(dim: int, m: int) -> RVE:
    """Flow around a block."""
    labels = np.zeros((m,) * dim, dtype=int)
    labels[(slice(m // 4, m // 2),) * dim] = 1
    return fe2.pore_flow(fe2.image_cell(labels, {"a": 0, "b": 1}), {"a": fe2.NewtonianFluid(1.0)})


def fibres(m: int, order: int, dim: int) -> RVE:
    """Fibres, meshed by gmsh."""
    depth = {"dim": 3, "depth": 1.0} if dim == 3 else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cell.msh")
        square_array(path, fraction=0.3, size=1.0 / m, order=order, **depth)
        cell = fe2.read_cell(path, phases={"a": "matrix", "b": "fibre"})
    return fe2.small_strain(cell, ELASTIC)


KINDS: dict[str, tuple[Callable[[int], RVE], tuple[int, ...]]] = {
    "quadrilaterals": (lambda m: fe2.small_strain(image(m, m), ELASTIC), (150, 250)),
    "quadrilaterals of degree 2": (lambda m: fe2.small_strain(image(m, m), ELASTIC, degree=2), (100, 200)),
    "triangles of degree 2": (lambda m: fibres(m, 2, 2), (80,)),
    "hexahedra": (lambda m: fe2.small_strain(image(m, m, m), ELASTIC), (16, 24)),
    "hexahedra, linear": (lambda m: fe2.small_strain(image(m, m, m), ELASTIC, boundary="linear"), (22,)),
    "hexahedra of degree 2": (lambda m: fe2.small_strain(image(m, m, m), ELASTIC, degree=2), (8, 12)),
    "conduction": (lambda m: fe2.diffusion(image(m, m, m), CONDUCTING, boundary="linear"), (30,)),
    "slab": (lambda m: fe2.small_strain(image(m, m, 4), ELASTIC, boundary="linear"), (60,)),
    "plasticity": (lambda m: fe2.small_strain(image(m, m, m), PLASTIC, boundary="linear"), (18,)),
    "tetrahedra": (lambda m: fibres(m, 1, 3), (16,)),
    "tetrahedra of degree 2": (lambda m: fibres(m, 2, 3), (8,)),
    "flow in the plane": (lambda m: pores(2, m), (60, 100)),
    "flow in space": (lambda m: pores(3, m), (8, 12)),
}


TRAINING = "reduction along paths"


def status(name: str) -> int:
    """A number of bytes out of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def measure(kind: str, m: int) -> None:
    """Solve a cell once and print one line."""
    options = PETSc.Options()
    if kind in ("quadrilaterals", "hexahedra"):  # as cells that are not periodic images have it
        for name, value in {"ksp_type": "preonly", "pc_type": "cholesky"}.items():
            options[f"fe2_micro_{name}"] = value
        options["fe2_micro_pc_factor_mat_solver_type"] = "mumps"
    rve = KINDS[kind][0](m)
    size = cell_size(rve.problem)
    estimate, entries, factor = size.memory(), size.entries, size.factor_entries()
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, state = status("VmRSS"), rve.initial_state()
    rve.solve(rve.kinematics.origin + 1e-4, state, 1.0, np.empty_like(state))
    peak = status("VmHWM") - before
    print(
        f"{kind:27}{m:5} {rve.unknowns:8} unknowns {entries:10.3g} entries {factor:10.3g} in the factor   "
        f"estimate {estimate / 1e6:6.0f} MB, peak {peak / 1e6:6.0f} MB, ratio {estimate / peak:4.2f}   "
        f"{rve.solver.name}",
        flush=True,
    )


def measure_training(m: int) -> None:
    """Reduce a plastic cell of m × m quadrilaterals, and print one line."""
    matrix = fe2.J2Plasticity(1.0, 0.3, 0.005, 0.1)
    rve = fe2.small_strain(image(m, m), {"a": matrix, "b": fe2.LinearElastic.isotropic(5.0, 0.3)})
    rve.initial_state()
    paths = [
        *cyclic(rve.kinematics, 0.02, count=6, steps=4),
        *random_walks(rve.kinematics, 0.02, count=6, steps=4),
    ]
    estimate = training_memory(rve, paths, reduces=True)
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    fe2.reduce(rve, paths, tolerance=0.05)
    peak = status("VmHWM") - before
    print(
        f"{TRAINING:27}{m:5} {rve.unknowns:8} unknowns {sum(len(path.steps) for path in paths):10} steps"
        f"   estimate {estimate / 1e6:6.0f} MB, peak {peak / 1e6:6.0f} MB, ratio {estimate / peak:4.2f}",
        flush=True,
    )


def main() -> None:
    """Measure one cell, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=[*KINDS, TRAINING])
    parser.add_argument("elements", nargs="?", type=int, help="elements along an edge")
    given = parser.parse_args()
    if given.kind == TRAINING:
        measure_training(given.elements or 40)
        return
    if given.elements:
        measure(given.kind, given.elements)
        return
    for kind in [given.kind] if given.kind else KINDS:
        for m in KINDS[kind][1]:
            subprocess.run([sys.executable, __file__, kind, str(m)], check=True)
    if not given.kind:
        subprocess.run([sys.executable, __file__, TRAINING], check=True)


if __name__ == "__main__":
    main()
