r"""Memory of a cell of voxels before its mesh is made, so that what cannot fit is refused in a moment.

On a grid a Lagrange field of degree p has :math:`p^d` nodes a voxel, and a node has :math:`(p + 2)^d`
neighbours in the mean; with another field of degree q it has :math:`(pq + p + q)^d` pairs a voxel. Nodes on
the faces of pores are counted from the image.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from fe2.arrays import Mask
from fe2.memory import check_memory
from fe2.micro.boundary import BoundaryCondition
from fe2.micro.grid_parts import held_voxels
from fe2.micro.image_cell import ImageCell
from fe2.micro.memory_estimate import CellSize, asked_to_factorize, coarsening_that_fits
from fe2.micro.solver_choice import FACTORIZED_IMAGES, FACTORIZED_MESHES

_MARGIN = 1.2
"""Between this estimate and the memory: what may fit is left to the estimate that knows the mesh."""


@dataclass(frozen=True)
class VoxelField:
    """What is sought on the voxels.

    Attributes:
        phases: Names of the phases that are meshed.
        components: Components of the field.
        degree: Degree of its elements.
        pressure: Whether walls hold the field, a velocity, and a pressure one degree lower constrains it.
        constrained: Whether the matrix is indefinite for another reason, so that it is factorized.
        symmetric: Whether the matrix is symmetric.
    """

    phases: Collection[str]
    components: int
    degree: int
    pressure: bool = False
    constrained: bool = False
    symmetric: bool = True


def check_voxel_memory(cell: ImageCell, field: VoxelField, boundary: str | BoundaryCondition) -> None:
    """Refuse an image whose matrix and factorization certainly do not fit into the memory; with what would.

    Args:
        cell: The image; no mesh is made.
        field: What is sought.
        boundary: "periodic", "linear" or "uniform_flux".

    Raises:
        InputError: They do not fit.
    """
    size = voxel_size(cell, field, boundary)
    if size is None:
        return
    check_memory(
        size.memory(),
        f"coarsen = {cell.coarsen}: the cell of about {size.unknowns:.3g} unknowns, with its matrix and what "
        "solves with it,",
        lambda free: coarsening_that_fits(cell.grid or (), cell.coarsen, size.memory, free),
        margin=_MARGIN,
    )


def voxel_size(cell: ImageCell, field: VoxelField, boundary: str | BoundaryCondition) -> CellSize | None:
    """What the memory of an image depends on; None where nothing of it is connected through faces.

    Args:
        cell: The image.
        field: What is sought.
        boundary: Name of the boundary condition.
    """
    periodic, dim, p, c = boundary == "periodic", cell.dim, field.degree, field.components
    numbers = [cell.names.index(name) for name in field.phases]
    mask = held_voxels(np.isin(cell.phase_of_voxel, numbers), periodic=periodic)
    voxels = int(mask.sum())
    if not voxels:
        return None
    places = _nodes(mask, p, "uniform_flux")
    stored, entries = c * places, c * c * voxels * (p * (p + 2)) ** dim
    unknowns = c * _nodes(mask, p, boundary, inner=field.pressure)
    if field.pressure:
        stored += voxels * p**dim  # pressures of an element, which are joined where facets join it
        entries += voxels * (2 * c * (p * (p + 1)) ** dim + p ** (2 * dim))
        unknowns += _nodes(mask, p - 1, boundary)
    return CellSize(
        unknowns=unknowns,
        block=stored / places,
        entries=entries,
        kept=unknowns / stored if field.pressure or boundary == "linear" else 1.0,
        edges=cell.period,
        filled=voxels / mask.size,
        periodic=periodic,
        symmetric=field.symmetric,
        factorizations=int(_factorizes(field, boundary, dim, unknowns)),
        ranks=cell.comm.size,
    )


def _factorizes(field: VoxelField, boundary: str | BoundaryCondition, dim: int, unknowns: int) -> bool:
    """Whether the matrix is factorized, as `solver_choice` decides it."""
    if (asked := asked_to_factorize()) is not None:
        return asked
    if field.pressure or field.constrained or boundary == "uniform_flux":
        return True
    on_grid = boundary == "periodic" and field.degree == 1
    return unknowns <= (FACTORIZED_IMAGES if on_grid else FACTORIZED_MESHES)[dim]


def _nodes(mask: Mask, degree: int, boundary: str | BoundaryCondition, *, inner: bool = False) -> int:
    """Nodes of Lagrange elements on the voxels of a mask.

    Args:
        mask: The voxels.
        degree: Degree of the elements; a vertex, edge, face or voxel has (degree - 1)^k nodes inside, with
            k its dimension.
        boundary: "periodic": opposite faces are one; "linear": nodes on faces do not count; or other.
        inner: Whether only nodes count all around which are voxels of the mask.
    """
    join, count = (np.logical_and if inner else np.logical_or), 0
    for extended in itertools.product((False, True), repeat=mask.ndim):
        if not (inside := (degree - 1) ** sum(extended)):
            continue
        touched = mask
        for axis in (axis for axis in range(mask.ndim) if not extended[axis]):
            if boundary != "linear":
                last = np.take(touched, [-1], axis)
                ends = [last] if boundary == "periodic" else [np.zeros_like(last)]
                touched = np.concatenate(
                    [*ends, touched, *(ends if boundary == "uniform_flux" else [])], axis
                )
            touched = join(_without(touched, axis, 0), _without(touched, axis, -1))
        count += inside * int(np.count_nonzero(touched))
    return count


def _without(mask: Mask, axis: int, index: int) -> Mask:
    """The mask without its first (0) or last (-1) layer along an axis."""
    rest = slice(1, None) if index == 0 else slice(None, -1)
    return mask[(slice(None),) * axis + (rest,)]
