"""Frequency response: layers between which heat or a fluid diffuses, against Biot's theory in one dimension.

Heat in a thermoelastic body is a fluid in pores with other names: b = β, 1/M = c/T₀, k/μ = K/T₀ (Norris,
J. Appl. Phys. 71 (1992), 1138–1141). So White's layers (White, Mikhaylova & Lyakhovitskiy, Izvestija Earth
Phys. 11 (1975), 654–659) and Zener's thermoelastic damping are one formula.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before dolfinx

import numpy as np
import pytest
from case_files import write
from cells import laminate
from conftest import Verify

from fe2.cli.main import run
from fe2.errors import InputError
from fe2.micro import spectrum as module
from fe2.micro.rve import RVE

T0 = 300.0
HALF = (0.4, 0.6)
"""Half thicknesses of the layers of a period of 2."""


@dataclass(frozen=True)
class Layer:
    """A thermoelastic material, isotropic, as a porous one: β, c/T₀ and K/T₀ are b, 1/M and k/μ."""

    young: float
    poisson: float
    expansion: float
    conductivity: float
    capacity: float

    @property
    def law(self) -> fe2.PhaseLaw:
        return fe2.thermoelastic(self.young, self.poisson, self.expansion, self.conductivity, self.capacity)

    @property
    def modulus(self) -> float:
        """Of strain without lateral strain, at constant temperature."""
        return self.young * (1.0 - self.poisson) / ((1.0 + self.poisson) * (1.0 - 2.0 * self.poisson))

    @property
    def biot(self) -> float:
        return self.young / (1.0 - 2.0 * self.poisson) * self.expansion

    @property
    def storage(self) -> float:
        return self.capacity / T0

    @property
    def mobility(self) -> float:
        return self.conductivity / T0


@dataclass(frozen=True)
class Sand:
    """A sandstone full of gas or water: kPa, mm, s."""

    biot_modulus: float
    viscosity: float
    young: float = 14.4e6
    poisson: float = 0.2
    biot: float = 0.79
    permeability: float = 1e-7

    @property
    def law(self) -> fe2.PhaseLaw:
        drained = fe2.LinearElastic.isotropic(self.young, self.poisson)
        return fe2.Poroelastic(drained, self.permeability, self.viscosity, self.biot, self.biot_modulus)

    modulus = Layer.modulus

    @property
    def storage(self) -> float:
        return 1.0 / self.biot_modulus

    @property
    def mobility(self) -> float:
        return self.permeability / self.viscosity


LAYERS = (Layer(70.0, 0.33, 0.01, 237.0, 2.4), Layer(30.0, 0.2, 0.03, 2.0, 1.5))
SANDS = (Sand(0.2e6, 2e-8), Sand(8e6, 1e-6))
"""Gas, and water."""


def exact_modulus(layers: Sequence[Layer | Sand], frequency: np.ndarray) -> np.ndarray:
    r"""Stress over mean strain across layers, closed to the outside, of half thicknesses HALF.

    The stress σ is uniform, the strain (σ + b p)/H, what is stored bσ/H + S p with S = 1/M + b²/H, and
    iω(bσ/H + S p) = κ p″. So p = -bσ/(HS) + B cosh(qx), q² = iωS/κ, from the middle of each layer, with the
    same p and the opposite flux κp′ at the interface.
    """
    moduli = []
    for omega in 2.0 * np.pi * frequency:
        S = [a.storage + a.biot**2 / a.modulus for a in layers]
        q = [np.sqrt(1j * omega * s / a.mobility) for a, s in zip(layers, S, strict=True)]
        steps = [-a.biot / (a.modulus * s) for a, s in zip(layers, S, strict=True)]
        t = [np.tanh(k * half) for k, half in zip(q, HALF, strict=True)]
        flow = [a.mobility * k * tanh for a, k, tanh in zip(layers, q, t, strict=True)]
        # amplitudes at the interface
        B = np.linalg.solve(np.array([[1.0, -1.0], flow]), [steps[1] - steps[0], 0.0])
        means = [p * half + b * tanh / k for p, half, b, tanh, k in zip(steps, HALF, B, t, q, strict=True)]
        strains = [(half + a.biot * p) / a.modulus for half, a, p in zip(HALF, layers, means, strict=True)]
        moduli.append(sum(HALF) / sum(strains))
    return np.array(moduli)


def layered(elements: int, layers: Sequence[Layer | Sand] = LAYERS) -> RVE:
    """A period of 1 along x, with so many elements in a fifth of it."""
    cell = laminate("quadrilateral", 0, (0,) * (2 * elements) + (1,) * (3 * elements))
    laws = {"a": layers[0].law, "b": layers[1].law}
    if isinstance(layers[0], Sand):
        return fe2.poroelasticity(cell, laws)
    return fe2.thermoelasticity(cell, laws, reference_temperature=T0)


# the cells of the tests have a period of 1, half of that of the formula: times are a quarter
FREQUENCY = np.geomspace(0.01, 10.0, 13)


def test_modulus_across_layers_is_exact() -> None:
    """Linear elements: the error falls with the square of their size."""
    exact = exact_modulus(LAYERS, FREQUENCY)
    found = [layered(n).spectrum(4.0 * FREQUENCY).tangent[:, 0, 0] for n in (4, 8)]
    errors = [np.max(np.abs(values / exact - 1.0)) for values in found]
    assert errors[1] < 3e-3
    assert errors[0] / errors[1] > 3.5


@pytest.mark.parametrize(("layers", "lowest"), [(LAYERS, 0.1), (SANDS, 2e5)], ids=["heat", "gas and water"])
def test_attenuation_has_its_peak_at_the_frequency_and_height_of_the_formula(
    layers: tuple[Layer | Sand, ...], lowest: float, verify: Verify
) -> None:
    frequency = np.geomspace(lowest, 10.0 * lowest, 61)
    exact = exact_modulus(layers, frequency)
    losses = exact.imag / exact.real
    peak = int(np.argmax(losses))
    assert 0 < peak < 60
    found = layered(8, layers).spectrum(4.0 * frequency).attenuation[:, 0]
    assert abs(int(np.argmax(found)) - peak) <= 1
    case = (
        "attenuation of periodic layers of gas and water" if layers is SANDS else "damping of layers by heat"
    )
    verify(
        case,
        found.max(),
        losses.max(),
        tolerance=5e-3 * losses.max(),
        source="Biot's theory, layers in series",
    )


def distance(found: np.ndarray, reference: np.ndarray) -> float:
    """Of complex tangents, relative to the largest component."""
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def test_limits_are_one_temperature_and_sealed_points() -> None:
    """Slow: the closed cell of homogenize, whose mean entropy stays; fast: layers of adiabatic stiffness."""
    fast = 1.0 / sum(f / (a.modulus + a.biot**2 / a.storage) for f, a in zip(HALF, LAYERS, strict=True))
    errors = []
    for elements in (4, 8):
        rve = layered(elements)
        found, A = rve.spectrum([1e-7, 1e12]).tangent, rve.virgin_tangent()
        slow = A[:3, :3] - np.outer(A[:3, 3], A[3, :3]) / A[3, 3]
        assert distance(found[0, :3, :3], slow) < 1e-6
        assert np.abs(found.imag).max() < 1e-6 * np.abs(found).max()
        errors.append(abs(found[1, 0, 0] / fast - 1.0))
    # the temperature jumps between the layers, and within one element where it is continuous
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)
    assert errors[1] < 4e-3


def test_held_temperature_is_that_of_homogenize_in_slow_motion() -> None:
    rve = layered(2)
    found = rve.spectrum([1e-8], held=True).tangent[0]
    assert distance(found, rve.virgin_tangent()) < 1e-7


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("boundary", ["periodic", "linear", "uniform_flux"])
def test_modes_and_factorizations_agree(held: bool, boundary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = fe2.image_cell(np.random.default_rng(2).integers(0, 2, (5, 5)), {"a": 0, "b": 1})
    laws = {"a": LAYERS[0].law, "b": LAYERS[1].law}
    rve = fe2.thermoelasticity(cell, laws, reference_temperature=T0, boundary=boundary)
    modes = rve.spectrum(FREQUENCY, held=held)
    monkeypatch.setattr(module, "MOST_MODES", 0)
    factorized = rve.spectrum(FREQUENCY, held=held)
    assert modes.relaxation_times
    assert distance(modes.tangent, factorized.tangent) < 1e-7


def test_longest_relaxation_time_is_that_of_conduction_over_the_period() -> None:
    """Layers that differ in a small expansion only: c/(K (2π/L)²), and a coupling of 8 % at most."""
    layers = [Layer(10.0, 0.25, expansion, 5.0, 2.0) for expansion in (0.002, 0.004)]
    assert max(a.biot**2 / (a.storage * a.modulus) for a in layers) == pytest.approx(0.08)
    (time, part), *_ = layered(8, layers).spectrum([1.0]).relaxation_times
    assert 1.0 < time * 5.0 * (2.0 * np.pi) ** 2 / 2.0 < 1.08
    assert 1e-4 < part < 0.08


def test_load_that_meets_a_relaxation_time_is_told() -> None:
    """The longest time is 0.16 for the period of 1: a phase of a tenth is a period of 10."""
    rve = layered(4)
    with pytest.warns(fe2.Fe2Warning, match=r"the temperature evens out within the cell in 0\.15"):
        module.warn_of_relaxation(rve, 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.warn_of_relaxation(rve, 50.0)
        module.warn_of_relaxation(layers_of(*POLYMERS), 1.0)


def test_capacity_of_layers_lies_between_its_means() -> None:
    """A uniform supply: slow, the temperature is uniform; fast, each point keeps what it receives."""
    laws = {"a": fe2.LinearConduction(1.0, capacity=2.0), "b": fe2.LinearConduction(3.0, capacity=8.0)}
    rve = fe2.diffusion(laminate("quadrilateral", 0, (0,) * 8 + (1,) * 12), laws, value=True)
    found = rve.spectrum([1e-7, 1e9]).tangent[:, 0, 0]
    assert found[0] == pytest.approx(0.4 * 2.0 + 0.6 * 8.0, rel=1e-6)
    # at the interface linear elements join what is discontinuous
    assert found[1] == pytest.approx(1.0 / (0.4 / 2.0 + 0.6 / 8.0), rel=0.03)


POLYMERS = [
    fe2.viscoelastic(3.0, 0.35, [0.1, 2.0], [0.3, 0.4], [0.1, 0.0]),
    fe2.viscoelastic(1.0, 0.2, [0.1, 2.0], [0.1, 0.6]),
]


def test_layers_of_polymers_are_those_of_complex_moduli() -> None:
    """Across, layers in series, by K* + 4G*/3; their shear, by G*: the correspondence principle."""
    found = layers_of(*POLYMERS).spectrum(FREQUENCY)
    moduli = np.array([[law.complex_moduli(f) for law in POLYMERS] for f in FREQUENCY])
    stiff, shear = moduli[..., 0] + 4.0 / 3.0 * moduli[..., 1], moduli[..., 1]
    for component, parts in ((0, stiff), (2, 2.0 * shear)):
        exact = 1.0 / (0.4 / parts[:, 0] + 0.6 / parts[:, 1])
        assert found.tangent[:, component, component] == pytest.approx(exact, rel=1e-10)
        assert found.attenuation[:, component] == pytest.approx(exact.imag / exact.real, rel=1e-9)


def test_field_of_polymers_and_finer_cells_answer_as_phases() -> None:
    field = fe2.MaterialField.of(dict(enumerate(POLYMERS)))
    labels = np.repeat([[0], [1]], [2, 3], axis=0) * np.ones(3, dtype=int)
    one = fe2.small_strain(fe2.image_cell(labels, {"all": [0, 1]}), {"all": field})
    pixels = fe2.image_cell(np.zeros((3, 3), dtype=int), {"all": 0})
    finer = fe2.cell_law(fe2.small_strain(pixels, {"all": POLYMERS[0]}), period=1e-3)
    expected = layers_of(*POLYMERS).spectrum(FREQUENCY[::6]).tangent
    for rve in (one, layers_of(finer, POLYMERS[1])):
        assert distance(rve.spectrum(FREQUENCY[::6]).tangent, expected) < 1e-10


def layers_of(a: fe2.PhaseLaw, b: fe2.PhaseLaw) -> RVE:
    return fe2.small_strain(laminate("quadrilateral", 0), {"a": a, "b": b})


def test_polymer_beside_a_scalar_is_refused() -> None:
    law = fe2.Poroelastic(POLYMERS[0], 1.0, 1.0, 0.5, 1.0)
    with pytest.raises(InputError, match="phase 'a' is viscoelastic"):
        fe2.poroelasticity(laminate("quadrilateral", 0), dict.fromkeys("ab", law)).spectrum([1.0])


def test_cell_that_stores_nothing_answers_alike_at_all_frequencies() -> None:
    law = fe2.LinearElastic.isotropic(1.0, 0.3)
    rve = fe2.small_strain(laminate("quadrilateral", 0), dict.fromkeys("ab", law))
    found = rve.spectrum([1.0, 1e3])
    assert np.all(found.tangent == rve.virgin_tangent())
    assert not found.attenuation.any()


@pytest.mark.parametrize("permeability", [0.0, 1.0])
@pytest.mark.parametrize("held", [False, True])
def test_solids_without_pores_are_elastic_at_all_frequencies(permeability: float, held: bool) -> None:
    elastic = fe2.LinearElastic.isotropic(1.0, 0.3)
    law = fe2.Poroelastic(elastic, permeability, 1.0, 0.0, np.inf)
    rve = fe2.poroelasticity(laminate("quadrilateral", 0), dict.fromkeys("ab", law))
    found = rve.spectrum([1.0, 1e3], held=held)
    assert np.all(found.tangent == rve.virgin_tangent())
    assert found.relaxation_times == ()


@pytest.mark.parametrize("frequency", [[], [0.0], [1.0, np.nan]])
def test_frequencies_are_positive(frequency: list[float]) -> None:
    with pytest.raises(InputError, match="frequencies must be positive"):
        layered(1).spectrum(frequency)


def cell_file(folder: Path, **changed: float) -> Path:
    keys = ("young", "poisson", "expansion", "conductivity", "heat_capacity")
    phases = {
        f"layer_{k}": {
            "law": "thermoelastic",
            **dict(zip(keys, vars(layer).values(), strict=True)),
            **changed,
        }
        for k, layer in enumerate(LAYERS, 1)
    }
    cell: dict[str, Any] = {
        "generator": "laminate",
        "fractions": list(HALF),
        "lengths": [2.0, 1.0],
        "size": 0.2,
    }
    cell |= {"elements": "tensor", "physics": "thermoelasticity", "reference_temperature": T0}
    return write(folder, {"cell": cell, "phases": phases})


def test_command_prints_pairs_by_block(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(cell_file(tmp_path))
    assert run(["spectrum", file, "--from", "0.1", "--to", "10", "--count", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frequency"] == pytest.approx([0.1, 1.0, 10.0])
    exact = exact_modulus(LAYERS, np.array(found["frequency"]))
    for entry, losses, value in zip(found["effective"], found["attenuation"], exact, strict=True):
        real, imaginary = entry["stress"]["strain"][0][0]
        assert real + 1j * imaginary == pytest.approx(value, rel=2e-2)
        assert losses["stress"][0] == pytest.approx(imaginary / real)
        assert entry["heat_flux"]["temperature_gradient"][1][1] == pytest.approx(
            [0.4 * 237.0 + 0.6 * 2.0, 0.0]
        )
    assert run(["spectrum", file, "--from", "10", "--to", "1"]) == 1
    assert "--to = 1: it must be finite and at least --from = 10" in capsys.readouterr().err
    assert run(["spectrum", file, "--from", "1", "--to", "inf"]) == 1
    assert "--to = inf: it must be finite" in capsys.readouterr().err
    assert run(["spectrum", file, "--from", "1", "--to", "10", "--count", "2"]) == 0
    assert "relaxation time" in capsys.readouterr().out


def test_command_prints_a_tangent_that_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(cell_file(tmp_path, expansion=0.0))
    assert run(["spectrum", file, "--from", "1", "--to", "10", "--count", "2"]) == 0
    printed = capsys.readouterr().out
    assert "stress by strain" in printed
    assert "nothing is lost" in printed
