"""Cells that come to equilibrium in another way than by Newton's method, and cells with bounds."""

from __future__ import annotations

import fe2  # isort: skip  # before dolfinx

import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
from cells import box_mesh, random_image, relative_error
from mpi import ROOT
from own_forms import membrane

from fe2 import profile
from fe2.arrays import Array
from fe2.errors import InputError, MicroSolveError
from fe2.micro.cell import make_cell
from fe2.micro.rve import RVE

PAGE = ROOT / "docs" / "cell_solvers.md"
FILES = dict(re.findall(r"File `(\w+\.py)`:\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL))
SHEAR = {"a": 3.0, "b": 12.0}
TOUGHNESS = 0.6
MODULES = ("damaged_cell", "test_damaged_cell")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    folder = tmp_path_factory.mktemp("page")
    for name, source in FILES.items():
        (folder / name).write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield {name: importlib.import_module(name) for name in MODULES}


def strip(elements: int = 10) -> fe2.Cell:
    return make_cell(box_mesh("quadrilateral", [elements, 3]), np.zeros(3 * elements), ("a",))


def answer(rve: RVE, gradient: Array, state: Array | None = None) -> tuple[fe2.Response, Array]:
    state = rve.initial_state() if state is None else state
    new = state.copy()
    return rve.solve(np.asarray(gradient, dtype=float), state, 0.0, new), new


def assert_consistent(rve: RVE, gradient: Array, state: Array, width: float, rtol: float = 1e-6) -> None:
    """The tangent against central differences."""
    found = answer(rve, gradient, state)[0]
    columns = [
        (answer(rve, gradient + h, state)[0].flux - answer(rve, gradient - h, state)[0].flux) / (2 * width)
        for h in width * np.eye(len(gradient))
    ]
    np.testing.assert_allclose(
        found.tangent, np.transpose(columns), rtol=0.0, atol=rtol * np.abs(found.tangent).max()
    )


# ---- the page


def test_page_is_executed_as_a_whole(page):
    assert PAGE.read_text().count("```python") == len(FILES) == 2
    page["test_damaged_cell"].test_homogeneous_cell_is_damaged_and_does_not_heal()


# ---- an obstacle below a membrane


def sag(x: Array, load: float, contact: float, depth: float, k: float) -> Array:
    """Deflection of a membrane, k u'' = c, that lies on an obstacle where a ≤ x ≤ 1 - a, c a² = 2 k δ."""
    distance = np.minimum(x, 1.0 - x)
    return -depth + load / (2.0 * k) * np.maximum(contact - distance, 0.0) ** 2


@pytest.mark.parametrize("contact", [2, 4])
@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_membrane_on_an_obstacle(contact, unit):
    """Linear elements are exact at the nodes of a line, where the contact begins at a node."""
    n, depth, k = 10, 0.3, 2.0 * unit
    a = contact / n
    load = 2.0 * k * depth / a**2
    rve = membrane(strip(n), fe2.Bound(0, lower=-depth), conductivity=k)
    found, new = answer(rve, [load])
    x = np.arange(n + 1) / n
    expected = sag(x, load, a, depth, k)
    np.testing.assert_allclose(
        rve.fields(new).point_data["u"][:, 0][np.argsort(nodes(rve)[:, 0])][::4], expected, atol=1e-12
    )
    mean = np.trapezoid(expected, x)
    # with the set held, a string between x = 0 and a: k u'' = 1 at both ends of the membrane
    sensitivity = np.trapezoid(-np.maximum(x * (a - x), 0.0) / (2.0 * k), x) * 2.0
    np.testing.assert_allclose([found.flux[0], found.tangent[0, 0]], [mean, sensitivity], rtol=1e-10)
    assert_consistent(rve, np.array([load]), rve.initial_state(), 1e-4 * load)
    assert rve.choices()["strategy of cells"] == "bounded: asked for"


def nodes(rve: RVE) -> Array:
    return rve.form.unknown.function_space.tabulate_dof_coordinates()


def test_bounds_that_come_from_the_step_before():
    """A membrane that sags and never rises again: it stays when the load falls, and its tangent is zero."""
    rve = membrane(strip(), fe2.Bound(0, upper=lambda before: before))
    first, one = answer(rve, [2.0])
    np.testing.assert_allclose(first.flux, -2.0 / 12.0 * (1.0 - 0.1**2), rtol=1e-10)  # nodes are exact
    less, two = answer(rve, [1.0], one)
    np.testing.assert_array_equal(two[1:], one[1:])
    assert less.flux == first.flux
    assert less.tangent == 0.0
    more = answer(rve, [3.0], two)[0]
    np.testing.assert_allclose(more.flux, 1.5 * first.flux, rtol=1e-10)
    np.testing.assert_allclose(more.tangent, first.tangent, rtol=1e-10)


def test_copies_obey_the_bounds_of_all_nodes_that_they_are():
    """A node on the upper face is the one on the lower face: its obstacle may stand at either."""
    y = nodes(membrane(strip()))[:, 1]
    lower = [np.where(y == face, -0.1, -np.inf) for face in (y.min(), y.max())]
    one, other = (answer(membrane(strip(), fe2.Bound(0, lower=given)), [9.0])[0] for given in lower)
    np.testing.assert_allclose(one.flux, other.flux, rtol=1e-12)
    assert abs(one.flux) < 0.9 * abs(answer(membrane(strip()), [9.0])[0].flux)


def test_set_that_does_not_settle_is_a_failure():
    rve = membrane(strip(40), fe2.Bound(0, lower=-0.01), solver=fe2.Bounded(max_changes=1))
    with pytest.raises(MicroSolveError, match=r"did not settle in 1 changes.* of 117 unknowns are"):
        answer(rve, [5.0])


# ---- damage


@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
def test_staggered_and_monolithic_cells_are_the_same(page, boundary):
    """Before the peak of the stress the energy is convex enough for Newton's method within the bounds."""
    make, cell = page["damaged_cell"].damaged_cell, random_image(2, 4)
    one, other = (
        make(cell, SHEAR, TOUGHNESS, 0.3 * cell.period[0], solver, boundary, tolerance=1e-10)
        for solver in (fe2.Staggered(((0,), (1,))), fe2.Bounded())
    )
    states = [rve.initial_state() for rve in (one, other)]
    for gradient in ([0.05, 0.02], [0.1, 0.05], [0.06, 0.05], [0.11, 0.06]):
        (a, states[0]), (b, states[1]) = (
            answer(rve, gradient, state) for rve, state in zip((one, other), states, strict=True)
        )
        assert relative_error(a.flux, b.flux) < 1e-8
        assert relative_error(a.tangent, b.tangent) < 1e-6
        assert relative_error(states[0], states[1]) < 1e-7


@pytest.mark.parametrize("gradient", [[0.12, 0.06], [0.07, 0.05]], ids=["loading", "a part unloads"])
def test_tangent_of_a_staggered_cell_is_consistent(page, gradient):
    cell = random_image(2, 4)
    rve = page["damaged_cell"].damaged_cell(cell, SHEAR, TOUGHNESS, 0.3, tolerance=1e-12)
    state = answer(rve, [0.1, 0.05])[1]
    found = answer(rve, gradient, state)[0]
    np.testing.assert_allclose(found.tangent, found.tangent.T, atol=1e-10 * np.abs(found.tangent).max())
    assert_consistent(rve, np.array(gradient), state, 1e-6)


def test_damage_does_not_depend_on_units(page):
    """Moduli and toughness in other units: the same damage, in as many factorizations."""
    make, cell = page["damaged_cell"].damaged_cell, random_image(2, 4)
    results = []
    for unit in (1.0, 1e9):
        rve = make(cell, {name: unit * G for name, G in SHEAR.items()}, unit * TOUGHNESS, 0.3)
        rve.initial_state()
        start = profile.snapshot()
        found, state = answer(rve, [0.1, 0.05])
        results.append((found.flux / unit, state, profile.snapshot().since(start).counts["factorizations"]))
    (a, one, count), (b, other, same) = results
    np.testing.assert_allclose(a, b, rtol=1e-9)
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert count == same


def test_staggered_cell_without_bounds_is_newtons(page):
    """Groups of fields in any number: all of them in one is Newton's method."""
    cell = random_image(2, 4)
    flux = [
        answer(page["damaged_cell"].damaged_cell(cell, SHEAR, TOUGHNESS, 0.5, solver), [0.05, 0.0])[0].flux
        for solver in (fe2.Staggered(((1,), (0,))), fe2.Staggered(((0, 1),)))
    ]
    np.testing.assert_allclose(flux[0], flux[1], rtol=1e-6)


# ---- what a user brings, and mistakes


class Undamped(fe2.CellSolver):
    """Newton's method without a line search."""

    def equilibrate(self, newton, gradient, fluctuation):
        point = newton.start(gradient, fluctuation)
        while point.error > newton.options.tolerance:
            newton.linearize()
            point = newton.start(gradient, point.fluctuation - newton.linear_solver.solve(point.residual))
        return point


def test_solver_of_a_user_comes_before_all_others():
    laws = {"a": fe2.J2Plasticity(70e3, 0.3, 100.0, 700.0), "b": fe2.LinearElastic.isotropic(400e3, 0.2)}
    gradient = 1e-3 * np.array([4.0, -1.0, 2.0])
    expected = answer(fe2.small_strain(random_image(2, 4), laws), gradient)[0]
    for solver in (Undamped(), fe2.Newton(), fe2.Adaptive(), "newton"):
        rve = fe2.small_strain(random_image(2, 4), laws, options=fe2.NewtonOptions(strategy=solver))
        found = answer(rve, gradient)[0]
        name = solver if isinstance(solver, str) else solver.name
        assert rve.choices()["strategy of cells"].startswith(f"{name}: ")
        np.testing.assert_allclose(found.flux, expected.flux, rtol=1e-6)
        np.testing.assert_allclose(
            found.tangent, expected.tangent, atol=1e-5 * np.abs(expected.tangent).max()
        )


@pytest.mark.parametrize(
    ("bounds", "solver", "message"),
    [
        ((fe2.Bound(1),), None, "the unknown of the cell has no field 1; it has 1"),
        ((fe2.Bound(0, lower=np.zeros(3)),), None, r"lower of field 0 has shape \(3,\)"),
        ((fe2.Bound(0, lower=0.0),), fe2.Newton(), "has bounds, which the strategy newton does not hold"),
        ((), fe2.Staggered(((0,), (1,))), r"groups = \(\(0,\), \(1,\)\); .* has 1 fields"),
        ((), fe2.Staggered(((),)), "each of 0 stands in one group"),
    ],
)
def test_what_does_not_fit_the_form_is_refused(bounds, solver, message):
    with pytest.raises(InputError, match=message):
        membrane(strip(), *bounds, solver=solver)


def test_bounds_of_fields_with_modes_are_refused(page):
    rve = page["damaged_cell"].damaged_cell(random_image(2, 4), SHEAR, TOUGHNESS, 0.3)
    form = replace(rve.form, bounds=(fe2.Bound(0, lower=0.0),))
    with pytest.raises(InputError, match="field 0 carries macroscopic modes"):
        RVE(rve.cell, form)


def test_bounds_that_exclude_each_other_are_a_failure():
    with pytest.raises(MicroSolveError, match=r"exclude each other: 0\.2 ≤ u ≤ 0\.1"):
        answer(membrane(strip(), fe2.Bound(0, 0.2, 0.1)), [1.0])


def test_sweeps_that_are_not_enough_are_a_failure(page):
    rve = page["damaged_cell"].damaged_cell(
        random_image(2, 4), SHEAR, TOUGHNESS, 0.3, fe2.Staggered(((0,), (1,)), max_sweeps=2), parts=1
    )
    with pytest.raises(MicroSolveError, match=r"did not converge in 2 sweeps: the residual of all fields is"):
        answer(rve, [0.1, 0.05])
