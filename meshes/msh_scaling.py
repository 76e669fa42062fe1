"""Scaling of MSH 4.1 files: coordinates, boxes of the entities, translations of the periodic ones.

Geometry is best built with dimensions near 1, for gmsh's tolerances are absolute. Its own scaling factor
leaves out the translations, and setting them anew on the scaled mesh may pair nodes wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def scaled_lines(lines: Iterable[str], scale: float) -> Iterator[str]:
    """Lines of an ASCII file with all lengths multiplied by `scale`."""
    section, points = "", -1
    for line in lines:
        words = line.split()
        lengths = range(0)
        if line.startswith("$"):
            section, points = line.strip(), -1
        elif section == "$Entities" and points < 0:
            points = int(words[0])
        elif section == "$Entities":
            lengths = range(1, 4 if points > 0 else 7)
            points = max(points - 1, 0)
        elif section == "$Nodes" and len(words) == 3:
            lengths = range(3)
        elif section == "$Periodic" and len(words) == 17:  # a count and an affine 4 × 4 matrix
            lengths = range(4, 13, 4)
        for k in lengths:
            words[k] = repr(scale * float(words[k]))
        yield " ".join(words) + "\n" if lengths else line
