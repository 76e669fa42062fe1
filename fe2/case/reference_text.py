"""What the reference of case files says before and between its tables."""

HEAD = """\
# Case files

<!-- Written by `fe2 schema --markdown`; not to be edited by hand. -->

Case files are TOML. A **cell file** describes a microstructure: `fe2 homogenize`, `fe2 material`. A **run
file** describes a two-scale analysis and names cell files: `fe2 run`. `fe2 check` tells which keys are wrong
and what would be right; `fe2 new` writes files to start from.

- Units are yours. State them once, in words, in `units`; they are repeated in the results.
- Paths are relative to the file in which they stand.
- Unknown keys are errors. Whole numbers are taken where numbers are needed, text is not.
- Editors with a TOML language server complete and check a file that begins with
  `#:schema ./cell.schema.json`, where that is the output of `fe2 schema cell`, also found in `docs/schema/`.
- A *function of time* is a number, a table of points `[[time, value], ...]` between which it is linear and
  beyond which it is constant, or an expression in `t` in quotes: `"0.02 * t"`, `"5 * sin(2 * pi * t)"`,
  `"1 if t < 0.5 else 2 * (1 - t)"`. Expressions know `+ - * / **`, comparisons, `pi`, `sin`, `cos`, `tan`,
  `exp`, `log`, `sqrt`, `tanh`, `abs`, `min` and `max`.
"""

CELL_EXAMPLE = """\
```toml
units = "GPa, voxels"

[cell]
image = "iron.raw"        # or mesh = "fibre.msh", or generator = "square_array" with its parameters
shape = [100, 100, 100]   # nx, ny, nz, x fastest
dtype = "uint8"
coarsen = 2
physics = "small_strain"

[phases.graphite]
label = 87
law = "linear_elastic"
young = 39.7
poisson = 0.2225

[phases.ferrite]
label = 182
law = "linear_elastic"
young = 210.0
poisson = 0.3
```
"""

RUN_EXAMPLE = """\
```toml
units = "mm, MPa"

[mesh]
generator = "perforated_plate"   # or file = "plate.msh", or box = [[0, 2], [0, 1]] with cells = [8, 4]
size = 0.3

[laws.composite]
cell = "cell.toml"
model = "rve"

[[boundary]]
on = "left"
fixed = ["x"]

[[boundary]]
on = "bottom"
fixed = ["y"]

[[boundary]]
on = "right"
name = "grip"
prescribed = { x = [[0, 0], [1, 0.01], [2, 0]] }

[steps]
end = 2.0
increments = 16

[output]
folder = "results"
reactions = ["grip"]
watch = [[0.0, 0.4]]
```
"""
