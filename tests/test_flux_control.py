"""Material tests under prescribed fluxes: each is reached, in any units, or it is said that it was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cells import Array, distorted, random_image
from fe2_meshes.laminate import laminate
from own_forms import scalar_kinematics

from fe2.errors import Fe2Warning, InputError, MicroSolveError
from fe2.micro.finite_strain import finite_strain
from fe2.micro.linear_model import LinearModel
from fe2.micro.material_test import MaterialPath, MaterialTest, MaterialTestError, material_test
from fe2.micro.mesh_cell import read_cell
from fe2.micro.model import MicroModel
from fe2.micro.small_strain import small_strain
from fe2.physics.elasticity import LinearElastic
from fe2.physics.neo_hookean import NeoHookean
from fe2.physics.plasticity import J2Plasticity
from fe2.physics.small_strain import small_strain_kinematics

UNITS = (1.0, 1e6, 1e-3)
"""Megapascals, pascals and gigapascals."""


class Saturating(LinearModel):
    """Fluxes s_i = L_i tanh(A_ii g_i / L_i) of two kinds, each with its limit L_i, in units of its own."""

    def __init__(self, stiffness: npt.ArrayLike, limits: npt.ArrayLike) -> None:
        kinematics = scalar_kinematics("two kinds", ("strain", "heating"), "gradient", "flux")
        super().__init__(kinematics, np.diag(np.asarray(stiffness, dtype=np.float64)))
        self.limits = np.asarray(limits, dtype=np.float64)

    def evaluate(self, gradients, committed, trial, points, step, answers) -> None:
        trial[:] = gradients
        reached = np.tanh(gradients @ self.tangent / self.limits)
        answers.flux[:] = self.limits * reached
        answers.tangent[:] = (1.0 - reached**2)[:, :, None] * self.tangent


def drive(model: MicroModel, increments: int = 1, **prescribed: Any) -> MaterialTest:
    """Drive along a path with points a second apart, from zero; flux_xx=[...] prescribes a stress."""
    kinds: dict[str, dict[str, Array]] = {"gradient": {}, "flux": {}}
    for key, values in prescribed.items():
        kind, component = key.split("_")
        kinds[kind][component] = np.array([0.0, *values])
    points = 1 + len(next(iter(prescribed.values())))
    return material_test(model, MaterialPath(np.arange(float(points)), **kinds, increments=increments))


def failed(model: MicroModel, increments: int = 1, **prescribed: Any) -> tuple[MaterialTest, str]:
    """Rows up to the failure of a test, and its message."""
    with pytest.raises(MaterialTestError, match="the prescribed fluxes were not reached") as caught:
        drive(model, increments, **prescribed)
    assert caught.value.test is not None
    return caught.value.test, str(caught.value)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("component", "limit"), [("xx", 250.0), ("xy", 250.0 / np.sqrt(3.0))], ids=["tension", "shear"]
)
def test_a_perfectly_plastic_bar_is_not_pulled_beyond_its_yield_stress(
    unit: float, component: str, limit: float
) -> None:
    """Rows up to the last equilibrium are kept: the increments of 0.24, and where the halving ended."""
    bar = small_strain(distorted("tetrahedron"), {"a": J2Plasticity(200e3 * unit, 0.3, 250.0 * unit)})
    test, message = failed(bar, 5, **{f"flux_{component}": [1.2 * limit * unit]})
    number = test.components.index(component)
    reached = test.flux[:, number] / (limit * unit)
    assert reached[:5] == pytest.approx([0.0, 0.24, 0.48, 0.72, 0.96], rel=1e-9)
    assert 1.0 - 0.24 / 1024 <= reached[-1] <= 1.0
    assert test.times[-1] == pytest.approx(reached[-1] / 1.2, rel=1e-9)
    assert f"stress {component} = {1.2 * limit * unit:.6g}" in message
    assert message.endswith("Beyond a limit load no strain brings it: prescribe the strain instead")
    assert np.abs(test.gradient).max() < 2e-3


@pytest.mark.parametrize("unit", UNITS)
def test_a_trial_with_a_singular_cell_is_halved_like_any_other(unit: float, tmp_path: Path) -> None:
    """A laminate of equal layers flows as a whole in the first trial beyond its limit of k/√3."""
    laminate(tmp_path / "cell.msh", fractions=(0.5, 0.5), elements="tensor", size=0.25)
    layers = {f"layer_{k}": J2Plasticity(70e3 * unit, 0.3, 100.0 * unit) for k in (1, 2)}
    test, message = failed(small_strain(read_cell(tmp_path / "cell.msh"), layers), 10, flux_xy=[80.0 * unit])
    reached = test.flux[:, 2] * np.sqrt(3.0) / (100.0 * unit)
    assert test.flux[:8, 2] == pytest.approx(8.0 * unit * np.arange(8), abs=1e-7 * unit)
    assert 0.998 < reached[-1] <= 1.0 + 1e-7
    assert "MUMPS" not in message
    assert "PETSc" not in message


@pytest.mark.parametrize("component", ["xx", "xy"])
@pytest.mark.parametrize("unit", UNITS)
def test_two_perfectly_plastic_phases_have_a_limit_too(unit: float, component: str) -> None:
    phases = {name: J2Plasticity(200e3 * unit, 0.3, y * unit) for name, y in (("a", 250.0), ("b", 150.0))}
    test, _ = failed(small_strain(random_image(2, 4), phases), 2, **{f"flux_{component}": [600.0 * unit]})
    reached = np.abs(test.flux[-1]).max() / unit
    lower, upper = (f / np.sqrt(3.0) for f in ((150.0, 250.0) if component == "xy" else (300.0, 500.0)))
    assert (1.0 - 2.0**-9) * lower < reached < upper
    assert np.abs(test.gradient).max() < 0.05


def test_what_was_reached_before_is_no_excuse() -> None:
    """After strains of 1 % stress control that asks for more than the yield stress fails as well."""
    bar = small_strain(distorted("tetrahedron"), {"a": J2Plasticity(200e3, 0.3, 250.0)})
    nan = np.nan
    test, _ = failed(bar, 2, gradient_xx=[0.01, nan, nan], flux_xx=[nan, 0.0, 260.0])
    assert test.flux[4, 0] == pytest.approx(0.0, abs=1e-6)
    assert test.gradient[4, 0] == pytest.approx(0.01 - 250.0 / 200e3, rel=1e-8)
    assert 249.0 < test.flux[-1, 0] < 250.0


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e6, 1.0), (1.0, 1e6), (1e-6, 1e6)])
def test_each_of_several_kinds_of_flux_is_reached(units: tuple[float, float]) -> None:
    """Both follow their curve to the same accuracy, whatever their units."""
    model = Saturating(np.multiply([200e3, 0.02], units), np.multiply([250.0, 3.0], units))
    test = drive(
        model, 3, flux_strain=[200.0 * units[0], 0.0], flux_heating=[-1.5 * units[1], 2.0 * units[1]]
    )
    exact = np.array([[200.0, -1.5], [0.0, 2.0]]) * units
    assert np.abs(test.flux[[3, 6]] - exact).max(axis=0) / units == pytest.approx(0.0, abs=2e-7)
    strain, heating = test.gradient[3]
    assert strain == pytest.approx(250.0 / 200e3 * np.arctanh(0.8), rel=1e-8)
    assert heating == pytest.approx(-3.0 / 0.02 * np.arctanh(0.5), rel=1e-8)
    assert test.gradient[6, 0] == pytest.approx(0.0, abs=1e-8 * strain)


@pytest.mark.parametrize("units", [(1.0, 1.0), (1e6, 1.0), (1e-6, 1e6)])
@pytest.mark.parametrize(("stress", "flux"), [(300.0, 0.1), (0.1, 3.5)])
def test_one_kind_beyond_its_limit_is_not_hidden_by_the_other(
    units: tuple[float, float], stress: float, flux: float
) -> None:
    model = Saturating(np.multiply([200e3, 0.02], units), np.multiply([250.0, 3.0], units))
    test, message = failed(model, flux_strain=[stress * units[0]], flux_heating=[flux * units[1]])
    assert np.all(test.flux[-1] / units < [250.0, 3.0])
    assert f"flux {'strain' if stress > 250.0 else 'heating'} = " in message


def test_small_fluxes_beside_large_ones_and_rests_without_load_are_reached() -> None:
    bar = small_strain(distorted("tetrahedron"), {"a": J2Plasticity(200e3, 0.3, 250.0, hardening=5e3)})
    rest = drive(bar, 2, flux_xx=[0.0, 300.0, 0.0, 0.0], flux_xy=[0.0, 1e-4, 1e-4, 0.0])
    assert rest.flux[4, 5] == pytest.approx(1e-4, rel=1e-6)
    assert np.abs(rest.flux[-1]).max() < 1e-7
    assert rest.gradient[4, 0] == pytest.approx(300.0 / 200e3 + 50.0 / 5e3, rel=1e-7)
    assert rest.gradient[-1, 0] == pytest.approx(50.0 / 5e3, rel=1e-7)


@pytest.mark.parametrize("unit", UNITS)
def test_finite_strain_under_stress_and_back(unit: float) -> None:
    """The round-off of a stress is that of F = 1 + H, not of H."""
    law = NeoHookean(1.0 * unit, 0.3)
    block = finite_strain(distorted("tetrahedron"), {"a": law})
    test = drive(block, 2, flux_xx=[0.0, 0.5 * unit, 0.0, 0.0])
    assert test.flux[4, 0] == pytest.approx(0.5 * unit, rel=1e-9)
    assert np.abs(test.gradient[[2, 6, 8]]).max() < 1e-8
    assert 0.1 < test.gradient[4, 0] < 1.0


STRIPS = np.diag([3.8, 0.0, 0.0])


@pytest.mark.parametrize("noise", [0.0, 1e-16])
def test_directions_that_nothing_holds_stay_and_are_named(noise: float) -> None:
    model = LinearModel(small_strain_kinematics(2), STRIPS + noise)
    with pytest.warns(Fe2Warning, match="nothing holds the cell in yy, xy"):
        test = drive(model, 2, flux_xx=[1.0])
    assert test.gradient[-1] == pytest.approx([1.0 / 3.8, 0.0, 0.0], rel=1e-9)
    assert test.unheld == ("yy", "xy")
    with pytest.warns(Fe2Warning):
        _, message = failed(model, flux_xx=[1.0], flux_yy=[1.0])
    assert "no gradient brings yy" in message


def test_a_path_without_load_needs_no_iteration_and_a_wrong_path_is_no_failure_of_the_test() -> None:
    model = Saturating([200e3, 0.02], [250.0, 3.0])
    assert np.array_equal(drive(model, 2, flux_strain=[0.0]).gradient, np.zeros((3, 2)))
    with pytest.raises(InputError, match="the components are strain, heating"):
        drive(model, flux_xx=[1.0])
    assert issubclass(MaterialTestError, MicroSolveError)


def test_history_of_a_test_is_reported_by_name_in_plain_components() -> None:
    """In simple shear the plastic strain is all of the shear but τ/2G; engineering strain is twice that."""
    shear = 200e3 / 2.6
    bar = small_strain(distorted("tetrahedron"), {"a": J2Plasticity(200e3, 0.3, 250.0)})
    test = drive(bar, 4, gradient_xy=[0.012])
    plastic = 0.5 * (test.gradient[:, 5] - test.flux[:, 5] / shear)
    assert list(test.history) == [
        *(f"plastic_strain_{name}" for name in test.components),
        "equivalent_plastic_strain",
    ]
    assert test.history["plastic_strain_xy"] == pytest.approx(plastic, rel=1e-8)
    assert test.averages["plastic_strain"][:, 5] == pytest.approx(plastic, rel=1e-8)
    equivalent = 2.0 / np.sqrt(3.0) * plastic
    assert test.history["equivalent_plastic_strain"] == pytest.approx(equivalent, rel=1e-8)


def test_elastic_phases_beside_a_perfectly_plastic_one_have_no_limit() -> None:
    phases = {"a": J2Plasticity(200e3, 0.3, 250.0), "b": LinearElastic.isotropic(70e3, 0.2)}
    test = drive(small_strain(random_image(2, 4), phases), 2, flux_xx=[500.0, 0.0])
    assert test.flux[2, 0] == pytest.approx(500.0, rel=1e-8)
    assert np.abs(test.flux[4]).max() < 1e-6
