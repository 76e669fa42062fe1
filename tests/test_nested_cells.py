"""Cells in the phases of a cell: exact laminates of laminates, the law itself, states, failures, refusals."""

from __future__ import annotations

import warnings
from functools import cache, partial
from typing import Any

import fe2  # isort: skip  # before dolfinx

import dolfinx
import numpy as np
import pytest
import two_scale
from cells import laminate, midpoints, relative_error
from mpi4py import MPI
from test_rve_exact import laminate_stiffness
from two_scale import ALUMINIUM, SOFT, STIFF

from fe2.errors import InputError, MicroSolveError
from fe2.micro import cell_law as cells_as_laws
from fe2.micro.cell import make_cell
from fe2.micro.cell_law import CellLaw, LinearCellLaw
from fe2.micro.rve import RVE
from fe2.micro.scale_overlap import mean_thickness
from fe2.physics.law import PhaseLaw
from fe2.tensors import mandel_rotation, positions_in_full
from fe2.testing import check_micro_model

ROUND_OFF = 1e-11
PLANE = np.ix_(*2 * [positions_in_full(3)])
PATH = 1e-3 * np.array([[4.0, -2.0, 3.0], [3.5, -1.8, 2.7], [-3.0, 2.0, -4.0]])
cell_law = partial(cells_as_laws.cell_law, period=1e-3)  # small against all phases
NEWTON = fe2.NewtonOptions(tolerance=1e-11, strategy="newton")


def layers(axis: int, a: PhaseLaw, b: PhaseLaw, shape: str = "quadrilateral", **options: Any) -> RVE:
    """0.4 of a and 0.6 of b across an axis."""
    return fe2.small_strain(laminate(shape, axis), {"a": a, "b": b}, **options)


@cache
def one_pixel(law: PhaseLaw) -> RVE:
    return fe2.small_strain(
        fe2.image_cell(np.zeros((3, 3), dtype=int), {"all": 0}), {"all": law}, options=NEWTON
    )


@pytest.mark.parametrize("shape", ["triangle", "hexahedron"])
def test_laminate_of_laminates_is_exact(shape: str) -> None:
    """Three scales: layers across y of layers across x of layers across y, each twice the layers' formula."""
    third = fe2.LinearElastic.cubic(300.0, 100.0, 80.0)
    finest = layers(1, STIFF, SOFT, shape)
    finer = layers(0, cell_law(finest), third, shape)
    found = layers(1, SOFT, cell_law(finer), shape)
    stiffnesses = [
        law.stiffness if shape == "hexahedron" else law.stiffness[PLANE] for law in (STIFF, SOFT, third)
    ]
    exact = laminate_stiffness(stiffnesses[:2], [0.4, 0.6], 1)
    exact = laminate_stiffness([exact, stiffnesses[2]], [0.4, 0.6], 0)
    exact = laminate_stiffness([stiffnesses[1], exact], [0.4, 0.6], 1)
    assert found.is_linear
    assert relative_error(found.homogenize().tangent, exact) < ROUND_OFF


def test_finer_image_is_a_law_without_a_mesh() -> None:
    labels = np.zeros((5, 3, 3), dtype=int)
    labels[2:] = 1
    finer = fe2.small_strain(fe2.image_cell(labels, {"a": 0, "b": 1}), {"a": STIFF, "b": SOFT})
    law = cell_law(finer)
    assert isinstance(law, LinearCellLaw)
    exact = laminate_stiffness([STIFF.stiffness, SOFT.stiffness], [0.4, 0.6], 0)
    assert relative_error(law.tangent, exact) < 1e-8  # the tolerance of the grid's iteration
    assert "form" not in vars(finer)


def test_turned_cells_are_turned_materials() -> None:
    """Finer layers at other angles, by label, against the formula of layers of turned stiffnesses."""
    finer = fe2.rotated(layers(0, STIFF, SOFT))
    angles, labels = [0.3, -0.7], np.repeat([[0], [1]], [2, 3], axis=0) * np.ones(3, dtype=int)
    field = fe2.MaterialField(partial(cell_law, finer), [0, 1], angle=angles)
    found = fe2.small_strain(fe2.image_cell(labels, {"all": [0, 1]}), {"all": field}).homogenize().tangent
    C = laminate_stiffness([law.stiffness[PLANE] for law in (STIFF, SOFT)], [0.4, 0.6], 0)
    turned = []
    for angle in angles:
        c, s = np.cos(angle), np.sin(angle)
        Q = mandel_rotation(np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]))[PLANE]
        turned.append(Q @ C @ Q.T)
    # the grid's iteration stops at a residual of 1e-8
    assert relative_error(found, laminate_stiffness(turned, [0.4, 0.6], 0)) < 1e-6


def test_turned_plastic_cells_answer_as_each_alone() -> None:
    finer = fe2.rotated(layers(0, ALUMINIUM, STIFF, options=NEWTON))
    field = fe2.MaterialField(partial(cell_law, finer), [0, 1], angle=[0.3, -0.7])
    alone = {f"p{k}": cell_law(finer, angle=angle) for k, angle in enumerate([0.3, -0.7])}
    labels = np.repeat([[0], [1]], [1, 2], axis=0) * np.ones(3, dtype=int)
    one = fe2.small_strain(fe2.image_cell(labels, {"all": [0, 1]}), {"all": field}, options=NEWTON)
    two = fe2.small_strain(fe2.image_cell(labels, {"p0": 0, "p1": 1}), alone, options=NEWTON)
    found, expected = (rve.solve(PATH[0], s := rve.initial_state(), 1.0, s.copy()) for rve in (one, two))
    assert relative_error(found.flux, expected.flux) < 1e-9
    assert relative_error(found.tangent, expected.tangent) < 1e-9


def test_homogeneous_plastic_cell_is_its_law_in_the_cell_around_it() -> None:
    law = cell_law(one_pixel(ALUMINIUM))
    assert isinstance(law, CellLaw)
    nested, plain = (layers(1, a, STIFF, options=NEWTON) for a in (law, ALUMINIUM))
    states = [nested.initial_state(), plain.initial_state()]
    for gradient in PATH:
        new = [state.copy() for state in states]
        found, exact = (
            rve.solve(gradient, s, 1.0, o) for rve, s, o in zip((nested, plain), states, new, strict=True)
        )
        assert relative_error(found.flux, exact.flux) < 1e-10
        assert relative_error(found.tangent, exact.tangent) < 1e-10
        assert found.iterations == exact.iterations
        states = new
    averages = [rve.averages(state[None]) for rve, state in zip((nested, plain), states, strict=True)]
    assert averages[0].keys() == averages[1].keys()
    for name, values in averages[1].items():
        assert averages[0][name] == pytest.approx(values, rel=1e-9, abs=1e-15)
    assert nested.fields(states[0]).cell_data.keys() == plain.fields(states[1]).cell_data.keys()


def test_nested_cells_fulfil_the_contract_of_micro_models() -> None:
    """Tangents through loading and unloading, restored states, wrappers: with rates and with plasticity."""
    viscous = two_scale.Maxwell(STIFF.stiffness[PLANE])
    check_micro_model(layers(0, cell_law(viscous), SOFT, options=NEWTON), amplitude=1e-3)
    check_micro_model(layers(0, cell_law(one_pixel(ALUMINIUM)), SOFT), amplitude=4e-3)


def test_tangent_of_a_finite_strain_cell_is_the_derivative_of_its_flux() -> None:
    """In the plane, where laws see all nine components of the displacement gradient."""
    soft, stiff = (fe2.NeoHookean(E, 0.3) for E in (1.0, 5.0))
    finer = fe2.finite_strain(laminate("quadrilateral", 0), {"a": soft, "b": stiff}, options=NEWTON)
    laws = {"a": cell_law(finer), "b": soft}
    around = fe2.finite_strain(laminate("quadrilateral", 1), laws, options=NEWTON)
    virgin, H, width = around.initial_state(), np.array([0.1, -0.2, 0.05, 0.15]), 1e-5

    def answer(gradient: np.ndarray) -> fe2.Response:
        return around.solve(gradient, virgin, 1.0, virgin.copy())

    steps = width * np.eye(4)
    differences = [(answer(H + e).flux - answer(H - e).flux) / (2.0 * width) for e in steps]
    # a third derivative times width², and 1e-11 of the flux over the width
    assert relative_error(answer(H).tangent, np.array(differences).T) < 1e-6


def test_conducting_cell_stores_what_its_finer_cells_store() -> None:
    """⟨c⟩ over three scales beside the conductivity of the layers, at a step of the time."""
    poor, rich = fe2.LinearConduction(1.0, capacity=2.0), fe2.LinearConduction(4.0, capacity=6.0)
    finer = fe2.diffusion(laminate("quadrilateral", 0), {"a": poor, "b": rich}, value=True, options=NEWTON)
    cell = fe2.diffusion(
        laminate("quadrilateral", 1), {"a": cell_law(finer), "b": poor}, value=True, options=NEWTON
    )
    virgin = cell.initial_state()
    answer = cell.solve(np.array([3.0, 1.0, 0.5]), virgin, 0.25, virgin.copy())
    c, along, across = 0.4 * 2.0 + 0.6 * 6.0, 0.4 * 1.0 + 0.6 * 4.0, 1.0 / (0.4 / 1.0 + 0.6 / 4.0)
    capacity = 0.4 * c + 0.6 * 2.0
    conductivity = np.array([0.4 * across + 0.6, 1.0 / (0.4 / along + 0.6)])
    assert answer.flux == pytest.approx([capacity * 3.0 / 0.25, *(conductivity * [1.0, 0.5])], rel=1e-10)
    assert answer.tangent == pytest.approx(np.diag([capacity / 0.25, *conductivity]), rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("plastic", [False, True])
def test_thermoelastic_cell_of_a_homogeneous_finer_cell_is_its_law(plastic: bool) -> None:
    """Stress, entropy and heat flux, and all cross terms of the tangent."""
    metal = {"young": 70e3, "poisson": 0.33, "expansion": 23e-6, "conductivity": 237.0, "heat_capacity": 2.4}
    law = (
        fe2.thermoplastic(**metal, yield_stress=100.0, hardening=7e3)
        if plastic
        else fe2.thermoelastic(**metal)
    )
    other = fe2.thermoelastic(380e3, 0.22, 8e-6, 30.0, 3.2)
    finer = fe2.thermoelasticity(
        fe2.image_cell(np.zeros((3, 3), int), {"all": 0}), {"all": law}, options=NEWTON
    )
    laws = (cell_law(finer), law)
    assert isinstance(laws[0], CellLaw if plastic else LinearCellLaw)
    cells = [
        fe2.thermoelasticity(laminate("quadrilateral", 1), {"a": a, "b": other}, options=NEWTON) for a in laws
    ]
    origin, scale = cells[0].kinematics.origin, np.array([4e-3, -2e-3, 3e-3, 50.0, 1e3, 2e3])
    found, exact = (rve.solve(origin + scale, s := rve.initial_state(), 1.0, s.copy()) for rve in cells)
    sizes = np.abs(exact.tangent) @ np.abs(scale)
    assert np.abs(found.flux - exact.flux) == pytest.approx(np.zeros(6), abs=1e-9 * sizes.max())
    assert np.all(np.abs(found.tangent - exact.tangent) * np.abs(scale) <= 1e-9 * sizes[:, None])


def test_failure_has_its_place_on_both_scales() -> None:
    law = cell_law(two_scale.Locking(young=1.0, limit=0.1))
    cell = layers(0, law, fe2.LinearElastic.isotropic(1.0, 0.2), options=fe2.NewtonOptions(parts=1))
    virgin = cell.initial_state()
    with pytest.raises(MicroSolveError, match=r"finer cell.*strain \(xx, yy, xy\) = .*locked \(mesh cells 0"):
        cell.solve(np.array([0.2, 0.0, 0.0]), virgin, 1.0, virgin.copy())


def test_cells_that_do_not_fit_are_refused() -> None:
    conductor = fe2.diffusion(laminate("quadrilateral", 0), dict.fromkeys("ab", fe2.LinearConduction(1.0)))
    with pytest.raises(
        InputError, match=r"phase 'a': the finer cell is of diffusion, and .* of small_strain"
    ):
        layers(0, cell_law(conductor), SOFT)
    with pytest.raises(InputError, match=r"phase 'a': the finer cell has 3 dimensions, and .* 2"):
        layers(0, cell_law(layers(0, STIFF, SOFT, "hexahedron")), SOFT)
    with pytest.raises(InputError, match=r"takes the parameters .'angle'., and those given are"):
        cell_law(fe2.rotated(layers(0, STIFF, SOFT)))
    hot = [
        fe2.thermoelasticity(
            laminate("quadrilateral", 0),
            dict.fromkeys("ab", fe2.thermoelastic(1.0, 0.3, 1e-5, 1.0, 1.0)),
            reference_temperature=T,
        )
        for T in (300.0, 400.0)
    ]
    with pytest.raises(InputError, match=r"begins with .*temperature = 300.* with .*temperature = 400"):
        fe2.thermoelasticity(
            laminate("quadrilateral", 0), dict.fromkeys("ab", cell_law(hot[0])), reference_temperature=400.0
        )


def resolved(ratio: int) -> fe2.Cell:
    """A layer of finer layers, whose period is its thickness over `ratio`, beside another layer."""
    period, elements = 0.5 / ratio, 8
    corners, counts = [[0.0, 0.0], [period, 1.0]], [elements, 2 * elements * ratio]
    mesh = dolfinx.mesh.create_rectangle(MPI.COMM_SELF, corners, counts, dolfinx.mesh.CellType.quadrilateral)
    x = midpoints(mesh)
    return make_cell(mesh, (1 - ((x[:, 1] < 0.5) & (x[:, 0] < period / 2.0))).astype(int), ("stiff", "soft"))


def test_error_of_nested_cells_is_proportional_to_the_ratio_of_scales() -> None:
    """Against resolved cells, moduli 10:1, elements of second degree: the numbers of the page."""
    stiff, soft = fe2.LinearElastic.isotropic(10.0, 0.2), fe2.LinearElastic.isotropic(1.0, 0.3)
    C = [law.stiffness[PLANE] for law in (stiff, soft)]
    nested = laminate_stiffness([laminate_stiffness(C, [0.5, 0.5], 0), C[1]], [0.5, 0.5], 1)
    errors = []
    for ratio in (2, 4, 8):
        cell = fe2.small_strain(resolved(ratio), {"stiff": stiff, "soft": soft}, degree=2)
        errors.append(relative_error(nested, cell.homogenize().tangent))
    assert errors == pytest.approx([0.0452, 0.0226, 0.0113], rel=0.02)


def test_scales_that_overlap_are_told() -> None:
    """Twice the volume over the interface, also across the period: a layer's thickness, half a fibre's."""
    cell = laminate("triangle", 1)
    assert [mean_thickness(cell, phase) for phase in "ab"] == pytest.approx([0.4, 0.6], rel=1e-12)
    assert mean_thickness(laminate("hexahedron", 2), "a") == pytest.approx(0.4, rel=1e-12)
    assert mean_thickness(two_scale.fibre_cell(), "fibre") == pytest.approx(0.25, rel=1e-12)
    finer = layers(0, STIFF, SOFT)
    with pytest.warns(fe2.Fe2Warning, match=r"'a': .* period 1, .* thickness 0\.4: the scales overlap"):
        layers(1, cells_as_laws.cell_law(finer), SOFT)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers(1, cells_as_laws.cell_law(finer, period=0.09), SOFT)
