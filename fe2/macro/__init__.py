"""The macroscopic scale: the user's form with homogenized fluxes in it, solved by PETSc's SNES."""
