"""The grid on a GPU: with CuPy where there is one, and everywhere with arrays that behave like its own."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

import fe2
from fe2.errors import InputError
from fe2.grid.device import device
from fe2.micro.image_rve import ImageRVE

PHASES = {"a": 0, "b": 1, "c": 2}


class DeviceArray(np.ndarray):
    """An array that, as those of CuPy, does not work together with arrays of NumPy."""

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        for value in (*inputs, *options.get("out", ())):
            if isinstance(value, np.ndarray) and not isinstance(value, DeviceArray) and value.ndim:
                raise TypeError(f"{function}: an array of NumPy beside one of the device")
        outputs = options.pop("out", ())
        if outputs:
            options["out"] = tuple(value.view(np.ndarray) for value in outputs)
        plain = [value.view(np.ndarray) if isinstance(value, DeviceArray) else value for value in inputs]
        result = getattr(function, method)(*plain, **options)
        return outputs[0] if outputs else np.asarray(result).view(DeviceArray)


def like_cupy(free: float = 1e9) -> types.ModuleType:
    """NumPy, with what else CuPy has, and arrays of the kind above."""
    module = types.ModuleType("cupy")
    module.__dict__.update({name: getattr(np, name) for name in dir(np) if not name.startswith("__")})
    module.fft = types.SimpleNamespace()
    for source, target, names in (
        (np, module, ("zeros", "empty", "broadcast_to", "where", "concatenate")),
        (np.fft, module.fft, ("rfftn", "irfftn")),
    ):
        for name in names:
            make = getattr(source, name)
            setattr(target, name, lambda *a, make=make, **k: make(*a, **k).view(DeviceArray))
    module.asarray = lambda values, **k: np.array(values, **k).view(DeviceArray)
    module.asnumpy = lambda values: np.array(values)
    module.cuda = types.SimpleNamespace(
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: 1, memGetInfo=lambda: (free, free), CUDARuntimeError=RuntimeError
        )
    )
    return module


@pytest.fixture(params=["like CuPy", "CuPy"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "like CuPy":
        monkeypatch.setitem(sys.modules, "cupy", like_cupy())
        return
    try:
        device("cuda")
    except InputError as error:
        pytest.skip(str(error))


def rve(physics: str, dim: int) -> fe2.RVE:
    image = np.random.default_rng(3).choice(3, (7, 6, 5)[:dim])
    cell = fe2.image_cell(image, PHASES)
    if physics == "conduction":
        return fe2.diffusion(cell, {name: fe2.LinearConduction(10.0**k) for name, k in PHASES.items()})
    laws = {name: fe2.LinearElastic.isotropic(10.0**k, 0.3) for name, k in PHASES.items()}
    return fe2.small_strain(cell, laws)


@pytest.mark.parametrize("tolerance", [1e-6, 1e-12])
@pytest.mark.parametrize(("physics", "dim"), [("conduction", 3), ("elasticity", 2), ("elasticity", 3)])
def test_gpu_and_processor_agree(physics: str, dim: int, tolerance: float, gpu: None) -> None:
    cell = rve(physics, dim)
    here, there = (
        cell.homogenize(fe2.GridOptions(tolerance=tolerance, device=name)) for name in ("cpu", "cuda")
    )
    assert here.iterations == there.iterations
    scale = 1e-7 if tolerance > 1e-7 else 1e-13  # of single or double precision, over some iterations
    np.testing.assert_allclose(there.tangent, here.tangent, rtol=0.0, atol=scale * here.tangent.max())


def plastic() -> ImageRVE:
    cell = fe2.image_cell(np.random.default_rng(3).choice(2, (5, 4)), {"a": 0, "b": 1})
    law = fe2.J2Plasticity(70e3, 0.3, 100.0, hardening=700.0)
    made = fe2.small_strain(cell, {"a": law, "b": fe2.LinearElastic.isotropic(400e3, 0.2)})
    assert isinstance(made, ImageRVE)
    return made


def test_plastic_cell_answers_alike_on_gpu_and_processor(gpu: None) -> None:
    gradient, states = np.array([3e-3, -1e-3, 2e-3]), []
    for name in ("cpu", "cuda"):
        model = plastic().on_grid(fe2.GridOptions(device=name))
        state = model.initial_state()
        for part in (0.5, 1.0):
            new = state.copy()
            response = model.solve(part * gradient, state, 1.0, new)
            state = new
        states.append((response.flux, state))
    np.testing.assert_allclose(states[1][0], states[0][0], rtol=1e-7)
    np.testing.assert_allclose(states[1][1], states[0][1], rtol=0.0, atol=1e-9)


def test_law_that_numpy_evaluates_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", like_cupy())
    cell = fe2.image_cell(np.zeros((3, 3), int), {"a": 0})
    made = fe2.small_strain(cell, {"a": fe2.VocePlasticity(70e3, 0.3, 100.0, 50.0, 30.0)})
    assert isinstance(made, ImageRVE)
    with pytest.raises(InputError, match="phase 'a': a VocePlasticity is evaluated by NumPy"):
        made.on_grid(fe2.GridOptions(device="cuda"))


def test_image_that_does_not_fit_into_the_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", like_cupy(free=100.0))
    with pytest.raises(InputError, match=r"of the GPU's memory, and 1e-07 GB are free: crop the image"):
        rve("elasticity", 3).homogenize(fe2.GridOptions(device="cuda"))


def test_gpu_that_runs_out_of_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    module = like_cupy()

    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("out of memory allocating 512 bytes")

    module.fft = types.SimpleNamespace(rfftn=full)
    monkeypatch.setitem(sys.modules, "cupy", module)
    with pytest.raises(InputError, match=r"device = 'cuda': the GPU ran out of memory .* device = \"cpu\""):
        rve("elasticity", 3).homogenize(fe2.GridOptions(device="cuda"))
