"""From a cell file to samples of its microstructure: windows of its image, or cells of other seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fe2.case.build_cell import build_rve, phase_laws
from fe2.case.cell_case import CellCase
from fe2.case.cell_tables import GeneratorCell, ImageCell
from fe2.case.located import located
from fe2.errors import InputError
from fe2.hierarchical.windows import Windows
from fe2.io.images import read_image
from fe2.micro.coarsening import coarsen_image, fractions_of_labels, warn_of_changed_fractions
from fe2.micro.image_cell import image_cell
from fe2.micro.rve import RVE

Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Samples:
    """Cells of several sizes for a size study.

    Attributes:
        build: (size, number of the sample) ↦ a cell.
        counts: Number of samples of each size.
        volumes: Volumes of the sizes in words of their own, or None where those of the cells count.
        unit: What a size is.
    """

    build: Callable[[float, int], RVE]
    counts: list[int]
    volumes: list[float] | None
    unit: str


def build_samples(case: CellCase, sizes: list[int], samples: int, seed: int) -> Samples:
    """The samples of a cell file: disjoint windows of an image, or cells of a generator with a seed.

    Args:
        case: The cell file.
        sizes: Voxels a side of the windows, after coarsening; or numbers of inclusions.
        samples: Number of samples of each size; an image gives as many as there are disjoint windows.
        seed: Seed of the choice.

    Raises:
        InputError: The cell is neither of an image nor of a generator with a seed and a number of
            inclusions, or there are no windows of a size.
    """
    table = case.cell
    if isinstance(table, ImageCell):
        return _windows(case, table, sizes, samples, seed)
    if isinstance(table, GeneratorCell) and {"seed", "count"} <= set(type(table).model_fields):
        return Samples(
            build=lambda size, sample: _seeded(case, int(size), seed + sample),
            counts=[samples] * len(sizes),
            volumes=[float(size) for size in sizes],
            unit="inclusions",
        )
    raise InputError(
        f"{Path(case.file)}: a size study needs samples of the microstructure: windows of an image, or a "
        "generator with a seed and a number of inclusions (random_fibres, random_spheres)"
    )


def _windows(case: CellCase, table: ImageCell, sizes: list[int], samples: int, seed: int) -> Samples:
    with located(case):
        windows = Windows(_labels(case, table), seed)
    counts = [min(samples, windows.count(size)) for size in sizes]
    for size, count in zip(sizes, counts, strict=True):
        if count < 3:
            shape = list(windows.labels.shape)
            raise InputError(
                f"size {size}: the image of {shape} voxels has {count} disjoint windows of it; a variance "
                "needs three at least"
            )
    laws = phase_laws(case)
    labels = {name: phase.in_image for name, phase in case.phases.items()}

    def build(size: float, sample: int) -> RVE:
        image = windows.window(int(size), sample)
        present = {name: label for name, label in labels.items() if np.isin(image, label).any()}
        edges = np.asarray(table.voxel_size, dtype=np.float64) * table.coarsen
        with located(case):
            rve: RVE = case.physics.rve(
                image_cell(image, present, voxel_size=edges.tolist()),
                {name: laws[name] for name in present},
                boundary=table.boundary,
                degree=table.degree,
            )
        return rve

    return Samples(build, counts, None, "voxels a side")


def _labels(case: CellCase, table: ImageCell) -> Labels:
    """The image, cropped and coarsened."""
    labels = read_image(case.path(table.image), shape=table.shape, dtype=table.dtype)
    if table.crop is not None:
        whole = list(labels.shape)
        labels = labels[tuple(slice(low, high) for low, high in table.crop)]
        if list(labels.shape) != [high - low for low, high in table.crop]:
            raise InputError(
                f"crop = {[list(bounds) for bounds in table.crop]}: it exceeds the image, {whole} voxels"
            )
    coarse = coarsen_image(labels, table.coarsen)
    phases = {name: phase.in_image for name, phase in case.phases.items()}
    before, after = (fractions_of_labels(image, phases) for image in (labels, coarse))
    warn_of_changed_fractions(before, after, table.coarsen)
    return coarse


def _seeded(case: CellCase, count: int, seed: int) -> RVE:
    cell = case.cell.model_copy(update={"count": count, "seed": seed})
    return build_rve(replace(case, cell=cell))
