"""Gradients that a concurrent run went through, as paths for sampling.

``gradients/step_*.npz`` in the folder of results hold, for each law, the gradients of all its points at the
end of an accepted step, sorted by macroscopic cell and point as the mesh's input numbers them: on any number
of ranks the files are the same.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path as File

import numpy as np

from fe2.arrays import Array, Ints
from fe2.errors import InputError
from fe2.hierarchical.paths import Path
from fe2.io.observer import Observer
from fe2.io.vtu import write_whole
from fe2.parallel import on_root
from fe2.physics.kinematics import Kinematics
from fe2.records import StepRecord

FOLDER = "gradients"

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, MemoryError, NotImplementedError)
"""How archives that are damaged, or promise more than there is, end."""


class GradientRecorder(Observer):
    """Stores the gradients of all points at every step, as paths along which cells can be solved before."""

    def __init__(self, folder: str | File) -> None:
        """Keep the folder, which is that of the results."""
        self._folder = File(folder) / FOLDER

    def begin(self) -> None:
        """Write those of the start; collective."""
        if not self.run.goes_on:
            self._write(float(self.run.steps.times[0]))

    def accepted(self, record: StepRecord) -> None:
        """Write those of a step; collective."""
        self._write(record.time)

    def _write(self, time: float) -> None:
        """Write the present gradients of all points as one file; collective.

        Raises:
            Fe2Error: On all ranks: the file could not be written.
        """
        name, comm = f"step_{len(self.run.records):06d}", self.run.problem.comm
        arrays: dict[str, Array] = {"time": np.array(time)}
        for k, law in enumerate(self.run.problem.laws):
            rows = law.gradients()
            numbers = law.numbers()
            parts = comm.gather((numbers, rows.reshape(-1, law.points_per_cell, rows.shape[1])))
            if parts is not None:
                order = np.argsort(np.concatenate([part for part, _ in parts]))
                values = np.concatenate([part for _, part in parts])
                arrays[f"law_{k}"] = values[order].reshape(-1, rows.shape[1])

        def write() -> None:
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, **arrays)
            self._folder.mkdir(parents=True, exist_ok=True)
            # what a run wrote after the checkpoint that it goes on from is out of date
            for later in self._folder.glob("step_*.npz"):
                if later.stem > name:
                    later.unlink()
            write_whole(self._folder / f"{name}.npz", content.getvalue())

        on_root(comm, write)


def recorded_paths(
    folder: str | File, kinematics: Kinematics, *, law: int = 0, count: int | None = None, seed: int = 0
) -> list[Path]:
    """Paths of the points of a run.

    Args:
        folder: Folder of results of a run that recorded its gradients.
        kinematics: Names and sizes of the gradient.
        law: Number of the law in the problem.
        count: Number of paths: the point with the largest change of the gradient, and others at random.
        seed: Seed of the choice.

    Raises:
        InputError: There are no recorded gradients, or not those of this kinematics.
    """
    files = sorted((File(folder) / FOLDER).glob("step_*.npz"))
    if not files:
        raise InputError(
            f"{folder} holds no gradients: fe2.GradientRecorder among a run's observers writes them"
        )
    times, steps = zip(*(_recorded(file, law, kinematics) for file in files), strict=True)
    if len({rows.shape for rows in steps}) > 1:
        raise InputError(f"{folder} holds gradients of different numbers of points: they are of several runs")
    gradients = np.array(steps)
    # the start of the run is the virgin cell, at the first time
    elapsed = np.array(times[1:]) - times[0]
    chosen = _chosen(gradients[1:] - kinematics.origin, count, seed)
    return [Path(elapsed, gradients[1:, point]) for point in chosen]


def _recorded(file: File, law: int, kinematics: Kinematics) -> tuple[float, Array]:
    """Time of a step, and the gradients of all points, shape (points, m)."""
    try:
        with np.load(file, allow_pickle=False) as content:
            time, rows = float(content["time"]), content[f"law_{law}"]
    except (*_DAMAGE, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file} does not hold the gradients of law {law}: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != kinematics.size or rows.dtype != np.float64:
        raise InputError(
            f"{file} holds gradients of the shape {rows.shape}; {kinematics.size} components are needed: "
            f"{', '.join(kinematics.components)}"
        )
    return time, rows


def _chosen(changes: Array, count: int | None, seed: int) -> Ints:
    points = changes.shape[1]
    if count is None or count >= points:
        return np.arange(points)
    hottest = int(np.linalg.norm(changes, axis=2).max(axis=0).argmax())
    others = np.random.default_rng(seed).permutation(np.setdiff1d(np.arange(points), [hottest]))
    return np.sort(np.append(others[: count - 1], hottest))
