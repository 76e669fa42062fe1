# %% [markdown]
# # A layered elastomer with a hole, up to the loss of ellipticity
#
# A sheet is made of stiff and soft rubber in thin layers, and is pressed along the layers. In small strain
# nothing happens. At finite strain the layers buckle together: the homogenized material loses ellipticity,
# which means that a band of localized deformation, a kink band, may form at no cost. Both phases stay
# elliptic all the way; the instability belongs to the microstructure, and the consistent tangent shows it.
#
# 1. One cell, nearly incompressible, against the closed form of Triantafyllidis & Maker (1985).
# 2. A sheet with a hole, in FE²: where does ellipticity go first, when, and in which direction?
#
#     mpiexec -n 2 python demos/demo_hyperelasticity.py
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $F = 1 + H$, $P$ | deformation gradient, first Piola–Kirchhoff stress | –, MPa |
# | $\bar A = \partial \bar P / \partial \bar F$ | homogenized tangent | MPa |
# | $Q_{ik}(n) = n_j \bar A_{ijkl} n_l$ | acoustic tensor of the direction $n$ | MPa |
# | $\mu_V$, $\mu_R$ | arithmetic and harmonic mean of the layers' shear moduli | MPa |
# | $\lambda$ | stretch along the layers | – |
# | $\delta$ | shortening of the sheet over its height | – |

# %%
from __future__ import annotations

import argparse
import math
import time
from functools import partial
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np
import ufl
from dolfinx import fem
from fe2_meshes.perforated_plate import perforated_plate
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from mpi4py import MPI
from scipy.optimize import brentq

from fe2.io.gmsh_mesh import read_mesh
from fe2.io.history import read_history
from fe2.io.results import read_watched

parser = argparse.ArgumentParser(
    description="A layered elastomer with a hole, up to the loss of ellipticity."
)
parser.add_argument(
    "--output", type=Path, default=Path("results/hyperelasticity"), help="folder for the results"
)
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("MM", "MPA"),
    default=(1.0, 1.0),
    help="a mm and an MPa in the units to compute in: 1e-3 1e6 for m and Pa",
)
arguments = parser.parse_args()
folder: Path = arguments.output
MM, MPA = arguments.units
comm = MPI.COMM_WORLD
beginning = time.perf_counter()


def tell(line: str) -> None:
    if comm.rank == 0:
        print(line, flush=True)


# %% [markdown]
# ## One cell
#
# Layers of equal thickness, normal to $x$, five times as stiff in one phase as in the other.

# %%
SOFT, STIFF = 1.0 * MPA, 5.0 * MPA  # shear moduli
PHASES = {"soft": 0, "stiff": 1}
cell = fe2.image_cell(np.repeat([[0], [0], [1], [1]], 3, axis=1), PHASES, voxel_size=0.25 * MM)
mean, harmonic = (SOFT + STIFF) / 2.0, 2.0 / (1.0 / SOFT + 1.0 / STIFF)


def layers(poisson: float, **options) -> fe2.RVE:
    laws = {
        name: fe2.NeoHookean(young=2.0 * (1.0 + poisson) * shear, poisson=poisson)
        for name, shear in (("soft", SOFT), ("stiff", STIFF))
    }
    return fe2.finite_strain(cell, laws, options=fe2.NewtonOptions(tolerance=1e-10), **options)


# %% [markdown]
# Incompressible layers that are pressed along themselves by $\lambda$ and give way across lose ellipticity at
#
# $$ \lambda_c = \left(1 - \mu_R/\mu_V\right)^{1/4} $$
#
# (Triantafyllidis & Maker 1985). Layers with $\nu = 0.4999$ get a pressure field each. What is left of the
# difference is their compressibility: it is halved with $1 - 2\nu$.


# %%
def smallest_determinant(rve: fe2.RVE, stretch: float) -> float:
    gradient = np.array([1.0 / stretch - 1.0, 0.0, 0.0, stretch - 1.0])
    response = rve.solve(gradient, rve.initial_state(), 0.0, np.empty(rve.state_size))
    determinants, _ = fe2.smallest_acoustic_determinant(response.tangent[None])
    return float(determinants[0])


critical = (1.0 - harmonic / mean) ** 0.25
differences = []
for poisson in (0.4999, 0.49995):
    incompressible = layers(poisson, incompressible=("soft", "stiff"))
    found = brentq(partial(smallest_determinant, incompressible), critical - 0.02, critical + 0.02)
    differences.append(found / critical - 1.0)
    tell(f"layers, ν = {poisson}: ellipticity is lost at λ = {found:.6f}, in theory {critical:.6f}")
stretches = np.linspace(1.0, 0.76, 25)
in_cell = np.array([smallest_determinant(incompressible, stretch) for stretch in stretches])

# %% [markdown]
# ## The sheet
#
# A quarter of a square sheet with a hole; the layers stand upright. The upper side is pressed down and may
# slide; the sheet is thick, so that this is plane strain. With $\nu = 0.4$ the layers are compressible enough
# for displacements alone, on both scales.
#
# $$ \int_\Omega \bar P(H(u)) : H(v)\,\mathrm{d}X = 0 $$

# %%
RADIUS, HALF = 0.3 * MM, 1.0 * MM
SHORTENINGS = (0.0, 0.02, 0.04, 0.06, 0.07, 0.08, 0.085)
if comm.rank == 0:
    folder.mkdir(parents=True, exist_ok=True)
    perforated_plate(
        folder / "sheet.msh",
        width=2.0 * HALF,
        height=2.0 * HALF,
        radius=RADIUS,
        size=0.22 * MM,
        hole_size=0.05 * MM,
    )
comm.barrier()
sheet = read_mesh(folder / "sheet.msh")
rve = layers(0.4)

space = fem.functionspace(sheet.mesh, ("Lagrange", 2, (2,)))
u, v = fem.Function(space, name="displacement"), ufl.TestFunction(space)
law = fe2.HomogenizedLaw(fe2.displacement_gradient(u), rve, quadrature_degree=2)
form = ufl.dot(law.flux, fe2.displacement_gradient(v)) * law.dx


def roller(side: str, axis: int, value: float | fem.Constant) -> fem.DirichletBC:
    facets = sheet.facet_tags.find(sheet.facet_names[side])
    dofs = fem.locate_dofs_topological(space.sub(axis), 1, facets)
    return fem.dirichletbc(value, dofs, space.sub(axis))


press = fem.Constant(sheet.mesh, 0.0)
top = roller("top", 1, press)
problem = fe2.MacroProblem(form, u, law, bcs=[roller("left", 0, 0.0), roller("bottom", 1, 0.0), top])

# %% [markdown]
# At every step the smallest determinant over all directions and all quadrature points is recorded, in units
# of its value in the undeformed sheet, and the point and the direction that have it. It is also among the
# fields for ParaView, as `acoustic_determinant`.

# %%
virgin = fe2.smallest_acoustic_determinant(rve.homogenize().tangent[None])[0][0]


worst_of_steps = []  # (determinant, place, direction, gradient) after each step


def least() -> float:
    determinants, directions = fe2.smallest_acoustic_determinant(law.tangents())
    own = (np.inf, None, None, None)
    if len(determinants):
        k = int(np.argmin(determinants))
        own = (determinants[k] / virgin, law.coordinates()[k], directions[k], law.gradients()[k])
    worst_of_steps.append(min(comm.allgather(own), key=lambda point: point[0]))
    return float(worst_of_steps[-1][0])


EDGE, FAR = (RADIUS, 0.0), (0.9 * HALF, 0.9 * HALF)
simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(SHORTENINGS, lambda delta: np.copyto(press.value, -delta * HALF)),
    output=fe2.Results(folder / "sheet", watch=[EDGE, FAR], overwrite=True),
    reactions={"top": top},
    loads={"least determinant": least},
)
summary = simulation.run()

# %% [markdown]
# ## Where and when
#
# The steps end a little beyond the loss. The shortening at which the determinant vanishes is interpolated
# between two steps; place and direction are those of the first step beyond.

# %%
shortening = np.array([record.time for record in simulation.records])
course = np.array([worst[0] for worst in worst_of_steps])
after = int(np.argmax(course < 0.0))
assert after > 0, "ellipticity is lost in the course of the run, and not in its first step"
onset = np.interp(0.0, course[[after, after - 1]], shortening[[after, after - 1]])
_, place, direction, gradient = worst_of_steps[after]
angle = math.degrees(math.acos(min(1.0, abs(direction[1]))))
tell(
    f"the sheet loses ellipticity at δ = {onset:.4f}, first at ({place[0] / MM:.3f}, {place[1] / MM:.3f}) mm"
)
tell(f"the band's normal is {angle:.1f}° off the layers; there λ = {1.0 + gradient[3]:.4f}")

# %% [markdown]
# ## Picture
#
# The deformed sheet with the determinant, the course of the determinant in cell and sheet, and the cells at
# the edge of the hole and far from it, four by four of them and magnified.

# %%
points = sheet.mesh.topology.index_map(2).size_local
layout = space.dofmap.list[:points, :3]
nodes = space.tabulate_dof_coordinates()[:, :2] + u.x.array.reshape(-1, 2)
smallest = law.indicators()["acoustic_determinant"].reshape(points, -1).min(axis=1, initial=np.inf) / virgin
gathered = comm.gather((nodes[layout], smallest))


rcParams["font.size"] = 8
COLOURS = colormaps["viridis"].with_extremes(under="tab:red")


def draw_sheet(ax: Axes, corners: np.ndarray, values: np.ndarray) -> PolyCollection:
    for sign in (-1.0, 1.0):
        for turn in (-1.0, 1.0):
            style = {"cmap": COLOURS, "lw": 0.2, "edgecolors": "face", "clim": (0.0, 1.0)}
            colours = PolyCollection(corners * (sign, turn), array=values, **style)
            ax.add_collection(colours)
    ax.autoscale_view()
    return colours


def draw_cell(ax: Axes, state: np.ndarray) -> None:
    fields, F = rve.fields(state), np.eye(2) + state[:4].reshape(2, 2)
    x = fields.points[:, :2] + fields.point_data["u"]
    quads = x[fields.connectivity.reshape(-1, 5)[:, 1:]]
    for index in np.ndindex(4, 4):
        shift = F @ (np.array(index) * cell.period)
        style = {"cmap": "Greys", "lw": 0.2, "edgecolors": "face", "clim": (-0.4, 1.2)}
        ax.add_collection(PolyCollection(quads + shift, array=fields.cell_data["phase"], **style))
    ax.autoscale_view()
    ax.set(aspect="equal", xticks=[], yticks=[])


def draw(path: Path, corners: np.ndarray, values: np.ndarray) -> None:
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    parts = [["sheet", "course", "edge"], ["sheet", "course", "far"]]
    axes = figure.subplot_mosaic(parts, width_ratios=[2.6, 2.2, 1.0])
    colours = draw_sheet(axes["sheet"], corners, values)
    axes["sheet"].set(
        aspect="equal", xlabel="$x$", ylabel="$y$", title=rf"(a) $\delta$ = {SHORTENINGS[-1]:g}"
    )
    bar = figure.colorbar(colours, ax=axes["sheet"], extend="min", shrink=0.9)
    bar.set_label(r"$\min_n \det Q(n)$, undeformed = 1; red: lost")
    ax = axes["course"]
    ax.plot(1.0 - stretches, in_cell / in_cell[0], "k-", label="cell, incompressible")
    ax.plot(1.0 - critical, 0.0, "k*", ms=9, label=r"$1 - (1 - \mu_R/\mu_V)^{1/4}$")
    ax.plot([0.0, *shortening], [1.0, *course], "o-", color="tab:red", ms=4, label="sheet, smallest")
    ax.axhline(0.0, color="0.6", lw=0.8)
    ax.set(
        xlabel=r"shortening $1 - \lambda$, $\delta$",
        ylabel=r"$\min_n \det Q(n)$, undeformed = 1",
        title="(b)",
    )
    ax.set(ylim=(-1.2, 1.05))
    ax.legend(frameon=False, loc="lower left")
    for name, watched in zip(("edge", "far"), read_watched(folder / "sheet"), strict=True):
        draw_cell(axes[name], watched.states[-1])
        axes[name].set_title({"edge": "(c) hole", "far": "(d) far"}[name])
    figure.savefig(path, dpi=300)


if comm.rank == 0:
    draw(folder / "ellipticity.png", *(np.concatenate(parts) for parts in zip(*gathered, strict=True)))
    tell(f"picture: {folder / 'ellipticity.png'}")

# %% [markdown]
# ## What has to hold
#
# - The cell loses ellipticity where theory says, up to an error of $1 - 2\nu$, which is halved as that is.
# - The sheet loses it at the edge of the hole, at a fraction of the shortening that it bears without a hole.
# - The band is a kink band: its normal lies along the layers, within a few degrees.

# %%
assert abs(differences[0]) < 2e-4, differences
assert 1.8 < differences[0] / differences[1] < 2.2, differences
assert 0.0 < onset < 1.0 - critical
assert np.linalg.norm(place - np.array(EDGE)) < 0.5 * RADIUS, place
assert angle < 10.0, angle
if comm.rank == 0:
    assert np.all(np.isfinite(read_history(folder / "sheet")["least determinant"]))
tell(f"all statements hold, {time.perf_counter() - beginning:.1f} s")
