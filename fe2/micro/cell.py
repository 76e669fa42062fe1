"""The cell: the geometry of a microstructure, its phases and its period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from dolfinx import mesh as dmesh

from fe2.errors import InputError
from fe2.micro.cell_checks import Geometry, check_elements
from fe2.micro.cell_faces import check_box, check_period, check_planes, check_tolerance, snapped
from fe2.micro.element_geometry import volumes
from fe2.micro.period_count import check_count
from fe2.micro.periodicity import TOLERANCE
from fe2.msh.resolution import check_resolution
from fe2.parallel import on_every_rank, raise_together


@dataclass(frozen=True, eq=False)
class Cell:
    """A rectangular piece of microstructure, centred at the origin.

    Cells come from :func:`~fe2.micro.mesh_cell.read_cell`, :func:`~fe2.micro.image_cell.image_cell`
    or :func:`make_cell`, which check them.

    Attributes:
        mesh: Mesh whose coordinates are centred in the cell.
        phases: Tags of all mesh cells: value i stands for the phase `names[i]`.
        names: Names of the phases.
        period: Edge lengths of the cell, shape (dim,), in the mesh's unit of length.
        grid: Numbers of pixels or voxels along each axis where the mesh is a regular grid.
        whole: False for a part of a cell, whose faces need not match their opposites everywhere.
        coarsen: Edge length, in voxels of the image, of an element of a regular grid.
        element_labels: Label of each mesh cell, by which a field of materials knows its parameters: that of
            its voxel in an image, the number of its physical group in a mesh file; or None.
        label_names: Numbers of the labels that have names.
    """

    mesh: dmesh.Mesh[np.float64]
    phases: dmesh.MeshTags
    names: tuple[str, ...]
    period: npt.NDArray[np.float64]
    grid: tuple[int, ...] | None = None
    whole: bool = True
    coarsen: int = 1
    element_labels: npt.NDArray[np.int64] | None = None
    label_names: Mapping[str, int] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Dimension of the cell, 2 or 3."""
        return len(self.period)

    @property
    def geometry_degree(self) -> int:
        """Polynomial degree of the mesh's geometry."""
        return int(self.mesh.geometry.cmaps[0].degree)

    @property
    def volume(self) -> float:
        """Volume of the box, pores included; area in two dimensions."""
        return float(np.prod(self.period))

    @cached_property
    def volume_fractions(self) -> dict[str, float]:
        """Share of each phase in :attr:`volume`; less than one in sum where there are pores; collective."""
        owned = self.mesh.topology.index_map(self.dim).size_local
        parts = np.bincount(self.phases.values[:owned], volumes(self.mesh)[:owned], len(self.names))
        whole = np.sum(self.mesh.comm.allgather(parts), axis=0) / self.volume
        return dict(zip(self.names, whole.tolist(), strict=True))

    def cells_of(self, name: str) -> npt.NDArray[np.int32]:
        """Mesh cells of a phase, ghosts included.

        Raises:
            InputError: There is no such phase.
        """
        if name not in self.names:
            raise InputError(f"phase {name!r} is not in the cell; its phases are {', '.join(self.names)}")
        return self.phases.find(self.names.index(name))


def make_cell(
    mesh: dmesh.Mesh[np.float64],
    phases: npt.ArrayLike,
    names: Sequence[str],
    *,
    periodic: bool = True,
    grid: tuple[int, ...] | None = None,
    labels: npt.NDArray[np.int64] | None = None,
    period: Sequence[float] | None = None,
    tolerance: float = TOLERANCE,
    element_labels: npt.ArrayLike | None = None,
    label_names: Mapping[str, int] | None = None,
) -> Cell:
    """Make a cell of a mesh, and refuse a mesh that is none; collective.

    The period is the box around the mesh where it is not given. Pores need no elements; each face of the
    box that the mesh reaches must have some. Phases on opposite faces may differ, as they do in images.

    Args:
        mesh: Mesh in as many dimensions as its elements have, anywhere in space; it is moved so that
            the cell is centred at the origin.
        phases: Phase of each of this rank's cells and ghosts, as an index into `names`, shape (k,).
        names: Names of the phases.
        periodic: False for a cell that is loaded by its boundary only (linear or uniform-flux
            conditions): opposite faces need not match then.
        grid: Numbers of elements along each axis if the mesh is a regular grid. Its elements and
            faces are right by construction and are not checked.
        labels: Number in its file and geometrical entity of each cell, shape (k, 2), for messages.
            Within an entity all elements must have the same orientation.
        period: Edge lengths of the cell, shape (dim,), where there is nothing between the mesh and the next
            period; along such an axis they are larger than the mesh, which then touches no face there.
        tolerance: Distance, relative to the period, below which nodes near a face are moved onto it and
            onto the places of their partners.
        element_labels: Label of each of this rank's cells and ghosts, whole numbers of shape (k,), for fields
            of materials.
        label_names: Numbers of the labels that have names.

    Raises:
        InputError: On all ranks: a phase without elements; degenerate, inverted or overlapping
            elements; no rectangular box; nodes of opposite faces that do not match; fewer than three
            elements in a period. Coordinates in the message are the mesh's own.
    """
    try:
        tags = _phase_tags(mesh, np.asarray(phases, dtype=np.int32), tuple(names))
        given = None if element_labels is None else np.asarray(element_labels)
        if given is not None and (given.shape != tags.values.shape or given.dtype.kind not in "bui"):
            raise InputError(
                f"element_labels are whole numbers of shape {tags.values.shape}, one for each cell of the "
                f"mesh; got {given.dtype} of shape {given.shape}"
            )
        geometry = Geometry.of(mesh, labels, tolerance)
        if period is not None:
            geometry = geometry.with_period(np.array(period, dtype=np.float64))
        if grid is None:
            _check(geometry, periodic)
        else:
            for axis, count in enumerate(grid):
                check_count(axis, count)
    except InputError as error:  # raised on all ranks: let them know it
        raise_together(mesh.comm, error)
        raise
    _centre(geometry, periodic)
    return Cell(
        mesh,
        tags,
        tuple(names),
        geometry.period,
        grid,
        element_labels=None if given is None else given.astype(np.int64),
        label_names=label_names or {},
    )


def _check(geometry: Geometry, periodic: bool) -> None:
    """Refuse what is no cell; collective."""
    if geometry.labels is None:  # else the file was checked
        on_every_rank(geometry.mesh.comm, lambda: check_resolution(geometry.x, geometry.vertices))
    check_tolerance(geometry)
    check_elements(geometry)
    check_planes(geometry)
    check_box(geometry)
    if periodic:
        check_period(geometry)
    elif geometry.beyond.any():
        raise InputError(
            f"the period is longer than the mesh along {'xyz'[int(np.argmax(geometry.beyond))]}, which needs "
            "periodic boundary conditions: the others act on faces that the mesh does not reach"
        )


def _centre(geometry: Geometry, periodic: bool) -> None:
    """Move the mesh to the origin, and its nodes onto the faces where these are not exact."""
    x = geometry.mesh.geometry.x[:, : len(geometry.period)]
    x -= geometry.lower + geometry.period / 2
    if geometry.tolerance > TOLERANCE:
        x[:] = snapped(replace(geometry, x=x, lower=-geometry.period / 2), periodic)


def _phase_tags(
    mesh: dmesh.Mesh[np.float64], phases: npt.NDArray[np.int32], names: tuple[str, ...]
) -> dmesh.MeshTags:
    dim = mesh.topology.dim
    if mesh.geometry.dim != dim or dim not in (2, 3):
        raise InputError(
            f"a {dim}-dimensional mesh in {mesh.geometry.dim}-dimensional space: a cell has 2 or 3 of both"
        )
    cells = mesh.topology.index_map(dim)
    size = cells.size_local + cells.num_ghosts
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"phase {repeated[0]!r} is named more than once")
    wrong = phases.shape != (size,) or bool(((phases < 0) | (phases >= len(names))).any())
    if mesh.comm.allreduce(int(wrong)):
        raise InputError(
            f"phases are {size} indices below {len(names)}, one for each cell of the mesh; got an array of "
            f"shape {phases.shape} with values from {phases.min(initial=0)} to {phases.max(initial=0)}"
        )
    counts = np.sum(mesh.comm.allgather(np.bincount(phases, minlength=len(names))), axis=0)
    if (counts == 0).any():
        raise InputError(f"phase {names[int(np.argmin(counts))]!r} has no elements")
    return dmesh.meshtags(mesh, mesh.topology.dim, np.arange(size, dtype=np.int32), phases)
