"""Parts of phases that are cut off from the rest and left out: a word where they may not be meant."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from mpi4py import MPI

from fe2.errors import Fe2Warning
from fe2.micro.cell import Cell

_WORTH_TELLING = 0.01
"""Share of an image's solid, or of what conducts in it, from which on a warning says that it is left out."""


def warn_of_isolated(cell: Cell, isolated: Mapping[str, float], does: str) -> None:
    """Warn, on the first rank, of parts that are left out: always on meshes, of many voxels on images.

    A grain that floats in a void of an image is how images are. In a mesh it mostly is an interface whose
    nodes do not match.

    Args:
        cell: The whole cell.
        isolated: Share of the cell's volume, by phase, that was left out.
        does: What these phases do: "carries a load".
    """
    image = cell.grid is not None
    whole = sum(cell.volume_fractions[name] for name in isolated)
    if MPI.COMM_WORLD.rank or not isolated or (image and sum(isolated.values()) <= _WORTH_TELLING * whole):
        return
    parts = ", ".join(
        f"{100 * share / cell.volume_fractions[name]:.3g} % of the phase {name!r} ({share:.3g} of the cell)"
        for name, share in isolated.items()
    )
    cure = (
        ""
        if image
        else (
            ". Where it should be: the nodes of its interface do not match. Fragment the volumes before they "
            "are meshed (gmsh: fragment, Coherence); merge = true joins nodes that coincide"
        )
    )
    warnings.warn(
        f"{parts} is isolated, not connected with what {does}: it is left out of the result, as if it were "
        f"a hole{cure}",
        Fe2Warning,
        stacklevel=3,
    )
