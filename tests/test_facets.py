"""Laws on interior facets: exact jumps on any elements, on several ranks, and from checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path

import two_scale  # noqa: F401  # isort: skip  # before dolfinx

import numpy as np
import pytest
import pyvista as pv
import ufl
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi import mpiexec, succeeded
from mpi4py import MPI

from fe2.errors import InputError, MicroSolveError
from fe2.io.checkpoint_schedule import Checkpoints
from fe2.macro.law import HomogenizedLaw
from fe2.macro.problem import MacroProblem
from fe2.micro.linear_model import LinearModel
from fe2.micro.model import MicroModel
from fe2.micro.points import Step
from fe2.micro.state import StateField, StateLayout
from fe2.physics.diffusion import diffusion_kinematics
from fe2.physics.kinematics import Block, Kinematics
from fe2.simulation import Simulation
from fe2.stepping import LoadSteps

WORLD = MPI.COMM_WORLD
CONDUCTIVITY, TRANSFER, PENALTY = 3.0, 5.0, 1e6
CELLS = [dmesh.CellType.triangle, dmesh.CellType.quadrilateral]


def jump_kinematics() -> Kinematics:
    jump = Block(
        name="jump", dual="flow", components=("n",), field="T", operator=lambda jump: jump, kind="jump"
    )
    return Kinematics(name="contact", dim=2, fields={"T": ()}, blocks=(jump,))


class Ageing(MicroModel):
    r"""Heat through a contact, which its own largest jump so far makes better: :math:`q = (h + \kappa) g`."""

    kinematics = jump_kinematics()
    state = StateLayout(StateField("largest"))

    def evaluate(self, gradients, committed, trial, points, step, answers):
        largest = self.state.of(committed, "largest")
        answers.flux[:] = (TRANSFER + largest)[:, None] * gradients
        answers.tangent[:] = (TRANSFER + largest)[:, None, None]
        self.state.of(trial, "largest")[:] = np.maximum(largest, np.abs(gradients[:, 0]))
        answers.fail(np.abs(gradients[:, 0]) > 50.0, MicroSolveError("it burns"))


class Wall:
    """A wall of two halves of 1 m, whose contact lets heat through; T is discontinuous between elements."""

    def __init__(self, shape: dmesh.CellType, micro: MicroModel) -> None:
        mesh = dmesh.create_rectangle(
            WORLD, [(0.0, 0.0), (2.0, 1.0)], (4, 3), shape, ghost_mode=dmesh.GhostMode.shared_facet
        )
        mesh.topology.create_connectivity(1, 2)
        index_map = mesh.topology.index_map(1)
        kinds = np.full(index_map.size_local + index_map.num_ghosts, 2, dtype=np.int32)
        kinds[dmesh.locate_entities(mesh, 1, lambda x: np.isclose(x[0], 1.0))] = 1
        kinds[dmesh.locate_entities(mesh, 1, lambda x: np.isclose(x[0], 2.0))] = 3
        self.tags = dmesh.meshtags(mesh, 1, np.arange(len(kinds), dtype=np.int32), kinds)
        space = fem.functionspace(mesh, ("DG", 1))
        self.T, q = fem.Function(space, name="T"), ufl.TestFunction(space)
        # from left to right, whichever side is "+"
        across = ufl.FacetNormal(mesh)("+")[0]
        self.jump = lambda field: (field("-") - field("+")) * across
        body = HomogenizedLaw(
            ufl.grad(self.T), LinearModel(diffusion_kinematics(2), CONDUCTIVITY * np.eye(2))
        )
        self.contact = HomogenizedLaw({"jump": self.jump(self.T)}, micro, subdomains=self.tags, subdomain=1)
        F = ufl.dot(body.flux, ufl.grad(q)) * body.dx
        F += self.contact["flow"] * self.jump(q) * self.contact.dS
        others = ufl.Measure("dS", domain=mesh, subdomain_data=self.tags)(2)
        F += PENALTY * ufl.jump(self.T) * ufl.jump(q) * others
        self.hot = fem.Function(space)
        ends = [
            fem.locate_dofs_geometrical(space, lambda x, at=at: np.isclose(x[0], at)) for at in (0.0, 2.0)
        ]
        self.cold = fem.dirichletbc(0.0, ends[0], space)
        self.warm = fem.dirichletbc(self.hot, ends[1])
        self.problem = MacroProblem(F, self.T, [body, self.contact], bcs=[self.cold, self.warm])


@pytest.mark.parametrize("shape", CELLS)
def test_contact_takes_its_share_of_the_difference(shape):
    """Three resistances in series; the problem is linear, with the contact in the Jacobian."""
    wall = Wall(shape, LinearModel(jump_kinematics(), np.array([[TRANSFER]])))
    wall.hot.x.array[:] = 10.0
    assert wall.problem.solve() == 1
    flow = 10.0 / (2.0 / CONDUCTIVITY + 1.0 / TRANSFER)
    np.testing.assert_allclose(wall.contact.gradients(), flow / TRANSFER, rtol=1e-5)
    assert wall.problem.reaction(wall.warm)[0] == pytest.approx(flow, rel=1e-5)
    assert wall.contact.weights().sum() == pytest.approx(1.0)
    np.testing.assert_allclose(wall.contact.coordinates()[:, 0], 1.0)


def test_facets_of_the_boundary_are_refused():
    wall = Wall(CELLS[0], Ageing())
    with pytest.raises(
        InputError, match="subdomain 3 of a law on interior facets has facets on the boundary"
    ):
        HomogenizedLaw({"jump": wall.jump(wall.T)}, Ageing(), subdomains=wall.tags, subdomain=3)
    with pytest.raises(InputError, match=r"subdomain 7 has no facets; the tags of the mesh are \[1, 2, 3\]"):
        HomogenizedLaw({"jump": wall.jump(wall.T)}, Ageing(), subdomains=wall.tags, subdomain=7)


@pytest.mark.parametrize("shape", CELLS)
def test_law_on_the_boundary_is_a_resistance_in_series(shape):
    """A plate that is heated at one end and cooled at the other, through what stands there at each point."""
    mesh = dmesh.create_rectangle(WORLD, [(0.0, 0.0), (2.0, 1.0)], (4, 3), shape)
    ends = [
        dmesh.locate_entities_boundary(mesh, 1, lambda x, at=at: np.isclose(x[0], at)) for at in (0.0, 2.0)
    ]
    facets, kinds = np.concatenate(ends), np.repeat(np.array([2, 1], dtype=np.int32), [len(e) for e in ends])
    order = np.argsort(facets)
    tags = dmesh.meshtags(mesh, 1, facets[order], kinds[order])
    space = fem.functionspace(mesh, ("Lagrange", 1))
    T, q = fem.Function(space, name="T"), ufl.TestFunction(space)
    body = HomogenizedLaw(ufl.grad(T), LinearModel(diffusion_kinematics(2), CONDUCTIVITY * np.eye(2)))
    film = HomogenizedLaw({"jump": T}, Ageing(), subdomains=tags, subdomain=1)
    F = ufl.dot(body.flux, ufl.grad(q)) * body.dx + film["flow"] * q * film.ds
    F -= 8.0 * q * ufl.Measure("ds", domain=mesh, subdomain_data=tags)(2)
    problem = MacroProblem(F, T, [body, film])
    for largest in (0.0, 8.0 / TRANSFER):
        with problem.step(1.0):
            assert problem.solve() <= 2
        np.testing.assert_allclose(film.gradients(), 8.0 / (TRANSFER + largest), rtol=1e-9)
        hottest = WORLD.allreduce(T.x.array.max(), MPI.MAX)
        assert hottest == pytest.approx(8.0 / (TRANSFER + largest) + 8.0 * 2.0 / CONDUCTIVITY)
    assert WORLD.allreduce(film.weights().sum()) == pytest.approx(1.0)


@pytest.mark.mpi
def test_law_on_the_boundary_on_several_ranks():
    program = (
        f"import {Path(__file__).stem} as t; t.test_law_on_the_boundary_is_a_resistance_in_series(t.CELLS[0])"
    )
    succeeded(
        mpiexec(3, ["-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); {program}"])
    )


def test_failure_names_the_facet():
    wall = Wall(CELLS[1], Ageing())
    right = dmesh.locate_entities(wall.T.function_space.mesh, 2, lambda x: x[0] > 1.0 - 1e-9)
    wall.T.interpolate(lambda x: 100.0 + 0.0 * x[0], cells0=right)
    with pytest.raises(
        MicroSolveError, match=r"facet \d+, quadrature point 0, coordinates \(1, .*jump = 100: it"
    ):
        wall.contact.evaluate(Step(1.0))


def run(folder: Path, steps: int) -> Wall:
    """Heat the wall from below to above, more at every step, from where it stands in a folder."""
    wall = Wall(CELLS[0], Ageing())

    def apply(time: float) -> None:
        wall.hot.interpolate(lambda x: 10.0 * time * (1.0 + x[1] ** 2))

    Simulation(
        wall.problem,
        LoadSteps(range(steps + 1), apply),
        output=folder,
        checkpoint=Checkpoints(every=1),
        resume=True,
        quiet=True,
    ).run()
    return wall


@pytest.mark.mpi
def test_states_of_facets_are_found_by_other_numbers_of_ranks(tmp_path):
    """A state at every point of every facet, all different; resumed on other ranks the flow is the same."""
    wall = run(tmp_path / "whole", 3)
    reader = pv.get_reader(tmp_path / "whole" / "facets_0.pvd")
    assert reader.time_values == [0.0, 1.0, 2.0, 3.0]
    reader.set_active_time_point(3)
    drawn = reader.read()[0]
    weights = wall.contact.weights().reshape(len(drawn["cell"]), -1)
    mean = (wall.contact.gradients().reshape(weights.shape) * weights).sum(axis=1) / weights.sum(axis=1)
    np.testing.assert_allclose(drawn["jump"], mean)
    np.testing.assert_array_equal(drawn["cell"], wall.contact.numbers())
    states = wall.contact.pool.states
    assert len(np.unique(np.round(states, 6))) == len(states)
    flow = wall.problem.reaction(wall.warm)[0]
    for ranks, steps in ((1, 1), (2, 2), (3, 3)):
        succeeded(mpiexec(ranks, [__file__, str(tmp_path / "parts"), str(steps)]))
    parts = pv.get_reader(tmp_path / "parts" / "facets_0.pvd")
    parts.set_active_time_point(3)
    found = parts.read()[0]
    np.testing.assert_allclose(
        found["flow"][np.argsort(found["cell"])], drawn["flow"][np.argsort(drawn["cell"])], rtol=1e-9
    )
    assert float((tmp_path / "parts" / "flow.txt").read_text()) == pytest.approx(flow, rel=1e-9)


if __name__ == "__main__":
    found = run(Path(sys.argv[1]), int(sys.argv[2]))
    heat = found.problem.reaction(found.warm)[0]
    if WORLD.rank == 0:
        Path(sys.argv[1], "flow.txt").write_text(repr(float(heat)))
