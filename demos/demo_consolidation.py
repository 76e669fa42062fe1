# %% [markdown]
# # Consolidation under a footing
#
# A strip footing stands on clay with inclusions of crushed stone, a hexagonal array of them, stiffer and more
# permeable than the clay. At first the water carries what presses the ground from all sides; as it seeps to
# the surface, the ground settles for years. Displacement and pressure of the water are found together, from
# cells of clay and stone.
#
#     mpiexec -n 2 python demos/demo_consolidation.py
#
# At the end, the pressure that the footing makes at once is held against the closed formula for an elastic
# half-plane under a strip, and the last settlement against the ground from which all water has gone.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $u,\ p$ | displacement, pressure of the water beyond that at rest | m, kPa |
# | $\sigma$ | stress of ground and water together, mean over the cell | kPa |
# | $\zeta$ | volume of water that a unit of volume has gained, likewise | – |
# | $j$ | seepage with the opposite sign, likewise | m/d |
# | $q,\ a$ | load on the footing, half of its width | kPa, m |
# | $B$ | Skempton's coefficient of the composite in the plane | – |
#
# Find $u$ and $p$, zero at the surface, with
#
# $$ \int_\Omega \sigma : \varepsilon(v) + \frac{\zeta - \zeta_n}{\Delta t}\,r + j\cdot\nabla r\,\mathrm{d}x
#    + \int_\text{footing} q\,v_y\,\mathrm{d}s = 0 \quad\text{for all } v, r. $$

# %%
from __future__ import annotations

import argparse
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np
import ufl
from dolfinx import fem, mesh
from fe2_meshes.hexagonal_array import hexagonal_array
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from mpi4py import MPI

parser = argparse.ArgumentParser(description="Consolidation under a footing on clay with stone columns.")
parser.add_argument(
    "--output", type=Path, default=Path("results/consolidation"), help="folder for the results"
)
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("M", "KPA"),
    default=(1.0, 1.0),
    help="a metre and a kPa in the units to compute in: 1e3 1e-3 for mm and MPa",
)
arguments = parser.parse_args()
folder: Path = arguments.output
M, KPA = arguments.units
DAY = 1.0
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# Soft clay and crushed stone, full of water; moduli are those of the drained grounds. A hexagonal array is
# isotropic in its plane, as the formula for the half-plane has it. Both phases are linear: one solve of the
# cell serves all points and steps.

# %%
VISCOSITY = 1e-6 / 86400.0 * KPA * DAY  # of water: 1 mPa s
clay = fe2.poroelastic(4e3 * KPA, 0.3, 1.0, 500e3 * KPA, 1e-16 * M**2, VISCOSITY)
stone = fe2.poroelastic(60e3 * KPA, 0.25, 0.98, 800e3 * KPA, 1e-13 * M**2, VISCOSITY)
FRACTION = 0.2
if comm.rank == 0:
    folder.mkdir(parents=True, exist_ok=True)
    hexagonal_array(folder / "cell.msh", fraction=FRACTION, size=0.15)
comm.barrier()
cell = fe2.read_cell(folder / "cell.msh")
ground = fe2.poroelasticity(cell, {"matrix": clay, "fibre": stone})
found = ground.homogenize().properties
skempton, drained = found["skempton"], found["drained"]

# %% [markdown]
# ## The ground
#
# One half of it, so wide and deep that its borders do not matter to a percent. Elements grow away from the
# footing. Displacements are biquadratic and pressures bilinear: with both of one degree, the pressure
# oscillates while the water cannot get away.

# %%
HALF, EDGE, LOAD = 1.0 * M, 40.0 * M, 100.0 * KPA
COUNT, UNDER = 26, 6  # elements along an edge, and under the footing


def graded(s: np.ndarray) -> np.ndarray:
    """Even under the footing, then growing: [0, 1] ↦ [0, EDGE]."""
    inner, ratio = UNDER / COUNT, np.log(EDGE / HALF) / (1.0 - UNDER / COUNT)
    return np.where(s <= inner, HALF * s / inner, HALF * np.exp(ratio * np.maximum(s - inner, 0.0)))


domain = mesh.create_unit_square(comm, COUNT, COUNT, mesh.CellType.quadrilateral)
x = domain.geometry.x
x[:, 0], x[:, 1] = graded(x[:, 0]), -graded(1.0 - x[:, 1])
V, W = fem.functionspace(domain, ("Lagrange", 2, (2,))), fem.functionspace(domain, ("Lagrange", 1))
u, p = fem.Function(V, name="u"), fem.Function(W, name="p")
v, r = ufl.TestFunction(V), ufl.TestFunction(W)
law = fe2.HomogenizedLaw(
    {"strain": fe2.strain(u), "pressure": p, "pressure_gradient": ufl.grad(p)}, ground, quadrature_degree=3
)
footing = mesh.locate_entities_boundary(
    domain, 1, lambda x: np.isclose(x[1], 0.0) & (x[0] < HALF * (1.0 + 1e-8))
)
tags = mesh.meshtags(domain, 1, footing, np.ones(len(footing), dtype=np.int32))
load = fem.Constant(domain, 0.0)
F_u = ufl.dot(law["stress"], fe2.strain(v)) * law.dx
F_u += load * v[1] * ufl.Measure("ds", domain=domain, subdomain_data=tags)(1)
F_p = (law.rate("fluid_content") * r + ufl.dot(law["seepage"], ufl.grad(r))) * law.dx


def side(space: fem.FunctionSpace, axis: int, place: float) -> np.ndarray:
    facets = mesh.locate_entities_boundary(domain, 1, lambda x: np.isclose(x[axis], place, atol=1e-8 * EDGE))
    return fem.locate_dofs_topological(space, 1, facets)


zero = fem.Constant(domain, 0.0)
rollers = [
    fem.dirichletbc(zero, side(V.sub(k), k, place), V.sub(k))
    for k, place in ((0, 0.0), (0, EDGE), (1, -EDGE))
]
drain = fem.dirichletbc(zero, side(W, 1, 0.0), W)
problem = fe2.MacroProblem([F_u, F_p], [u, p], law, bcs=[*rollers, drain])

# %% [markdown]
# ## Years
#
# The load comes at once and stays. Steps grow with the time: what is left to happen takes ever longer. The
# first one is not below $h^2/(6c)$, with the height $h$ of the uppermost elements.

# %%
consolidation = found["permeability"][0, 0] / VISCOSITY
consolidation /= 1.0 / found["biot_modulus"] + found["biot"][0] ** 2 / drained[0, 0]
TIMES = np.concatenate([[0.0], np.geomspace(1.0, 1e6, 37)]) * (HALF / UNDER) ** 2 / (6.0 * consolidation)
SHOWN = (1, 11, 17)  # steps that are drawn
DEPTHS = np.linspace(0.0, 4.0, 41) * HALF
reached, middles, edges, snapshots = [], [], [], {}


def at(function: fem.Function, place: tuple[float, float], component: int = 0) -> float:
    """Value at a node; collective."""
    space = function.function_space
    size, own = space.dofmap.index_map_bs, space.dofmap.index_map.size_local
    distance = np.linalg.norm(space.tabulate_dof_coordinates()[:own, :2] - place, axis=1)
    nearest = int(np.argmin(distance))
    values = comm.allgather((distance[nearest], function.x.array[size * nearest + component]))
    return float(min(values)[1])


def gathered() -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the pressure and their values, of all ranks."""
    own = W.dofmap.index_map.size_local
    nodes, values = (comm.allgather(part[:own]) for part in (W.tabulate_dof_coordinates(), p.x.array))
    return np.concatenate(nodes)[:, :2], np.concatenate(values)


def take_note(time: float) -> None:
    reached.append(time)
    middles.append(-at(u, (0.0, 0.0), 1))
    edges.append(-at(u, (HALF, 0.0), 1))
    if len(reached) in SHOWN:
        snapshots[len(reached)] = gathered()


simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(TIMES, lambda time: np.copyto(load.value, LOAD)),
    output=folder,
    observers=[take_note],
    overwrite=True,
)
simulation.run()

# %% [markdown]
# ## What it is held against
#
# In an elastic half-plane under a strip, whatever its moduli,
#
# $$ \frac{\sigma_{xx} + \sigma_{yy}}{2} = -\frac{q\,\alpha}{\pi}, \qquad
#    \alpha = 2\arctan\frac{a}{z} \quad\text{on the axis in the depth } z $$
#
# (Carothers, Proc. Int. Math. Congress Toronto (1924), 527–549). While no water has gone, the pressure is
# $B\,q\,\alpha/\pi$; it is looked at in depths of $1.5\,a$ to $4\,a$, which no seepage reaches in one step.
#
# The last state is that of the drained ground, whose settlement an elastic problem gives.

# %%
nodes, values = snapshots[1]
axis = np.isclose(nodes[:, 0], 0.0)
order = np.argsort(-nodes[axis, 1])
depth, pressure = -nodes[axis, 1][order], values[axis][order]
exact = skempton * LOAD * 2.0 * np.arctan2(HALF, np.maximum(depth, 1e-12 * HALF)) / np.pi
below = (depth > 1.5 * HALF) & (depth < 4.0 * HALF)
error = float(np.max(np.abs(pressure - exact)[below])) / (skempton * LOAD)

elastic = fe2.small_strain(cell, {"matrix": clay.mechanics, "fibre": stone.mechanics}).linearized()
w = fem.Function(V, name="drained")
dry = fe2.HomogenizedLaw(fe2.strain(w), elastic, quadrature_degree=3)
form = ufl.dot(dry.flux, fe2.strain(v)) * dry.dx
form += load * v[1] * ufl.Measure("ds", domain=domain, subdomain_data=tags)(1)
fe2.MacroProblem(form, w, dry, bcs=rollers).solve()
settled = -at(w, (0.0, 0.0), 1)

if comm.rank == 0:
    years = 365.25 * DAY
    print(f"Skempton's coefficient  {skempton:.4f} in the plane")
    print(f"pressure at once        differs from B q α/π by {error:.2%} of B q")
    print(
        f"settlement              {middles[0] / M * 1e3:.2f} mm at once, {middles[-1] / M * 1e3:.2f} mm "
        f"after {reached[-1] / years:.3g} years, {settled / M * 1e3:.2f} mm drained"
    )

# %% [markdown]
# ## Picture
#
# The pressure at three times, the settlement of the footing's middle and edge, and the pressure on the axis.

# %%
RED, BLUE, GREY = "#a03b2a", "#1f4e79", "#888888"


def draw(path: Path) -> None:
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplot_mosaic([["0", "1", "2"], ["axis", "settlement", "settlement"]])
    levels = np.linspace(0.0, 0.8, 9) * LOAD / KPA
    for place, step in enumerate(SHOWN):
        ax, (nodes, values) = axes[str(place)], snapshots[step]
        grid = Triangulation(*np.abs(nodes.T) / M)
        shown = ax.tricontourf(grid, values / KPA, levels, cmap="Blues", extend="both")
        ax.tricontour(grid, values / KPA, levels, colors="white", linewidths=0.3)
        ax.plot([0.0, HALF / M], [0.0, 0.0], color=RED, lw=5.0, solid_capstyle="butt", clip_on=False)
        ax.set(
            xlim=(0.0, 4.0), ylim=(4.0, 0.0), aspect="equal", xlabel="$x$ / m", title=when(reached[step - 1])
        )
    axes["0"].set_ylabel("depth / m")
    figure.colorbar(shown, ax=[axes[str(k)] for k in range(3)], label="pressure / kPa", pad=0.02)
    for place, step in enumerate(SHOWN):
        nodes, values = snapshots[step]
        on_axis = np.isclose(nodes[:, 0], 0.0)
        order = np.argsort(-nodes[on_axis, 1])
        style = {"color": BLUE, "alpha": 1.0 - 0.3 * place, "marker": ".", "markersize": 3}
        axes["axis"].plot(values[on_axis][order] / KPA, -nodes[on_axis, 1][order] / M, **style)
    axes["axis"].plot(exact / KPA, depth / M, color=RED, ls="--", lw=1.0, label=r"$B\,q\,\alpha/\pi$")
    axes["axis"].set(
        xlim=(0.0, None), ylim=(4.0, 0.0), xlabel="pressure on the axis / kPa", ylabel="depth / m"
    )
    axes["axis"].legend(frameon=False)
    years = np.array(reached) / (365.25 * DAY)
    ax = axes["settlement"]
    ax.semilogx(years, np.array(middles) / M * 1e3, ".-", color=BLUE, label="middle")
    ax.semilogx(years, np.array(edges) / M * 1e3, ".-", color=GREY, label="edge")
    ax.axhline(settled / M * 1e3, color=RED, ls="--", lw=1.0, label="middle, drained")
    ax.set(ylim=(1.15 * settled / M * 1e3, 0.0), xlabel="time / years", ylabel="settlement / mm")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=300)


def when(time: float) -> str:
    return f"{time / DAY:.0f} days" if time > 2.0 * DAY else f"{24.0 * time / DAY:.1f} hours"


if comm.rank == 0:
    rcParams.update({"font.size": 8, "axes.titlesize": 9})
    draw(folder / "consolidation.png")
    print(f"picture                 {folder / 'consolidation.png'}")

assert error < 0.01
assert abs(middles[-1] / settled - 1.0) < 0.01
