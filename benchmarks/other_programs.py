"""fe2 against fedoo (with simcoon), on the same cell, the same macroscopic element and the same steps.

    python benchmarks/other_programs.py                       # makes an environment for fedoo in build/fedoo
    python benchmarks/other_programs.py --voxels 6 --steps 6 --tolerance 1e-6 --output other_programs.json

One hexahedron with eight quadrature points, clamped below and pulled at its upper face by 0.6 %; in each
point a cell of hexahedra with an elastic ball in a J2 matrix, periodic. Then the stiffness of one elastic
cell. Both programs do the work in processes of their own; seconds are without imports, compilation and the
set-up of forms. The tolerance is what fedoo gets on both scales; fe2 works at its own, 1e-8. The forces have
to agree to some tolerances of fedoo, and the stiffnesses to round-off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = ("fedoo==1.1.0", "simcoon==2.2.0")
MATERIAL = {
    "young": 70e3,
    "poisson": 0.3,
    "yield_stress": 100.0,
    "hardening": 7e3,
    "ball_young": 400e3,
    "ball_poisson": 0.2,
    "radius": 0.3,
}


def environment(folder: Path) -> Path:
    """The Python of an environment with fedoo, which is made where it is missing."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def answer(command: list[str], case: dict[str, Any], timeout: float = 3600.0) -> dict[str, Any]:
    """What a program says to a case, JSON in and out."""
    result = subprocess.run(
        command,
        input=json.dumps(case),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def rve(case: dict[str, Any]) -> Any:
    """The cell in fe2."""
    import numpy as np

    import fe2

    n = case["voxels"]
    centres = (np.indices((n, n, n)) + 0.5) / n
    ball = np.sum((centres - 0.5) ** 2, axis=0) < case["radius"] ** 2
    cell = fe2.image_cell(ball.astype(np.uint8), {"matrix": 0, "ball": 1}, voxel_size=1.0 / n)
    matrix = fe2.J2Plasticity(*(case[name] for name in ("young", "poisson", "yield_stress", "hardening")))
    return fe2.small_strain(
        cell,
        {"matrix": matrix, "ball": fe2.LinearElastic.isotropic(case["ball_young"], case["ball_poisson"])},
    )


def two_scale(case: dict[str, Any]) -> dict[str, Any]:
    """The macroscopic element in fe2."""
    micro = rve(case)

    import numpy as np
    import ufl
    from dolfinx import fem, mesh
    from mpi4py import MPI

    import fe2

    domain = mesh.create_unit_cube(MPI.COMM_WORLD, 1, 1, 1, mesh.CellType.hexahedron)
    V = fem.functionspace(domain, ("Lagrange", 1, (3,)))
    u, v = fem.Function(V), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), micro, quadrature_degree=2)
    F = ufl.dot(law.flux, fe2.strain(v)) * law.dx
    facets = [mesh.locate_entities_boundary(domain, 2, lambda x, z=z: np.isclose(x[2], z)) for z in (0, 1)]
    lower = fem.locate_dofs_topological(V, 2, facets[0])
    upper = fem.locate_dofs_topological(V.sub(2), 2, facets[1])
    pull = fem.Constant(domain, 0.0)
    clamp, grip = fem.dirichletbc(np.zeros(3), lower, V), fem.dirichletbc(pull, upper, V.sub(2))
    problem = fe2.MacroProblem(F, u, law, bcs=[clamp, grip])
    steps = fe2.LoadSteps(
        np.linspace(0.0, 1.0, case["steps"] + 1), lambda t: pull.value.fill(case["strain"] * t)
    )
    simulation = fe2.Simulation(problem, steps, reactions={"grip": grip}, quiet=True)
    micro.solve(np.zeros(6), micro.initial_state(), 1.0, micro.initial_state())  # compiles
    start = time.perf_counter()
    simulation.run()
    seconds = time.perf_counter() - start
    forces = [float(np.atleast_1d(record.reactions["grip"])[-1]) for record in simulation.records]
    evaluations = sum(record.micro_solves for record in simulation.records) // 8  # points
    return {"seconds": seconds, "forces": forces, "evaluations": evaluations}


def homogenization(case: dict[str, Any]) -> dict[str, Any]:
    """Stiffness of one elastic cell in fe2."""
    rve({**case, "voxels": 3}).homogenize()  # compiles
    start = time.perf_counter()
    found = rve(case).homogenize()
    return {"seconds": time.perf_counter() - start, "stiffness": found.effective.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, default=HERE.parent / "build" / "fedoo")
    parser.add_argument("--voxels", type=int, default=6, help="voxels an edge of the cell of two scales")
    parser.add_argument("--homogenize-voxels", type=int, default=12, help="of the cell that is homogenized")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--strain", type=float, default=0.006, help="at the end (0.006)")
    parser.add_argument("--tolerance", type=float, default=1e-6, help="of fedoo (1e-6)")
    parser.add_argument("--output", type=Path, help="write the results as JSON")
    parser.add_argument("--task", choices=["two_scale", "homogenization"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.task:
        task = {"two_scale": two_scale, "homogenization": homogenization}[chosen.task]
        print(json.dumps(task(json.load(sys.stdin))))
        return
    case = {
        **MATERIAL,
        "voxels": chosen.voxels,
        "steps": chosen.steps,
        "tolerance": chosen.tolerance,
        "strain": chosen.strain,
    }
    fedoo = [str(environment(chosen.environment)), str(HERE / "fedoo_case.py")]
    own = [sys.executable, str(Path(__file__).resolve()), "--task"]
    elastic = {**case, "voxels": chosen.homogenize_voxels}
    results = {
        task: {
            "fe2": answer([*own, task], {"task": task, **numbers}),
            "fedoo": answer(fedoo, {"task": task, **numbers}),
        }
        for task, numbers in (("homogenization", elastic), ("two_scale", case))
    }
    report(results)
    if chosen.output:
        chosen.output.write_text(json.dumps({"case": case, **results}, indent=1) + "\n")


def report(results: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Print the times and how far the answers are apart."""
    import numpy as np

    stiffness = [np.array(results["homogenization"][p]["stiffness"]) for p in ("fe2", "fedoo")]
    # the order of the shear components differs, and the cell is cubic
    apart = np.abs(np.sort(stiffness[0], axis=None) - np.sort(stiffness[1], axis=None)).max()
    forces = [np.array(results["two_scale"][p]["forces"]) for p in ("fe2", "fedoo")]
    difference = np.abs(forces[0][-1] - forces[1][-1]) / np.abs(forces[0][-1])
    print("| task | fe2 | fedoo | ratio | answers apart by |\n| --- | --- | --- | --- | --- |")
    for task, error in (("homogenization", apart / stiffness[0].max()), ("two_scale", difference)):
        seconds = [results[task][p]["seconds"] for p in ("fe2", "fedoo")]
        print(
            f"| {task.replace('_', ' ')} | {seconds[0]:.3g} s | {seconds[1]:.3g} s | "
            f"{seconds[1] / seconds[0]:.3g} | {error:.1e} |"
        )
    counts = [results["two_scale"][p]["evaluations"] for p in ("fe2", "fedoo")]
    print(
        f"\nevaluations of the element: fe2 {counts[0]}, fedoo {counts[1]}; forces {forces[0]}, {forces[1]}"
    )


if __name__ == "__main__":
    main()
