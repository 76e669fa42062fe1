"""Image cells on their regular grid: arrays and Fourier transforms, without a mesh and without a matrix.

Imports NumPy and SciPy alone, and CuPy where a GPU is asked for: no DOLFINx, PETSc or MPI.
"""
