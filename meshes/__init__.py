"""Generators of periodic cells and of macroscopic meshes, written with gmsh.

Every generator is a function in the module of the same name, and a command of fe2::

    from fe2_meshes.square_array import square_array

    square_array("cell.msh", fraction=0.3, size=0.05)

    $ fe2 mesh square_array cell.msh --fraction 0.3 --size 0.05
    $ fe2 mesh --help

The modules import gmsh, NumPy and SciPy, nothing of DOLFINx: the `.msh` file (MSH 4.1) is the interface.
Cells reach from 0 to their period along every axis, opposite faces carry the same nodes, and the phases are
physical groups with names. (fe2 moves every cell so that its centre is the origin: its local fields and
pictures reach from -period/2 to period/2.) Lengths are in whatever unit the caller uses.
"""

from dataclasses import dataclass

PERIODIC_CELLS = (
    "laminate",
    "square_array",
    "hexagonal_array",
    "random_fibres",
    "simple_cubic",
    "random_spheres",
    "polycrystal",
)
MACROSCOPIC_MESHES = ("perforated_plate", "cook_membrane", "cook_membrane_resolved", "tapered_bar")


@dataclass(frozen=True)
class Groups:
    """Dimension and names of the groups of a macroscopic mesh, those of its cells and those of its facets."""

    dim: int
    subdomains: tuple[str, ...]
    boundaries: tuple[str, ...]


_SIDES = ("left", "right", "bottom", "top")

MACROSCOPIC_GROUPS = {
    "perforated_plate": Groups(2, ("plate",), (*_SIDES, "hole")),
    "cook_membrane": Groups(2, ("membrane",), _SIDES),
    "cook_membrane_resolved": Groups(2, ("matrix", "fibre"), _SIDES),
    "tapered_bar": Groups(3, ("bar",), ("left", "right", "side")),
}
"""Groups of each macroscopic mesh."""

__all__ = ["MACROSCOPIC_GROUPS", "MACROSCOPIC_MESHES", "PERIODIC_CELLS", "Groups"]
