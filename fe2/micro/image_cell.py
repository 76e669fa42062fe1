"""Cells from label images: one quadrilateral or hexahedron for each pixel or voxel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import dolfinx.mesh
import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from fe2.arrays import Array, Ints, Labels, Mask
from fe2.errors import InputError
from fe2.micro.cell import Cell, make_cell
from fe2.micro.coarsening import coarsen_image, warn_of_changed_fractions
from fe2.micro.image_grid import image_grid
from fe2.micro.label_owners import listed, owners_of_labels
from fe2.micro.period_count import check_count


class ImageCell(Cell):
    """A cell of equal pixels or voxels, whose mesh is made when it is first asked for.

    What the regular grid alone can answer, such as the effective properties of a linear periodic
    image, does without the mesh, which for a million voxels takes longer than the rest.

    Attributes:
        phase_of_voxel: Phase of each voxel as an index into `names`, shape (nx, ny) or (nx, ny, nz).
        label_of_voxel: Label of each voxel, of the same shape.
        comm: Ranks over which the mesh is distributed.
        fractions_before: Share of each phase in the image before it was coarsened.
    """

    phase_of_voxel: npt.NDArray[np.int32]
    label_of_voxel: Labels
    comm: MPI.Comm
    fractions_before: Mapping[str, float]

    def __init__(
        self,
        phase_of_voxel: npt.NDArray[np.int32],
        label_of_voxel: Labels,
        names: tuple[str, ...],
        size: Array,
        comm: MPI.Comm,
        fractions_before: Mapping[str, float] | None = None,
        coarsen: int = 1,
    ) -> None:
        """Make the cell of voxels of the given edge lengths, shape (dim,).

        Raises:
            InputError: Fewer than three voxels along an axis.
        """
        grid = phase_of_voxel.shape
        for axis, count in enumerate(grid):
            check_count(axis, count)
        self.__dict__.update(  # a cell is frozen
            phase_of_voxel=phase_of_voxel,
            label_of_voxel=label_of_voxel,
            label_names={},
            comm=comm,
            names=names,
            period=np.array(grid) * size,
            grid=grid,
            whole=True,
            coarsen=coarsen,
        )
        self.__dict__["fractions_before"] = fractions_before or self.volume_fractions
        if comm.size > 1:
            _ = self.mesh  # collective: made where all ranks are

    @cached_property
    def _meshed(self) -> Cell:
        upper, shape = self.period / 2, self.phase_of_voxel.shape
        kinds = dolfinx.mesh.CellType
        if self.dim == 2:
            mesh = dolfinx.mesh.create_rectangle(self.comm, [-upper, upper], shape, kinds.quadrilateral)
        else:
            mesh = dolfinx.mesh.create_box(self.comm, [-upper, upper], shape, kinds.hexahedron)
        # The first and the last vertex of a tensor-product element are opposite: their mean is its centre.
        corners = mesh.geometry.dofmaps[0][:, [0, -1]]
        centres = mesh.geometry.x[corners].mean(axis=1)[:, : self.dim]
        voxels = np.floor((centres + upper) / self.voxel_size).astype(np.int64)
        at = tuple(voxels.T)
        phases, labels = self.phase_of_voxel[at], self.label_of_voxel[at]
        return make_cell(mesh, phases, self.names, grid=shape, element_labels=labels)

    @cached_property
    def mesh(self) -> dolfinx.mesh.Mesh[np.float64]:
        """Mesh of one quadrilateral or hexahedron for each voxel, centred in the cell."""
        return self._meshed.mesh

    @cached_property
    def phases(self) -> dolfinx.mesh.MeshTags:
        """Tags of all mesh cells."""
        return self._meshed.phases

    @cached_property
    def element_labels(self) -> Ints | None:
        """Labels of all mesh cells."""
        return self._meshed.element_labels

    def shares(self, voxels: Mask, names: Iterable[str]) -> dict[str, float]:
        """Shares of the cell's volume that some voxels have, for the phases with these names."""
        counts = np.bincount(self.phase_of_voxel[voxels], minlength=len(self.names))
        return {name: float(counts[self.names.index(name)] / voxels.size) for name in names}

    @property
    def voxel_size(self) -> Array:
        """Edge lengths of a voxel, shape (dim,)."""
        size: Array = self.period / self.phase_of_voxel.shape
        return size

    @property
    def geometry_degree(self) -> int:
        """Voxels have straight edges."""
        return 1

    @cached_property
    def volume_fractions(self) -> dict[str, float]:
        """Share of each phase in the volume of the cell."""
        counts = np.bincount(self.phase_of_voxel.reshape(-1), minlength=len(self.names))
        return dict(zip(self.names, (counts / counts.sum()).tolist(), strict=True))


def image_cell(
    labels: Labels,
    phases: Mapping[str, int | Sequence[int] | npt.ArrayLike],
    *,
    voxel_size: float | Sequence[float] = 1.0,
    coarsen: int = 1,
    crop: Sequence[Sequence[int]] | None = None,
    comm: MPI.Comm = MPI.COMM_SELF,
) -> ImageCell:
    """Make a cell of a label image; collective over `comm`.

    Args:
        labels: Image, indexed [x, y] or [x, y, z], of integers; the same on all ranks.
        phases: Label of each phase, or its labels, as a field of materials has them. Every label of the
            (cropped) image belongs to a phase, and every phase keeps at least one voxel after coarsening.
        voxel_size: Edge length of a voxel, or one for each axis.
        coarsen: Edge length in voxels of the blocks that become one element each: the most frequent
            label of a block wins, see :func:`~fe2.micro.coarsening.coarsen_image`.
        crop: First and last-plus-one voxel along each axis, [[low, high], ...]; None for all. Where a
            single slice along z is left, the cell is one in the plane.
        comm: Ranks over which the cell is distributed.

    Raises:
        InputError: A label without a phase, or a phase without a label; a shape, voxel size, crop or
            coarsening that cannot be; fewer than three elements along an axis.
    """
    labels = np.asarray(labels)
    if labels.ndim not in (2, 3) or labels.dtype.kind not in "bui":
        raise InputError(
            f"a label image has 2 or 3 dimensions and integers; got shape {labels.shape} of {labels.dtype}"
        )
    grid = image_grid(labels.shape, voxel_size=voxel_size, coarsen=coarsen, crop=crop)
    part = labels[grid.kept]
    owners = owners_of_labels(part, phases, grid)
    names = tuple(phases)
    before = _fractions(owners.phase_of(part), names)
    image = coarsen_image(part, coarsen)
    indices = owners.phase_of(image)
    for k in np.flatnonzero(np.bincount(indices.reshape(-1), minlength=len(names)) == 0)[:1]:
        label = listed(phases[names[k]])
        raise InputError(
            f"phase '{names[k]}' (label {label}) has no voxel left after coarsening by {coarsen}"
        )
    cell = ImageCell(indices, image.copy(), names, grid.period / image.shape, comm, before, coarsen)
    warn_of_changed_fractions(before, cell.volume_fractions, coarsen)
    return cell


def _fractions(indices: npt.NDArray[np.int32], names: tuple[str, ...]) -> dict[str, float]:
    counts = np.bincount(indices.reshape(-1), minlength=len(names))
    return dict(zip(names, (counts / counts.sum()).tolist(), strict=True))
