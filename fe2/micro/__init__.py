"""The micro scale: cells, their boundary conditions, the cell problem, and its condensation to flux and tangent."""
