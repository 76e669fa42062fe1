"""The micro scale: cells, the cell problem, and its condensation to flux and tangent."""
