"""The same cell and the same two-scale problem with fedoo, in fedoo's own environment; see other_programs.py.

Reads a JSON object of numbers from standard input and prints one. It imports nothing of fe2.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time

import fedoo as fd
import numpy as np
from fedoo.constitutivelaw.fe2 import FE2
from fedoo.homogen.tangent_stiffness import get_homogenized_stiffness


def micro_assembly(case: dict, number: int = 0):
    """Hexahedra with an elastic ball in a J2 matrix."""
    n = case["voxels"]
    mesh = fd.mesh.box_mesh(n + 1, n + 1, n + 1, name=f"cell{number}")
    centres = mesh.nodes[mesh.elements].mean(axis=1)
    inside = np.sum((centres - 0.5) ** 2, axis=1) < case["radius"] ** 2
    E, nu, sigma, H = (case[name] for name in ("young", "poisson", "yield_stress", "hardening"))
    matrix = fd.constitutivelaw.Simcoon(
        "EPICP", np.array([E, nu, 0.0, sigma, H, 1.0]), name=f"matrix{number}"
    )
    ball = fd.constitutivelaw.ElasticIsotrop(case["ball_young"], case["ball_poisson"], name=f"ball{number}")
    law = fd.constitutivelaw.Heterogeneous(
        (matrix, ball), (np.flatnonzero(~inside), np.flatnonzero(inside)), name=f"both{number}"
    )
    weak_form = fd.weakform.StressEquilibrium(law, name=f"micro{number}")
    return fd.Assembly.create(weak_form, mesh, name=f"micro{number}")


class RepairedFE2(FE2):
    """fedoo's FE² law with a tolerance for the cells of one's own, and repairs that let it converge.

    As released, boundary conditions of earlier macroscopic iterations stay in a cell's problem, and a cell
    starts from where the last macroscopic iteration left it instead of from the last increment. Besides,
    every point needs an assembly of its own: copies of one share the stresses of heterogeneous laws.
    """

    tolerance: float

    def initialize(self, assembly, pb) -> None:
        first = self.list_problem is None
        super().initialize(assembly, pb)
        for problem in self.list_problem if first else []:
            solve = problem.nlsolve

            def tight(solve=solve, **options):
                return solve(**{**options, "t0": 0.0, "tol_nr": self.tolerance})

            problem.nlsolve = tight
            problem.given = list(problem.bc.data)
        if first:
            self.committed = [None] * len(self.list_problem)

    def set_start(self, assembly, pb) -> None:
        super().set_start(assembly, pb)
        self.committed = [
            (copy.deepcopy(p._U), copy.deepcopy(dict(a.sv)))
            for p, a in zip(self.list_problem, self.list_assembly, strict=True)
        ]

    def update(self, assembly, pb) -> None:
        for problem, cell, state in zip(self.list_problem, self.list_assembly, self.committed, strict=True):
            problem.bc.data = list(problem.given)
            if state is not None and problem._initialized:
                problem._U, problem._dU = copy.deepcopy(state[0]), 0
                cell.sv.clear()
                cell.sv.update(copy.deepcopy(state[1]))
                cell.set_start(problem)
        super().update(assembly, pb)


def two_scale(case: dict) -> dict:
    """One hexahedron: clamped below, its upper face pulled; the sides and the upper face free to contract."""
    law = RepairedFE2([micro_assembly(case, point) for point in range(8)], name="fe2")
    law.tolerance = case["tolerance"]
    mesh = fd.mesh.box_mesh(2, 2, 2, name="macro")
    fd.Assembly.create(fd.weakform.StressEquilibrium(law, name="macro"), mesh, name="macro")
    problem = fd.problem.NonLinear("macro")
    problem.set_nr_criterion("Force", tol=case["tolerance"], max_subiter=30)
    lower, upper = (np.flatnonzero(mesh.nodes[:, 2] == z) for z in (0.0, 1.0))
    problem.bc.add("Dirichlet", lower, "Disp", 0.0)
    problem.bc.add("Dirichlet", upper, "DispZ", case["strain"])
    forces = []
    evaluations = [0]
    update = law.update

    def counted(assembly, pb):
        evaluations[0] += 1
        update(assembly, pb)

    law.update = counted

    def record(pb) -> None:
        forces.append(float(pb.get_ext_forces("DispZ")[upper].sum()))

    start = time.perf_counter()
    step = 1.0 / case["steps"]
    problem.nlsolve(
        dt=step, dt_max=step, tmax=1.0, update_dt=True, interval_output=step, print_info=0, callback=record
    )
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "forces": forces, "evaluations": evaluations[0]}


def homogenization(case: dict) -> dict:
    """Stiffness of one elastic cell."""
    assembly = micro_assembly(case)
    problem = fd.problem.Linear(assembly)  # initializes the laws' elastic tangents
    del problem
    start = time.perf_counter()
    stiffness = get_homogenized_stiffness(assembly)
    return {"seconds": time.perf_counter() - start, "stiffness": np.asarray(stiffness).tolist()}


if __name__ == "__main__":
    case = json.load(sys.stdin)
    fd.ModelingSpace("3D")
    with contextlib.redirect_stdout(sys.stderr):
        result = {"two_scale": two_scale, "homogenization": homogenization}[case["task"]](case)
    print(json.dumps(result))
