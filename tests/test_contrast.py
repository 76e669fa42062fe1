"""Phases that differ by ten orders of magnitude and more: a warning with the digits that are left."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from cells import laminate, two_phases

import fe2
from fe2.cli.main import run
from fe2.errors import Fe2Warning
from fe2.physics.contrast import moduli_of_tangent, warn_of_contrast

IMAGE = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_laminate_loses_the_digits_that_the_warning_says() -> None:
    """Stiffness across the layers of a laminate, known exactly, with moduli in random units."""
    for exponent in (10, 12, 14):
        with pytest.warns(Fe2Warning, match="double precision leaves about") as caught:
            found = conductivity(10.0**exponent)
        digits = int(re.search(r"about (\d+) digits", str(caught[0].message)).group(1))
        error = abs(found / (1.0 / (0.4 / 1.0 + 0.6 / 10.0**exponent)) - 1.0)
        assert digits == 15 - exponent
        assert error < 10.0 ** (1 - digits)


def conductivity(contrast: float) -> float:
    cell = laminate("quadrilateral", 0)
    laws = {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(contrast)}
    return float(fe2.diffusion(cell, laws).homogenize().effective[0, 0])


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize(("contrast", "warned"), [(9.9e9, False), (1.01e10, True)])
def test_warning_begins_at_ten_orders_of_magnitude_in_all_units(
    contrast: float, warned: bool, unit: float
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_contrast({"a": (unit, 2.0 * unit), "b": (contrast * unit,), "void": (0.0,), "own": ()})
    assert len(caught) == warned


@pytest.mark.parametrize(
    "make",
    [
        lambda cell: fe2.small_strain(
            cell, {"a": fe2.LinearElastic.isotropic(1.0, 0.2), "b": fe2.J2Plasticity(1e11, 0.2, 1e9)}
        ),
        lambda cell: fe2.small_strain(
            cell, {name: fe2.LinearElastic.isotropic(E, 0.2) for name, E in {"a": 1.0, "b": 1e11}.items()}
        ),
        lambda cell: fe2.finite_strain(
            cell, {"a": fe2.NeoHookean(1.0, 0.2), "b": fe2.MooneyRivlin(1e11, 0.0, 1e11)}
        ),
        lambda cell: fe2.diffusion(
            cell, {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction([1e11, 1.0])}
        ),
        lambda cell: fe2.diffusion(
            cell,
            {
                "a": fe2.NonlinearConduction(lambda T: 1.0 + T),
                "b": fe2.NonlinearConduction(lambda T: 1e11 + T),
            },
            value=True,
        ),
    ],
)
def test_every_physics_warns(make) -> None:
    with pytest.warns(Fe2Warning, match=r"range from .* to .*e\+1[01] .*about [34] digits"):
        make(two_phases(IMAGE)).homogenize()


def test_rotations_are_no_soft_modulus() -> None:
    skew = np.array([[0.5, -0.5], [-0.5, 0.5]])
    assert moduli_of_tangent(3.0 * skew) == pytest.approx((3.0,))


def test_check_and_homogenize_warn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "image.npy", np.array(IMAGE))
    file = tmp_path / "cell.toml"
    file.write_text(
        '[cell]\nimage = "image.npy"\nvoxel_size = 1.0\nphysics = "diffusion"\n'
        '[phases]\na = { label = 0, law = "linear_conduction", conductivity = 1.0 }\n'
        'b = { label = 1, law = "linear_conduction", conductivity = 1e12 }\n'
    )
    assert run(["check", str(file)]) == 0
    assert "warning: moduli of the phases" in capsys.readouterr().err
    assert run(["homogenize", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["warnings"]
    assert any("leaves about 3 digits of what a decides" in text for text in told)


@pytest.mark.parametrize("resistance", [1e9, 1e11])
def test_contact_resistance_leaves_the_digits_that_are_told(resistance: float) -> None:
    """1/k* = Σ f/k + 2 R/L of layers, where the elements are 0.26 L long on the average."""
    laws = {"a": fe2.LinearConduction(1.0), "b": fe2.LinearConduction(10.0)}
    with pytest.warns(Fe2Warning, match=r"\(contact a and b\) to 10 \(b\).*leaves about \d digits") as caught:
        rve = fe2.diffusion(laminate("quadrilateral", 0), laws, contact={("a", "b"): resistance})
    found = rve.homogenize().effective[0, 0]
    digits = int(re.search(r"about (\d+) digits", str(caught[0].message))[1])
    assert abs(found * (0.4 + 0.06 + 2.0 * resistance) - 1.0) < 10.0 ** (1 - digits)
