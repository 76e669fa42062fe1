"""Effective properties of images on their grid: seconds, iterations, memory and error, on a CPU or a GPU.

    python benchmarks/grid.py --image cast_iron_ggg40_100.raw           # 50³, 100³, elasticity and conduction
    python benchmarks/grid.py --image cast_iron_ggg40_100.raw --against OTHER_CHECKOUT
    python benchmarks/grid.py --device cuda --quick                     # needs Python, SciPy and CuPy alone

Isotropic phases, made here by two Gauss points along each edge, so that nothing of DOLFINx is needed. The
image is read as 100³ bytes with the labels 87 (graphite) and 182 (ferrite); without one, and for other
sizes, balls take its place. Each case runs in a process of its own. The time is that of the processor (of
the clock on a GPU) from the labels to the tangent; "rest" is what the process has in memory before. The
error is that against the tolerance 1e-12 with `--check`. With `--against`, the package of another checkout
solves the same problem, through its own `fe2.small_strain(...).homogenize()`, before and after.

    python benchmarks/grid.py --plastic 8 12 16 32 --largest-mesh 16

takes two increments of 0.2 % strain in cells with an elastic ball in a J2 matrix, with exact tangents, on the
grid and, up to --largest-mesh voxels an edge, with mesh and factorization, and compares fluxes and tangents.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MODULI = {"graphite": (39.7, 0.2225), "ferrite": (210.0, 0.3)}
CONDUCTIVITIES = {"graphite": 129.0, "ferrite": 36.0}
LABELS = {"graphite": 87, "ferrite": 182}
ROOT = Path(__file__).resolve().parent.parent


def phases(path: str | None, size: int) -> np.ndarray:
    """Zero where graphite is, one elsewhere, as int32."""
    if path is not None and size <= 100:
        image = np.fromfile(path, np.uint8).reshape((100, 100, 100), order="F")[:size, :size, :size]
        return np.ascontiguousarray((image == LABELS["ferrite"]).astype(np.int32))
    random, x = np.random.default_rng(1), (np.arange(size) + 0.5) / size
    image = np.ones((size,) * 3, dtype=np.int32)
    for centre, radius in zip(random.uniform(size=(8, 3)), random.uniform(0.08, 0.18, 8), strict=True):
        d = [np.minimum(np.abs(x - c), 1.0 - np.abs(x - c)) ** 2 for c in centre]
        image[d[0][:, None, None] + d[1][:, None] + d[2] < radius**2] = 0
    return image


def voxel(physics: str) -> Any:
    """Stiffness of a unit voxel for both phases."""
    from fe2.grid.element import VoxelStiffness, corners

    c, nodes = (3 if physics == "elasticity" else 1), corners(3)
    pairs = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]

    def gradients(values: np.ndarray) -> np.ndarray:
        """Local gradients, or Mandel strains, of nodal values, from slopes (3, 8)."""
        if c == 1:
            return values
        B = np.zeros((6, 3, values.shape[1]))
        for row, (i, j) in enumerate(pairs):
            weight = 0.5 if i == j else np.sqrt(0.5)
            B[row, i] += weight * values[j]
            B[row, j] += weight * values[i]
        return B.reshape(6, -1)

    stiffness = []
    for name in LABELS:
        if c == 1:
            C = CONDUCTIVITIES[name] * np.eye(3)
        else:
            young, poisson = MODULI[name]
            C = young / (1 + poisson) * np.eye(6)
            C[:3, :3] += young * poisson / (1 + poisson) / (1 - 2 * poisson)
        total = 0.0
        for point in itertools.product(0.5 + np.array([-1, 1]) / np.sqrt(12), repeat=3):
            shapes = np.where(nodes, point, 1.0 - np.array(point))
            slopes = np.array(
                [np.where(nodes[:, d], 1.0, -1.0) * np.delete(shapes, d, 1).prod(1) for d in range(3)]
            )
            B = gradients(slopes)
            total = total + B.T @ C @ B / 8
        stiffness.append(total)
    modes = gradients(nodes.T.astype(float)).T if c == 3 else nodes.astype(float)
    return VoxelStiffness(np.array(stiffness), modes, c, 1.0)


def solve(image: np.ndarray, physics: str, tolerance: float, device: str, threads: int) -> tuple[Any, float]:
    """Solution on the grid, and seconds."""
    from fe2.grid import device as devices
    from fe2.grid.linear_problem import GridProblem
    from fe2.grid.options import GridOptions
    from fe2.grid.reference import reference_stiffness

    where, clock = (
        devices.device(device, threads),
        (time.perf_counter if device == "cuda" else time.process_time),
    )
    start, k = clock(), voxel(physics)
    reference = reference_stiffness(k, np.bincount(image.reshape(-1), minlength=2) / image.size)
    problem = GridProblem(image, k, reference, GridOptions(tolerance), where)
    return problem.effective_tangent(2000), clock() - start


def plastic_model(size: int, kind: str, strategy: str) -> Any:
    """A cell with an elastic ball in a J2 matrix, on its grid or with its mesh."""
    import fe2

    x = (np.indices((size,) * 3) + 0.5) / size - 0.5
    cell = fe2.image_cell((np.sum(x**2, axis=0) < 0.3**2).astype(int), {"matrix": 0, "ball": 1})
    matrix = fe2.J2Plasticity(70e3, 0.3, 100.0, hardening=700.0)
    laws = {"matrix": matrix, "ball": fe2.LinearElastic.isotropic(400e3, 0.2)}
    rve = fe2.small_strain(cell, laws, options=fe2.NewtonOptions(strategy=strategy))
    return rve.on_grid() if kind == "grid" else rve


def two_scale(size: int, kind: str) -> None:
    """Four steps of one hexahedron with eight points, all alike."""
    model = plastic_model(size, kind, "adaptive")  # fe2 before DOLFINx
    import ufl
    from dolfinx import fem, mesh
    from mpi4py import MPI

    import fe2

    domain = mesh.create_unit_cube(MPI.COMM_SELF, 1, 1, 1, mesh.CellType.hexahedron)
    V = fem.functionspace(domain, ("Lagrange", 1, (3,)))
    u, v = fem.Function(V, name="u"), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), model, quadrature_degree=2)
    ends = [fem.locate_dofs_geometrical(V, lambda x, a=a: np.isclose(x[0], a)) for a in (0, 1)]
    pull = fem.Constant(domain, (0.0, 0.0, 0.0))
    bcs = [fem.dirichletbc(np.zeros(3), ends[0], V), fem.dirichletbc(pull, ends[1], V)]
    problem = fe2.MacroProblem(ufl.dot(law.flux, fe2.strain(v)) * law.dx, u, law, bcs=bcs)
    steps = fe2.LoadSteps(np.linspace(0.0, 1.0, 5), lambda t: np.put(pull.value, 0, 4e-3 * t))
    start = time.process_time()
    summary = fe2.Simulation(problem, steps).run()
    print(f"{size}³ {kind}: {time.process_time() - start:.1f} s, {summary.micro_solves} answers of points")


def plastic(size: int, kind: str) -> dict[str, Any]:
    """Two increments of a plastic cell, on its grid or with its mesh."""
    plastic_model(3, "mesh", "newton")  # the program itself
    rest, seconds = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    model = plastic_model(size, kind, "newton")
    state = model.initial_state()
    for strain in (2e-3, 4e-3):
        new, start = state.copy(), time.process_time()
        response = model.solve(np.eye(6)[0] * strain, state, 1.0, new)
        seconds.append(time.process_time() - start)
        state = new
    return {
        "seconds": seconds,
        "beyond": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rest) / 1e6,
        "flux": response.flux.tolist(),
        "tangent": response.tangent.tolist(),
    }


def difference(one: Any, other: Any) -> str:
    """Largest difference of two arrays, relative to the largest number of the first."""
    return f"{np.abs(np.subtract(one, other)).max() / np.abs(one).max():.0e}"


def compare_plastic(o: argparse.Namespace) -> None:
    """Print a table of plastic cells."""
    print("| voxels | solved | s, first and second increment | memory beyond, GB | flux, tangent differ by |")
    print("| --- " * 5 + "|")
    for size in o.plastic:
        found: dict[str, Any] = {}
        for kind in ("mesh", "grid")[size > o.largest_mesh :]:
            found[kind] = apart(o, size, "elasticity", "--plastic-one", kind)
            differ = [
                difference(*(found[k][n] for k in found)) for n in ("flux", "tangent") if len(found) == 2
            ]
            seconds = "  ".join(f"{value:.2f}" for value in found[kind]["seconds"])
            memory = f"{found[kind]['beyond']:.2f}"
            print(f"| {size}³ | {kind} | {seconds} | {memory} | {', '.join(differ)} |", flush=True)


def measure(o: argparse.Namespace) -> dict[str, Any]:
    image = phases(o.image, o.sizes[0])
    if o.package:  # another checkout, by what all of them have
        import fe2

        numbers = {name: k for k, name in enumerate(LABELS)}
        laws, make = {n: fe2.LinearElastic.isotropic(*MODULI[n]) for n in LABELS}, fe2.small_strain
        if o.physics[0] == "conduction":
            laws, make = {n: fe2.LinearConduction(CONDUCTIVITIES[n]) for n in LABELS}, fe2.diffusion
        make(fe2.image_cell(image[:3, :3, :3] * 0 + np.arange(3) % 2, numbers), laws).homogenize()
        rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rve, start = make(fe2.image_cell(image, numbers), laws), time.process_time()
        found = rve.homogenize()
        seconds = time.process_time() - start
    else:
        solve(
            image[:4, :4, :4] * 0 + (np.arange(4) % 2).astype(np.int32),
            o.physics[0],
            1e-6,
            o.device,
            o.threads,
        )
        rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found, seconds = solve(image, o.physics[0], o.tolerance, o.device, o.threads)
    return {
        "iterations": list(found.iterations),
        "seconds": seconds,
        "rest": rest / 1e6,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "estimate": getattr(found, "error", None) or getattr(found, "error_estimate", 0.0),
        "tangent": found.tangent.tolist(),
    }


def apart(
    o: argparse.Namespace, size: int, physics: str, *more: str, checkout: Path = ROOT
) -> dict[str, Any]:
    image = ["--image", o.image] if o.image else []
    command = [sys.executable, __file__, "--one", *image, "--sizes", str(size), "--physics", physics]
    command += ["--device", o.device, "--threads", str(o.threads), *more]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(o.threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--image", help="cast_iron_ggg40_100.raw")
    p.add_argument("--sizes", type=int, nargs="+", help="voxels an edge (50 100; on a GPU 100 256)")
    p.add_argument("--physics", nargs="+", default=["elasticity", "conduction"])
    p.add_argument("--tolerance", type=float, default=1e-6)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--quick", action="store_true", help="100³ alone, and checked")
    p.add_argument("--check", action="store_true", help="solve to 1e-12 as well, and print the error")
    p.add_argument("--against", type=Path, help="another checkout")
    p.add_argument("--plastic", type=int, nargs="+", help="voxels an edge of plastic cells")
    p.add_argument("--largest-mesh", type=int, default=16, help="with mesh up to so many voxels an edge")
    p.add_argument("--two-scale", type=int, nargs="+", help="voxels an edge of plastic cells at eight points")
    p.add_argument("--plastic-one", help=argparse.SUPPRESS)
    p.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--package", action="store_true", help=argparse.SUPPRESS)
    o = p.parse_args()
    o.sizes = o.sizes or ([100] if o.quick else [100, 256] if o.device == "cuda" else [50, 100])
    for size, kind in itertools.product(o.two_scale or (), ("mesh", "grid")):
        two_scale(size, kind)
    if o.two_scale:
        return
    if o.plastic:
        compare_plastic(o)
        return
    if o.plastic_one:
        print(json.dumps(plastic(o.sizes[0], o.plastic_one)))
        return
    if o.one:
        print(json.dumps(measure(o)))
        return
    print("| voxels | physics | tolerance | iterations | s | peak (rest), GB | estimate | error |")
    print("| --- " * 8 + "|")

    def row(size: int, physics: str, what: str, found: dict[str, Any], exact: Any = None) -> None:
        counts, error = found["iterations"], ""
        if exact is not None:
            error = f"{np.abs(np.subtract(found['tangent'], exact)).max() / np.abs(exact).max():.1e}"
        print(
            f"| {size}³ | {physics} | {what} | {len(counts)} × {max(counts)} | {found['seconds']:.2f} | "
            f"{found['peak']:.2f} ({found['rest']:.2f}) | {found['estimate']:.1e} | {error} |",
            flush=True,
        )

    for physics, size in itertools.product(o.physics, o.sizes):
        exact = None
        if o.check or o.quick:
            best = apart(o, size, physics, "--tolerance", "1e-12")
            exact = best["tangent"]
            row(size, physics, "1e-12", best)
        before = [apart(o, size, physics, "--package", checkout=o.against)] if o.against else []
        row(
            size,
            physics,
            f"{o.tolerance:g}",
            found := apart(o, size, physics, "--tolerance", str(o.tolerance)),
            exact,
        )
        if o.against:
            before.append(apart(o, size, physics, "--package", checkout=o.against))
            for other in before:
                row(size, physics, str(o.against), other, found["tangent"])
            print(f"ratio {2 * found['seconds'] / sum(b['seconds'] for b in before):.2f}")


if __name__ == "__main__":
    main()
