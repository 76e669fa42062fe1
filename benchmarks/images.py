"""Image cells: iterations, seconds and peak memory on the grid, against multigrid on the assembled matrix.

    python benchmarks/images.py cast_iron_ggg40_100.raw                # 24³, 50³, 100³; prints a table
    python benchmarks/images.py cast_iron_ggg40_100.raw --sizes 24 --output images.json

The image is read as 100³ bytes with the labels 87 (graphite) and 182 (ferrite) and cropped at a corner;
without an image, balls in a matrix take its place. Each case runs in a process of its own, after a tiny one
that compiles the forms; seconds are those of `homogenize()`, mesh and matrix included where there are any.
The assembled matrix is left out above --largest-matrix voxels an edge.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SOLVERS = {
    "grid": {},
    "matrix, Green": {"ksp_type": "cg", "pc_type": "python"},
    "matrix, GAMG": {"ksp_type": "cg", "pc_type": "gamg"},
}
LABELS = {"graphite": 87, "ferrite": 182}


def read(path: Path | None) -> npt.NDArray[np.integer]:
    """The image, or balls at random in its place."""
    import fe2

    if path is not None:
        return fe2.read_image(path, shape=(100, 100, 100), dtype="uint8")
    random, x = np.random.default_rng(1), np.indices((100, 100, 100)).reshape(3, -1).T
    image = np.full(100**3, 182, dtype=np.uint8)
    for centre, radius in zip(random.uniform(0, 100, (8, 3)), random.uniform(8, 18, 8), strict=True):
        distance = np.abs(x - centre)
        image[np.sum(np.minimum(distance, 100 - distance) ** 2, axis=1) < radius**2] = 87
    return image.reshape(100, 100, 100)


def rve(image: npt.NDArray[np.integer], size: int, physics: str) -> Any:
    """The first corner of the image, of so many voxels an edge."""
    import fe2

    cell = fe2.image_cell(image, LABELS, crop=[[0, size]] * 3)
    if physics == "conduction":
        return fe2.diffusion(
            cell, {"graphite": fe2.LinearConduction(129.0), "ferrite": fe2.LinearConduction(36.0)}
        )
    graphite, ferrite = (fe2.LinearElastic.isotropic(*moduli) for moduli in ((39.7, 0.2225), (210.0, 0.3)))
    return fe2.small_strain(cell, {"graphite": graphite, "ferrite": ferrite})


def measure(path: Path | None, size: int, physics: str, solver: str) -> dict[str, Any]:
    """One case, in this process."""
    import fe2

    image = read(path)
    rve(np.resize(np.array([87, 182], dtype=np.uint8), (3, 3, 3)), 3, physics).homogenize()
    if SOLVERS[solver]:
        from petsc4py import PETSc  # after fe2, which finds its MPI

        from fe2.micro.green_preconditioner import PYTHON_TYPE

        options = PETSc.Options("fe2_micro_")
        for name, value in SOLVERS[solver].items():
            options[name] = value
        options["ksp_rtol"], options["ksp_norm_type"] = 1e-8, "natural"
        if SOLVERS[solver]["pc_type"] == "python":
            options["pc_python_type"] = PYTHON_TYPE
        rve(np.resize(np.array([87, 182], dtype=np.uint8), (3, 3, 3)), 3, physics).homogenize()
    start = time.perf_counter()
    found = rve(image, size, physics).homogenize(fe2.GridOptions(tolerance=1e-12))
    return {
        "voxels": size,
        "physics": physics,
        "solver": solver,
        "unknowns": found.unknowns,
        "iterations": found.iterations,
        "seconds": time.perf_counter() - start,
        "peak_memory_GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "effective": found.effective.tolist(),
    }


def measured_apart(*arguments: str) -> dict[str, Any]:
    """One case, in a process of its own."""
    command = [sys.executable, __file__, *arguments, "--one"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr}")
    return json.loads(next(line for line in result.stdout.splitlines() if line.startswith("{")))


def table(cases: list[dict[str, Any]]) -> str:
    """The cases as a table in Markdown."""
    lines = [
        "| voxels | physics | unknowns | solver | iterations | seconds | peak memory |",
        "| --- " * 7 + "|",
    ]
    for case in cases:
        counts = case["iterations"]
        lines.append(
            f"| {case['voxels']}³ | {case['physics']}, {len(counts)} cases | {case['unknowns']} | "
            f"{case['solver']} | {min(counts)}–{max(counts)} | {case['seconds']:.2f} | "
            f"{case['peak_memory_GB']:.2f} GB |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", type=Path, nargs="?", help="cast_iron_ggg40_100.raw")
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 50, 100], help="voxels an edge")
    parser.add_argument("--physics", nargs="+", default=["elasticity", "conduction"])
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=SOLVERS)
    parser.add_argument("--largest-matrix", type=int, default=50, help="voxels an edge (50)")
    parser.add_argument("--output", type=Path, help="write the results as JSON")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        case = measure(chosen.image, chosen.sizes[0], chosen.physics[0], chosen.solvers[0])
        print(json.dumps(case))
        return
    cases: list[dict[str, Any]] = []
    for physics in chosen.physics:
        for size in chosen.sizes:
            for solver in chosen.solvers:
                if solver != "grid" and size > chosen.largest_matrix:
                    continue
                image = [str(chosen.image)] if chosen.image else []
                options = ["--sizes", str(size), "--physics", physics, "--solvers", solver]
                case = measured_apart(*image, *options)
                print(f"{size}³ {physics}, {solver}: {case['seconds']:.2f} s", file=sys.stderr)
                cases.append(case)
                reference = next(c for c in cases if c["voxels"] == size and c["physics"] == physics)
                error = np.abs(np.subtract(case["effective"], reference["effective"])).max()
                assert error < 1e-8 * np.abs(reference["effective"]).max(), "all solvers agree"
    print(table(cases))
    print(f"\n{os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '')}")
    if chosen.output:
        chosen.output.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
