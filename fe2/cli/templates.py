"""The files that `fe2 new` writes."""

from __future__ import annotations

_CASE = """\
# A quarter of a perforated plate of a fibre composite, pulled along x and unloaded.
#   fe2 check case.toml               is this file right?
#   fe2 run case.toml --dry-run       how large is the run?
#   mpirun -n 2 fe2 run case.toml     on two ranks
units = "mm, MPa"                     # yours, stated once; repeated in the results

[mesh]                                # or: file = "plate.msh"
generator = "perforated_plate"        # or: box = [[0.0, 2.0], [0.0, 1.0]] with cells = [8, 4]
width = 20.0
height = 20.0
radius = 4.0
size = 4.0
hole_size = 2.0
order = 2                             # curved edges at the hole

[field]
degree = 2                            # of the displacement's Lagrange element; linear triangles lock

[laws.composite]
cell = "cell.toml"                    # a cell at every quadrature point
model = "rve"                         # or "linearized": its stiffness instead, computed once

# A second part of the mesh could follow a formula:
# [laws.steel]
# subdomain = "grip"
# law = "linear_elastic"
# young = 210e3
# poisson = 0.3

[[boundary]]                          # symmetry
on = "left"                           # a physical group of the mesh, or a side of the box
fixed = ["x"]

[[boundary]]
on = "bottom"
fixed = ["y"]

[[boundary]]
on = "right"
name = "grip"
prescribed = { x = [[0.0, 0.0], [1.0, 0.03], [2.0, 0.0]] }   # points in time, or "0.03 * t"

# [[boundary]]
# on = "top"
# load = { y = "5.0 * t" }            # traction: force for each area

[steps]
end = 2.0
increments = 8                        # or: times = [0.0, 0.5, 1.0, 2.0]

[output]
folder = "results"
reactions = ["grip"]                  # columns grip_x, ... of history.csv
watch = [[0.0, 4.0]]                  # the cell here is stored at every step

[[output.pictures]]
file = "plate.png"
field = "stress_xx"
step = 4
watch = 0
history = ["grip_prescribed_x", "grip_x"]
labels = { stress_xx = "stress xx in MPa", grip_prescribed_x = "grip in mm", grip_x = "force in N/mm" }
"""

_CELL = """\
# A fibre in a matrix, periodic in both directions.
#   fe2 homogenize cell.toml
#   fe2 material cell.toml --path pull.csv --increments 10 --plot pull.png
units = "MPa"

[cell]
generator = "square_array"            # `fe2 mesh --help` lists them
fraction = 0.3                        # parameters of the generator: `fe2 mesh square_array --help`
size = 0.25
# image = "labels.tif"                # or a segmented image, with a label for each phase
# mesh = "cell.msh"                   # or a mesh of gmsh, whose physical groups are the phases
physics = "small_strain"
boundary = "periodic"                 # or "linear", "uniform_flux"
degree = 2                            # plastic flow keeps the volume, and linear triangles lock

[phases.matrix]
law = "j2_plasticity"
young = 45e3
poisson = 0.3
yield_stress = 150.0
hardening = 450.0

[phases.fibre]
law = "linear_elastic"
young = 450e3
poisson = 0.2
"""

_PATH = """\
time,strain_xx,stress_xx
0,0,
1,0.01,
2,,0
"""

FILES = {"case.toml": _CASE, "cell.toml": _CELL, "pull.csv": _PATH}
"""Contents by file name."""
