"""Generators of periodic cells and of macroscopic meshes, written with gmsh.

Every generator is a function in the module of the same name, and a command::

    from fe2_meshes.square_array import square_array

    square_array("cell.msh", fraction=0.3, size=0.05)

    $ python -m fe2_meshes.square_array cell.msh --fraction 0.3 --size 0.05
    $ python -m fe2_meshes list

The modules import gmsh, NumPy and SciPy, nothing of DOLFINx: the `.msh` file (MSH 4.1) is the interface.
Cells reach from 0 to their period along every axis, opposite faces carry the same nodes, and the phases are
physical groups with names. Lengths are in whatever unit the caller uses.
"""

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

__all__ = ["MACROSCOPIC_MESHES", "PERIODIC_CELLS"]
