"""Volumetric locking: elements of first order that cannot follow a deformation without change of volume."""

from __future__ import annotations

import warnings

from fe2.errors import Fe2Warning

SIMPLICES = {"triangle": "triangles", "tetrahedron": "tetrahedra"}
"""Cell types whose elements of first order lock, with their plural."""


def warn_of_locking(place: str, shape: str, degree: int, phases: tuple[str, ...]) -> None:
    """Warn where simplices of first order meet phases that keep their volume.

    A triangle or a tetrahedron with a linear displacement has one strain, and in a mesh of them so many of
    these are bound to keep their volume that hardly any motion is left (Nagtegaal, Parks & Rice 1974).

    Args:
        place: What has the elements, for the message: "the cell", "the macroscopic mesh".
        shape: Cell type, as DOLFINx names it.
        degree: Degree of the displacement's element.
        phases: Phases, or laws, that keep their volume.
    """
    if shape in SIMPLICES and degree == 1 and phases:
        names = ", ".join(phases)
        warnings.warn(
            f"{place} has {SIMPLICES[shape]} with linear displacements, and {names} flows or deforms with "
            "hardly any change of volume: such elements lock, stresses come out too large, by a fifth and "
            "more; choose degree = 2",
            Fe2Warning,
            stacklevel=3,
        )
