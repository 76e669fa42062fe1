"""A cell that several ranks solve together answers as on one rank, for every kind of form.

The module also runs under mpiexec, see test_groups.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import two_scale
from cells import distorted, laminate, random_image
from initial_history import Fading
from micro_options import micro_option
from mpi4py import MPI
from own_forms import floating_strips, membrane

import fe2
from fe2.micro import solver_choice
from fe2.micro.rve import RVE

WORLD = MPI.COMM_WORLD
TIGHT = fe2.NewtonOptions(tolerance=1e-11)
STEEL = fe2.J2Plasticity(200e3, 0.3, yield_stress=400.0, hardening=2e3)
VOCE = fe2.VocePlasticity(70e3, 0.2, 100.0, saturation_stress=150.0, saturation_rate=80.0)
RUBBER, STIFF = fe2.NeoHookean(2.994, 0.497), fe2.NeoHookean(24.0, 0.2)


def small_strain(dim: int, boundary: str) -> RVE:
    cell, laws = random_image(dim, 5 - (dim == 3)), {"a": STEEL, "b": VOCE}
    return fe2.small_strain(cell, laws, boundary=boundary, options=TIGHT)


def grains() -> RVE:
    """One law of each kind whose parameters differ from element to element, with initial values that do."""
    image, young = np.random.default_rng(2).integers(0, 6, size=(5, 5)), 1e4 * np.arange(7.0, 13.0)
    image.reshape(-1)[:6] = np.arange(6)
    laws = {
        "plastic": fe2.MaterialField(
            fe2.VocePlasticity,
            range(3),
            young=young[:3],
            poisson=0.3,
            yield_stress=[100.0, 150.0, 200.0],
            saturation_stress=50.0,
            saturation_rate=30.0,
        ),
        "elastic": fe2.MaterialField(fe2.LinearElastic.isotropic, [3, 4], young=young[3:5], poisson=0.2),
        "fading": fe2.MaterialField(Fading, [5], resistance=[1e5]),
    }
    phases = {"plastic": [0, 1, 2], "elastic": [3, 4], "fading": 5}
    return fe2.small_strain(fe2.image_cell(image, phases), laws, options=TIGHT)


def finite_strain() -> RVE:
    laws = {"matrix": RUBBER, "fibre": STIFF}
    return fe2.finite_strain(two_scale.fibre_cell(), laws, incompressible=("matrix",), options=TIGHT)


def conduction() -> RVE:
    laws = {"a": fe2.LinearConduction(1.0, capacity=2.0), "b": fe2.LinearConduction(5.0, capacity=1.0)}
    return fe2.diffusion(laminate("triangle", 0), laws, value=True, contact={("a", "b"): 0.1})


def elastic() -> RVE:
    laws = {"a": two_scale.SOFT, "b": two_scale.STIFF}
    return fe2.small_strain(distorted("tetrahedron", ("a", "b")), laws)


def pore_flow() -> RVE:
    image = np.zeros((4, 4), dtype=int)
    image[1:3, 1] = 1
    cell = fe2.image_cell(image, {"pore": 0, "grain": 1}, voxel_size=1.0)
    return fe2.pore_flow(cell, {"pore": fe2.NewtonianFluid(2.0), "grain": fe2.Solid()})


def poroelasticity() -> RVE:
    """A plastic skeleton, a solid through which more seeps where it swells, and a hole full of fluid."""
    image = np.zeros((5, 5), dtype=int)
    image[1:3, 1:3], image[3, 4] = 1, 2
    skeleton = fe2.Poroelastic(fe2.J2Plasticity(1.0, 0.2, 0.002, hardening=0.1), 0.5, 1.0, 0.8, 2.0)
    swelling = fe2.Poroelastic(fe2.LinearElastic.isotropic(3.0, 0.2), lambda v, p: 1.0 + v, 1.0, 0.4, 5.0)
    laws = {"skeleton": skeleton, "swelling": swelling, "pore": fe2.Pore(2.0)}
    cell = fe2.image_cell(image, {name: label for label, name in enumerate(laws)})
    return fe2.poroelasticity(cell, laws, options=TIGHT)


CELLS: dict[str, tuple[Callable[[], RVE], float]] = {
    "two laws with history, periodic": (lambda: small_strain(2, "periodic"), 0.01),
    "two laws with history, linear": (lambda: small_strain(2, "linear"), 0.01),
    "two laws with history, uniform flux": (lambda: small_strain(2, "uniform_flux"), 0.01),
    "fields of materials": (grains, 0.01),
    "in space": (lambda: small_strain(3, "periodic"), 0.01),
    "displacement and pressure": (finite_strain, 0.1),
    "resisting interfaces": (conduction, 1.0),
    "pores without elements": (poroelasticity, 0.01),
    "constant tangents": (elastic, 0.01),
    "velocity and pressure": (pore_flow, 1.0),
    "bounds": (lambda: membrane(laminate("triangle", 0), fe2.Bound(0, -0.1)), 5.0),
}


@cache
def cell(name: str) -> RVE:
    return CELLS[name][0]()


def gradients(rve: RVE, size: float) -> list[np.ndarray]:
    """Loading, more of it, and back."""
    direction = np.cos(1.0 + np.arange(rve.kinematics.size))
    return [rve.kinematics.origin + size * part * direction for part in (0.4, 1.0, 0.3)]


@pytest.mark.parametrize("name", CELLS)
def test_answers_and_states_are_those_of_one_rank(name):
    whole = cell(name)
    part = whole.distributed(WORLD)
    state, own = whole.initial_state(), part.initial_state()
    for gradient in gradients(whole, CELLS[name][1]):
        new, own_new = np.empty_like(state), np.empty_like(own)
        expected = whole.solve(gradient, state, 0.5, new)
        found = part.solve(gradient, own, 0.5, own_new)
        for one, other in ((found.flux, expected.flux), (found.tangent, expected.tangent)):
            np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-8 * np.abs(other).max())
        np.testing.assert_allclose(own_new, new[part.share], rtol=0.0, atol=1e-8 * np.abs(new).max())
        assert found.iterations == expected.iterations
        state, own = new, own_new
    for name_, average in whole.averages(state[None]).items():
        scale = 1e-8 * max(np.abs(average).max(), 1e-300)
        np.testing.assert_allclose(part.averages(own[None])[name_], average, rtol=0.0, atol=scale)


@pytest.mark.parametrize("name", CELLS)
def test_shares_make_the_whole_and_histories_are_not_held_twice(name):
    whole = cell(name)
    part = whole.distributed(WORLD)
    shares = WORLD.allgather(part.share)
    np.testing.assert_array_equal(np.unique(np.concatenate(shares)), np.arange(whole.state_size))
    for share in shares:
        assert np.all(np.diff(share) > 0)
    history = np.arange(whole.kinematics.size + whole.unknowns, whole.lasting_size)
    held = np.concatenate([share[np.isin(share, history)] for share in shares])
    assert len(held) == len(history)
    assert part.state_size == len(part.share)


def test_effective_properties_are_those_of_one_rank():
    whole = cell("constant tangents")
    expected, found = whole.homogenize(), whole.distributed(WORLD).homogenize()
    np.testing.assert_allclose(found.effective, expected.effective, rtol=1e-9, atol=1e-6)
    for name, bound in expected.properties["bounds"].items():
        if not isinstance(bound, dict):
            np.testing.assert_allclose(found.properties["bounds"][name], bound, rtol=1e-9, atol=1e-6)


def test_failure_in_the_share_of_one_rank_is_one_on_all():
    """det F becomes negative in some element; every rank raises, and the next solve succeeds."""
    part = cell("displacement and pressure").distributed(WORLD)
    virgin, out = part.initial_state(), np.empty(part.state_size)
    with pytest.raises(fe2.MicroSolveError):
        part.solve(part.kinematics.origin + np.array([-1.5, 0.0, 0.0, 0.1]), virgin, 1.0, out)
    assert WORLD.allreduce(1) == WORLD.size
    good = gradients(part, 0.1)[0]
    flux = part.solve(good, virgin, 1.0, out).flux
    assert len({tuple(values) for values in WORLD.allgather(flux.tolist())}) == 1


def test_solution_of_a_singular_matrix_is_looked_at_on_all_ranks():
    part = floating_strips("triangle").distributed(WORLD)
    newton = part._newton
    newton.start(np.zeros(2), np.zeros(part.unknowns))
    newton.linearize()
    forces = np.random.default_rng(0).normal(size=(part.unknowns, 2))
    with pytest.raises(fe2.MicroSolveError, match="singular: its solution leaves"):
        newton.linear_solver.solve(forces[:, 0])
    with pytest.raises(fe2.MicroSolveError, match="singular: its solution leaves"):
        newton.linear_solver.solve_many(forces)
    assert WORLD.allreduce(1) == WORLD.size


def test_matrix_after_a_singular_one_is_factorized_on_all_ranks():
    part = cell("constant tangents").distributed(WORLD)
    newton, right = part._newton, np.random.default_rng(0).normal(size=(part.unknowns, 1))
    newton.linearize()
    solver, values = newton.linear_solver, newton.linear_solver._folded.data.copy()
    expected = solver.solve_many(right)
    newton.linear_solver._folded.data[:] = 0.0
    with pytest.raises(fe2.MicroSolveError, match="is singular: its factorization met a zero pivot"):
        solver.factorize()
    newton.linear_solver._folded.data[:] = values
    solver.factorize()
    np.testing.assert_allclose(
        solver.solve_many(right), expected, rtol=0.0, atol=1e-10 * np.abs(expected).max()
    )


def test_iterations_that_fail_are_replaced_by_a_factorization_on_all_ranks(monkeypatch):
    whole = cell("constant tangents")
    expected = whole.homogenize().tangent
    monkeypatch.setattr(solver_choice, "FACTORIZED_MESHES", {2: 0, 3: 0})
    with micro_option("ksp_max_it", "1"), warnings.catch_warnings():
        warnings.simplefilter("ignore", fe2.Fe2Warning)
        part = elastic().distributed(WORLD)
        found = part.homogenize().tangent
    assert part.solver.name.startswith("sparse factorization (MUMPS)")
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-9 * np.abs(expected).max())
