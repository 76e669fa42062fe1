"""Where arrays live: NumPy with SciPy's transforms on a CPU, or CuPy on a GPU; that is imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from scipy import fft

from fe2.errors import InputError

KINDS = ("cpu", "cuda")


@dataclass(frozen=True, eq=False)
class Device:
    """A place for arrays, with what works on them.

    Attributes:
        name: "cpu" or "cuda".
        xp: The array namespace: numpy or cupy.
        threads: Threads of the transforms on a CPU.
        voxels_at_once: Voxels whose local arrays fit into a processor's cache, or keep a GPU busy.
        cases_at_once: Right-hand sides that are iterated side by side.
    """

    name: str
    xp: ModuleType
    threads: int
    voxels_at_once: int
    cases_at_once: int

    def rfftn(self, fields: Any, dim: int) -> Any:
        """Real Fourier transform over the last axes."""
        axes = tuple(range(-dim, 0))
        if self.name == "cpu":
            return fft.rfftn(fields, axes=axes, workers=self.threads)
        return self.xp.fft.rfftn(fields, axes=axes)

    def irfftn(self, waves: Any, shape: tuple[int, ...]) -> Any:
        """Its inverse, for a grid of this shape; the waves are overwritten."""
        axes = tuple(range(-len(shape), 0))
        if self.name == "cpu":
            return fft.irfftn(waves, s=shape, axes=axes, workers=self.threads, overwrite_x=True)
        return self.xp.fft.irfftn(waves, s=shape, axes=axes).astype(waves.real.dtype, copy=False)

    def host(self, values: Any) -> Any:
        """The values as an array of NumPy."""
        return values if self.name == "cpu" else self.xp.asnumpy(values)

    def free_memory(self) -> float:
        """Bytes that a GPU has free; infinite for a CPU, about which the system tells."""
        return np.inf if self.name == "cpu" else float(self.xp.cuda.runtime.memGetInfo()[0])

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """A GPU that runs out of memory inside is one sentence.

        Raises:
            InputError: It did.
        """
        try:
            yield
        except MemoryError as error:  # CuPy's own is one
            if self.name == "cpu":
                raise
            raise InputError(
                f"device = {self.name!r}: the GPU ran out of memory ({error}); coarsen or crop the image, or "
                'take device = "cpu"'
            ) from error


def device(name: str = "cpu", threads: int = 1) -> Device:
    """The device of a name, "cpu" or "cuda".

    Raises:
        InputError: There is no such device, or nothing to work with on it.
    """
    if name not in KINDS:
        raise InputError(f'device = {name!r}: it must be "cpu" or "cuda"')
    if name == "cpu":
        return Device("cpu", np, threads, voxels_at_once=4096, cases_at_once=1)
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise InputError(
            f"device = 'cuda': CuPy is needed, pip install 'fe2[gpu]' ({error}); or take device = \"cpu\""
        ) from error
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise InputError(f"device = 'cuda': no GPU answers ({error}); take device = \"cpu\"") from error
    if count == 0:
        raise InputError("device = 'cuda': this machine has no GPU that CUDA knows; take device = \"cpu\"")
    return Device("cuda", cupy, threads, voxels_at_once=1 << 21, cases_at_once=6)
