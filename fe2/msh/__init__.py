"""gmsh's .msh files: what a file holds, the mesh in it as arrays, and its distribution over the ranks."""
