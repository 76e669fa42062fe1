r"""Size study: an effective property of many cells of several sizes, and how its variance falls.

Where correlations in the microstructure have a finite reach, the average over a volume V has the variance

.. math:: D^2(V) = c\,V^{-\beta}, \qquad \beta = 1

for V large against that reach, and a volume can be found for any accuracy that is wanted (Kanit, Forest,
Galliet, Mounoury & Jeulin, Int. J. Solids Struct. 40 (2003), eq. 8 and 16). Where the exponent stays below
one there are correlations over any distance, and no volume is representative.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI

from fe2.arrays import Array
from fe2.errors import Fe2Error, InputError
from fe2.micro.rve import RVE
from fe2.parallel import on_every_rank

_LEAST_SAMPLES = 3
_SURE = 0.25
"""Standard error of the exponent above which it says nothing."""


@dataclass(frozen=True, eq=False)
class SizeStudy:
    """An effective property of cells of k sizes.

    Attributes:
        quantity: What was looked at.
        sizes: Sizes as they were asked for, shape (k,).
        volumes: Mean volume of the cells of each size, shape (k,).
        values: The property of each cell, k arrays.
        exponent: β of the variance's decay, or None where the property does not vary.
        error: Standard error of the exponent.
        factor: c of the variance's decay.
    """

    quantity: str
    sizes: tuple[float, ...]
    volumes: Array
    values: tuple[Array, ...]
    exponent: float | None
    error: float
    factor: float

    @property
    def means(self) -> Array:
        """Mean for each size, shape (k,)."""
        return np.array([np.mean(values) for values in self.values])

    @property
    def variances(self) -> Array:
        """Variance for each size, an unbiased estimate, shape (k,)."""
        return np.array([np.var(values, ddof=1) for values in self.values])

    @property
    def representative(self) -> bool | None:
        """Whether the variance falls like 1/V, within two standard errors; None where that is not known."""
        if self.exponent is None:
            return True
        if self.exponent + 2.0 * self.error < 1.0:
            return False
        return None if self.error > _SURE else True

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        if self.exponent is None:
            return f"{self.quantity} does not vary: every cell is representative"
        found = f"the variance of {self.quantity} falls like V^-{self.exponent:.2f} (± {self.error:.2f})"
        if self.representative is False:
            return (
                f"WARNING: {found}, not like 1/V: correlations reach over any distance that was looked at, "
                "and no representative volume exists"
            )
        if self.representative is None:
            return f"{found}, too uncertain to tell: more samples or more different sizes are needed"
        return f"{found}, no slower than 1/V: representative volumes exist"

    def volume_for(self, error: float, samples: int = 1) -> float:
        r"""Volume whose mean over a number of samples is right to a relative error, with 95 % confidence.

        .. math:: V = \Big(\frac{4 c}{n\,\epsilon^2\,\bar z^2}\Big)^{1/\beta}

        Args:
            error: Relative error ε of the mean.
            samples: Number n of cells over which the mean is taken.

        Raises:
            InputError: The error or the number of samples is not positive, or the variance does not fall.
        """
        if not error > 0.0 or samples < 1:
            raise InputError(f"error = {error} and samples = {samples}: both have to be positive")
        if self.exponent is None:
            return float(self.volumes[0])
        if self.exponent <= 0.0:
            raise InputError(f"the variance of {self.quantity} does not fall: no volume is large enough")
        mean = self.means[-1]
        return float((4.0 * self.factor / (samples * error**2 * mean**2)) ** (1.0 / self.exponent))

    def as_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            "quantity": self.quantity,
            "sizes": list(self.sizes),
            "volumes": self.volumes,
            "samples": [len(values) for values in self.values],
            "means": self.means,
            "variances": self.variances,
            "exponent": self.exponent,
            "exponent_error": self.error,
            "representative": self.representative,
            "verdict": self.verdict,
            "values": list(self.values),
        }


def mean_tangent(rve: RVE) -> float:
    """Mean of the tangent's diagonal, a third or a sixth of its trace, which no rotation changes."""
    virgin = rve.initial_state()
    tangent = rve.solve(rve.kinematics.origin, virgin, 0.0, np.empty_like(virgin)).tangent
    return float(np.trace(tangent)) / len(tangent) * rve.kinematics.tangent_factor


def size_study(
    build: Callable[[float, int], RVE],
    sizes: Sequence[float],
    *,
    samples: int | Sequence[int] = 20,
    quantity: Callable[[RVE], float] = mean_tangent,
    name: str = "the mean tangent",
    volumes: Sequence[float] | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> SizeStudy:
    """An effective property of cells of several sizes; collective over `comm`, whose ranks share the work.

    Args:
        build: (size, number of the sample) ↦ a cell on this process alone.
        sizes: Sizes, at least two, increasing.
        samples: Number of samples of each size, at least 3, or one number for each size.
        quantity: Cell ↦ property.
        name: What the property is called.
        volumes: Volumes of the sizes; by default those of the cells.
        comm: Ranks that share the work.

    Raises:
        InputError: There are too few sizes or samples.
        Fe2Error: On all ranks: a cell could not be made or solved; the message names it.
    """
    counts = [samples] * len(sizes) if isinstance(samples, int) else list(samples)
    _check(sizes, counts)
    tasks = [(k, sample) for k, count in enumerate(counts) for sample in range(count)]
    own = tasks[comm.rank :: comm.size]
    with _cells_are_let_go():
        found = on_every_rank(
            comm, lambda: [(task, *_evaluate(build, sizes[task[0]], task[1], quantity, name)) for task in own]
        )
    # in the order of the tasks, whatever rank did them
    everything = sorted(entry for part in comm.allgather(found) for entry in part)
    values = tuple(
        np.array([value for (k, _), _, value in everything if k == size]) for size in range(len(sizes))
    )
    if volumes is None:
        volumes = [
            np.mean([volume for (k, _), volume, _ in everything if k == size]) for size in range(len(sizes))
        ]
    return _fitted(name, tuple(map(float, sizes)), np.asarray(volumes, dtype=np.float64), values)


def _check(sizes: Sequence[float], counts: Sequence[int]) -> None:
    if len(sizes) < 2 or np.any(np.diff(sizes) <= 0.0) or not sizes[0] > 0.0:
        raise InputError(f"sizes = {list(sizes)}: at least two are needed, positive and increasing")
    if len(counts) != len(sizes):
        raise InputError(f"{len(counts)} numbers of samples are given for {len(sizes)} sizes")
    for size, count in zip(sizes, counts, strict=True):
        if count < _LEAST_SAMPLES:
            raise InputError(
                f"{count} cells of size {size:g} are too few for a variance; {_LEAST_SAMPLES} are the least"
            )


def _evaluate(
    build: Callable[[float, int], RVE], size: float, sample: int, quantity: Callable[[RVE], float], name: str
) -> tuple[float, float]:
    """Volume and property of one cell."""
    try:
        rve = build(size, sample)
        value = quantity(rve)
    except Fe2Error as error:
        raise type(error)(f"sample {sample} of size {size:g}: {error}") from error
    if not np.isfinite(value):
        raise InputError(f"sample {sample} of size {size:g}: {name} is not finite: {value}")
    volume = rve.cell.volume
    del rve
    gc.collect()
    return volume, value


@contextmanager
def _cells_are_let_go() -> Iterator[None]:
    """Collecting garbage after each cell looks at what has come since then only.

    A cell holds communicators, of which MPI has a few thousand, and factors, which fill the memory.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _fitted(name: str, sizes: tuple[float, ...], volumes: Array, values: tuple[Array, ...]) -> SizeStudy:
    """Weighted least squares for log D² over log V; log D² of n normal samples has the variance 2/(n - 1)."""
    variances = np.array([np.var(sample, ddof=1) for sample in values])
    means = np.array([np.mean(sample) for sample in values])
    if np.all(variances <= 1e-18 * means**2):
        return SizeStudy(name, sizes, volumes, values, None, 0.0, 0.0)
    weights = np.array([0.5 * (len(sample) - 1) for sample in values])
    x, y = np.log(volumes), np.log(np.maximum(variances, 1e-300))
    centre = np.average(x, weights=weights)
    spread = float(weights @ (x - centre) ** 2)
    slope = float(weights @ ((x - centre) * y)) / spread
    level = float(np.average(y, weights=weights) - slope * centre)
    return SizeStudy(name, sizes, volumes, values, -slope, spread**-0.5, float(np.exp(level)))
