r"""Memory that solved paths take, before the first one is solved.

Every rank holds the states of all paths in the end, of n numbers each. Reducing a cell takes the S
fluctuations among them as columns besides, their orthogonal factor, what makes it, and the product with the
stiffness: five tables of that size. A cubature holds a share of each mesh cell in each of 800 sketches for
the forces and each history variable, which are decomposed one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from fe2.hierarchical.cubature import SKETCH
from fe2.hierarchical.paths import Path
from fe2.hierarchical.solved_path import SolvedPath
from fe2.memory import check_memory, gigabytes
from fe2.micro.memory_estimate import cell_memory
from fe2.micro.rve import RVE

_NUMBER = 8.0
"""Bytes of a number."""

_GATHERED, _REDUCED = 2.0, 5.0
"""Tables of the states while paths are put together; of the fluctuations while modes are chosen."""

_DECOMPOSED = 4.0
"""Tables of a sketch while it is decomposed."""


def check_training_memory(
    rve: RVE, paths: Sequence[Path | SolvedPath], *, states: bool = True, reduces: bool = False
) -> None:
    """Refuse paths whose states do not fit into the memory beside the cell; with how many would.

    Args:
        rve: The cell.
        paths: Paths that are to be solved or were solved.
        states: Whether states are kept.
        reduces: Whether the cell is reduced to them.

    Raises:
        InputError: They do not fit.
    """
    if not paths:
        return
    needed = training_memory(rve, paths, states=states, reduces=reduces)
    of_paths = _path_memory(rve, paths, states=states, reduces=reduces)

    def remedy(available: float) -> str:
        count = int((available - (needed - of_paths)) * len(paths) / of_paths)
        fewer = f"{count} paths of these lengths fit" if count > 1 else "fewer steps or a coarser cell"
        without = "" if reduces or not states else ", or sample without states"
        return f"{fewer}{without}; beside its paths the cell takes {gigabytes(needed - of_paths)}"

    check_memory(needed, f"a rank with the states of {len(paths)} paths and its cell", remedy)


def training_memory(
    rve: RVE, paths: Sequence[Path | SolvedPath], *, states: bool = True, reduces: bool = False
) -> float:
    """Bytes that a rank takes for a cell, its paths and what is made of them; arguments as above."""
    fixed = max(cell_memory(rve.problem), _cubature_memory(rve) if reduces else 0.0)
    return fixed + _path_memory(rve, paths, states=states, reduces=reduces)


def _path_memory(rve: RVE, paths: Sequence[Path | SolvedPath], *, states: bool, reduces: bool) -> float:
    """Bytes of the paths alone."""
    count, m = sum(1 + len(path.steps) for path in paths), rve.kinematics.size
    numbers = m * (m + 2) + (_GATHERED * rve.lasting_size if states else 0)
    return _NUMBER * count * (numbers + (_REDUCED * rve.unknowns if reduces else 0))


def _cubature_memory(rve: RVE) -> float:
    """Bytes of the sketches of a cubature."""
    cells = rve.cell.mesh.topology.index_map(rve.cell.dim).size_local
    sketches = 1 + len(rve.form.history)
    return _NUMBER * cells * min(cells, SKETCH) * (sketches + _DECOMPOSED)
