# %% [markdown]
# # Flow through a bed of grains, from creeping to swift
#
# A liquid metal fills a closed bed of grains. A magnetic field drives it along the bottom and back along
# the top. As long as it creeps, Darcy's law holds: one permeability says it all. When it flows faster, its
# inertia in the pores counts, and there is no law any more that could be known beforehand: the loss depends
# on the speed and on the direction of the flow. So at each quadrature point of the bed a periodic cell with
# one grain solves the Navier–Stokes equations under the force and the pressure gradient of that point.
#
#     mpiexec -n 2 python demos/demo_porous_flow.py
#     python demos/demo_porous_flow.py --image fibres_100x100x10.raw
#
# The reference is a computation in which every grain is resolved, at two ratios of the scales. With
# `--image` the cell is a cross section of a label image, for which there is no such reference.
#
# ## Notation
#
# All lengths are in edges of a cell, viscosity and density are one: velocities are Reynolds numbers. With
# `--units` the same flow is computed in other units, whatever the edge and the liquid are in those.
#
# | symbol | meaning |
# | --- | --- |
# | $p$ | pressure in the bed |
# | $f = \Gamma\,(\sin\tfrac{\pi x}{L}\cos\tfrac{\pi y}{H},\ 0)$ | force; $\Gamma$ rises in steps |
# | $g = \nabla p - f$ | what drives the fluid in a cell |
# | $v$ | velocity in the pores |
# | $s(g) = -\langle v \rangle$ | flux: seepage velocity with the opposite sign, from the cell |
# | $k$ | permeability, $s = k\,g$ for $g \to 0$ |
# | $n$ | number of cells over the height $H$ of the bed, $L = 2H$ |
#
# Find $p$ with $\int_\Omega s(\nabla p - f)\cdot\nabla q\,\mathrm{d}x = 0$ for all $q$: nothing leaves the
# bed. In the cell and in the resolved bed $(v\cdot\nabla)v - \Delta v + \nabla p = f$, $\nabla\cdot v = 0$,
# and $v = 0$ on the grains. What is compared is the mean of $v\cdot f/\Gamma$, a Reynolds number.

# %%
from __future__ import annotations

import argparse
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import basix.ufl
import dolfinx.fem.petsc as fem_petsc
import numpy as np
import ufl
from dolfinx import fem, mesh
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mpi4py import MPI

parser = argparse.ArgumentParser(description="Flow through a bed of grains, from creeping to swift.")
parser.add_argument("--output", type=Path, default=Path("results/porous_flow"), help="folder for the results")
parser.add_argument("--image", type=Path, help="raw label image, 100 x 100 x 10 voxels of uint8, pores are 0")
parser.add_argument(
    "--units",
    type=float,
    nargs=3,
    metavar=("EDGE", "VISCOSITY", "DENSITY"),
    default=(1.0, 1.0, 1.0),
    help="the cell's edge and the liquid in the units to compute in: 1e-3 1e-3 1e3 for grains in water, SI",
)
arguments = parser.parse_args()
folder: Path = arguments.output
EDGE, VISCOSITY, DENSITY = arguments.units
SPEED = VISCOSITY / (DENSITY * EDGE)  # at a Reynolds number of one
FORCE = VISCOSITY * SPEED / EDGE**2  # per volume, and gradient of the pressure
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# A square grain in a square cell, or the image in blocks of 10 by 10 voxels, which are
# grains where fibres fill seven tenths of them.

# %%
if arguments.image is None:
    PIXELS = np.zeros((6, 6), dtype=int)
    PIXELS[2:4, 2:4] = 1
else:
    image = fe2.read_image(arguments.image, shape=(100, 100, 10), dtype="uint8") != 0
    PIXELS = (image.reshape(10, 10, 10, 10, 10).mean(axis=(1, 3, 4)) > 0.7).astype(int)
rve = fe2.pore_flow(
    fe2.image_cell(PIXELS, {"pore": 0, "grain": 1}, voxel_size=EDGE / len(PIXELS)),
    {"pore": fe2.NewtonianFluid(viscosity=VISCOSITY, density=DENSITY), "grain": fe2.Solid()},
)
k = rve.homogenize().effective / EDGE**2

# %% [markdown]
# ## The bed on two scales
#
# The bed is one edge high, with the gradient of the cell: the solution does not depend on how small the
# cells are. Concurrent FE² and Darcy's law differ in one argument.

# %%
FORCES = [10.0, 1000.0, 3000.0] if arguments.image is None else [1e3, 4e3]
LENGTH = 2.0
bed = mesh.create_rectangle(
    comm, [[0.0, 0.0], [LENGTH * EDGE, EDGE]], [4, 2] if arguments.image is None else [2, 1]
)
V = fem.functionspace(bed, ("Lagrange", 2))
size = fem.Constant(bed, 0.0)


def direction(domain: mesh.Mesh, height: float) -> ufl.core.expr.Expr:
    """The force for a size of one, in a bed that is so many edges high."""
    x = ufl.SpatialCoordinate(domain) / EDGE
    return ufl.as_vector(
        [ufl.sin(ufl.pi * x[0] / (LENGTH * height)) * ufl.cos(ufl.pi * x[1] / height), 0.0 * x[0]]
    )


def at_origin(x: np.ndarray) -> np.ndarray:
    return np.isclose(x[0] / EDGE, 0.0) & np.isclose(x[1] / EDGE, 0.0)


class Bed:
    """The bed with one micro model: its problem, its law and its speed."""

    def __init__(self, micro: fe2.MicroModel) -> None:
        p, q = fem.Function(V, name="pressure"), ufl.TestFunction(V)
        self.law = fe2.HomogenizedLaw(
            fe2.gradient(p) - size * direction(bed, 1.0), micro, quadrature_degree=2
        )
        corner = fem.locate_dofs_geometrical(V, at_origin)
        self.problem = fe2.MacroProblem(
            ufl.dot(self.law.flux, fe2.gradient(q)) * self.law.dx,
            p,
            self.law,
            bcs=[fem.dirichletbc(0.0, corner, V)],
        )
        self._speed = fem.form(-ufl.dot(self.law.flux, direction(bed, 1.0)) * self.law.dx)

    def speed(self) -> float:
        """Mean of the velocity along the force, a Reynolds number."""
        return float(comm.allreduce(fem.assemble_scalar(self._speed))) / (LENGTH * EDGE**2 * SPEED)


def push(force: float) -> None:
    size.value = force * FORCE


darcy, two_scale = Bed(rve.linearized()), Bed(rve)
push(1.0)
darcy.problem.solve()
darcy_speed = darcy.speed()  # for a force of size one
simulation = fe2.Simulation(
    two_scale.problem,
    fe2.LoadSteps([0.0, *FORCES], push),
    output=folder,
    overwrite=True,
    loads={
        **fe2.Balance(two_scale.problem, {}).columns(),
        "force": lambda: float(size.value) / FORCE,
        "speed": two_scale.speed,
        "of_darcy": lambda: two_scale.speed() / (darcy_speed * float(size.value) / FORCE),
    },
)
summary = simulation.run()
history = fe2.read_history(folder)

# %% [markdown]
# ## Every grain resolved
#
# The same bed with $2n$ by $n$ cells, meshed as the cell is: an ordinary problem of one scale with
# Taylor–Hood elements, with inertia in its usual form and symmetry at the sides.


# %%
class Resolved:
    """Navier–Stokes' equations in the bed of n cells over its height."""

    def __init__(self, n: int) -> None:
        self.n, pixels = n, len(PIXELS)
        self.corner = np.array([LENGTH * n, float(n)])  # the upper one, in edges
        counts = (int(LENGTH) * n * pixels, n * pixels)
        whole = mesh.create_rectangle(
            comm, [np.zeros(2), self.corner * EDGE], counts, mesh.CellType.quadrilateral
        )
        index_map = whole.topology.index_map(2)
        cells = np.arange(index_map.size_local + index_map.num_ghosts, dtype=np.int32)
        middle = mesh.compute_midpoints(whole, 2, cells)[:, :2] / EDGE
        pixel = (middle * pixels).astype(int) % pixels
        self.pores = mesh.create_submesh(whole, 2, cells[PIXELS[pixel[:, 0], pixel[:, 1]] == 0])[0]
        shape = self.pores.basix_cell()
        velocity, pressure = (
            basix.ufl.element("Lagrange", shape, 2, shape=(2,)),
            basix.ufl.element("Lagrange", shape, 1),
        )
        self.W = fem.functionspace(self.pores, basix.ufl.mixed_element([velocity, pressure]))
        self.u = fem.Function(self.W)
        v, p = ufl.split(self.u)
        w, q = ufl.split(ufl.TestFunction(self.W))
        self._size = fem.Constant(self.pores, 0.0)
        along = direction(self.pores, float(n))
        self._speed = fem.form(ufl.dot(v, along) * ufl.dx)
        momentum = ufl.dot(DENSITY * ufl.grad(v) * v + ufl.grad(p) - self._size * along, w)
        friction = VISCOSITY * ufl.inner(ufl.grad(v), ufl.grad(w))
        G = (momentum + friction + ufl.dot(v, ufl.grad(q))) * ufl.dx(degree=5)
        self.problem = fem_petsc.NonlinearProblem(
            G,
            self.u,
            bcs=self._conditions(),
            petsc_options_prefix=f"resolved_{n}_",
            petsc_options={
                "snes_rtol": 1e-8,
                "snes_error_if_not_converged": True,
                "ksp_type": "preonly",
                "pc_type": "lu",
                "pc_factor_mat_solver_type": "mumps",
            },
        )

    def _conditions(self) -> list[fem.DirichletBC]:

        def on_side(x: np.ndarray, axis: int) -> np.ndarray:
            return np.isclose(x[axis] / EDGE, 0.0) | np.isclose(x[axis] / EDGE, self.corner[axis])

        def on_grains(x: np.ndarray) -> np.ndarray:
            return ~(on_side(x, 0) | on_side(x, 1))

        velocity, pressure = self.W.sub(0), self.W.sub(1)
        places = [
            (velocity, on_grains),
            (velocity.sub(0), lambda x: on_side(x, 0)),
            (velocity.sub(1), lambda x: on_side(x, 1)),
        ]
        found = []
        for part, place in places:
            space, _ = part.collapse()
            facets = mesh.locate_entities_boundary(self.pores, 1, place)
            dofs = fem.locate_dofs_topological((part, space), 1, facets)
            found.append(fem.dirichletbc(fem.Function(space), dofs, part))
        space, _ = pressure.collapse()
        corner = fem.locate_dofs_geometrical((pressure, space), at_origin)
        return [*found, fem.dirichletbc(fem.Function(space), corner, pressure)]

    def speed(self, force: float) -> float:
        """Mean of the velocity along the force, a Reynolds number."""
        self._size.value = force * FORCE
        self.problem.solve()
        return float(comm.allreduce(fem.assemble_scalar(self._speed))) / (
            self.corner.prod() * EDGE**2 * SPEED
        )


RATIOS = (3, 6) if arguments.image is None else ()
resolved = {}
for n in RATIOS:
    bed_of_grains = Resolved(n)
    resolved[n] = np.array([bed_of_grains.speed(force) for force in FORCES])

# %% [markdown]
# ## Figure
#
# How swiftly the fluid seeps through the bed, and the flow inside the cell at the point where it is swiftest.

# %%
flux = two_scale.law.flux.x.array.reshape(-1, 2) / SPEED
flux = flux[: 3 * len(two_scale.law.cells)]
swiftness = np.linalg.norm(flux, axis=1)
largest, owner = comm.allreduce((float(swiftness.max(initial=0.0)), comm.rank), op=MPI.MAXLOC)
states = two_scale.law.pool.states  # on all ranks: points may have moved to other ranks
places, seepage = (
    np.concatenate(parts)
    for parts in zip(*comm.allgather((two_scale.law.coordinates() / EDGE, -flux)), strict=True)
)
chosen = None
if comm.rank == owner:
    point = int(swiftness.argmax())
    local = rve.fields(states[point])
    chosen = (
        two_scale.law.coordinates()[point] / EDGE,
        local.points / EDGE,
        local.point_data["u"] / SPEED,
    )
at, nodes, velocity = comm.bcast(chosen, root=owner)


def draw_bed(ax: Axes) -> None:
    """Seepage velocity at the quadrature points."""
    arrows = ax.quiver(
        *places[:, :2].T,
        *seepage.T,
        np.linalg.norm(seepage, axis=1),
        cmap="viridis",
        pivot="mid",
        width=0.006,
    )
    ax.plot(*at[:2], "o", ms=14, mfc="none", mec="tab:red", mew=1.5)
    ax.set(
        aspect="equal", xlim=(0.0, LENGTH), ylim=(0.0, 1.0), title="(a) the bed", xlabel="x/H", ylabel="y/H"
    )
    ax.figure.colorbar(arrows, ax=ax, orientation="horizontal", label="seepage velocity (Reynolds number)")


def draw_cell(ax: Axes) -> None:
    """Velocity in the pores: its size and its streamlines, on the grid of the nodes; grains are grey."""
    ends = 2 * len(PIXELS) + 1  # the velocity has a node in the middle of each edge
    column, row = np.rint((nodes[:, :2] + 0.5) * (ends - 1)).astype(int).T
    grid = np.zeros((2, ends, ends))
    grid[:, row, column] = velocity.T
    line = np.linspace(-0.5, 0.5, ends)
    colours = ax.contourf(line, line, np.linalg.norm(grid, axis=0), levels=24, cmap="viridis")
    ax.streamplot(line, line, *grid, color="w", linewidth=0.6, density=1.2, arrowsize=0.7)
    grains = np.ma.masked_equal(PIXELS.T, 0)
    ax.imshow(grains, extent=(-0.5, 0.5, -0.5, 0.5), origin="lower", cmap="gray", vmin=0, vmax=2, zorder=3)
    ax.set(
        aspect="equal", title=f"(b) the cell at ({at[0]:.2f}, {at[1]:.2f})", xlabel="x/edge", ylabel="y/edge"
    )
    ax.figure.colorbar(
        colours, ax=ax, orientation="horizontal", label="velocity in the pores (Reynolds number)"
    )


def draw_speeds(ax: Axes) -> None:
    """Speed over that of Darcy's law, on two scales and resolved."""
    ax.axhline(1.0, color="0.6", label="Darcy's law")
    ax.plot(history["speed"], history["of_darcy"], "o-", label="FE²")
    for marker, (n, speeds) in zip("sd", resolved.items(), strict=False):
        ax.plot(speeds, speeds / (darcy_speed * np.array(FORCES)), marker + "--", label=f"resolved, n = {n}")
    ax.set(
        title="(c) inertia slows the flow",
        xlabel="mean Reynolds number",
        ylabel="speed over that of Darcy's law",
    )
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)


picture = folder / "porous_flow.png"
if comm.rank == 0:
    figure = Figure(figsize=(14.0, 4.6), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1.7, 1.0, 1.1))
    for draw, ax in zip((draw_bed, draw_cell, draw_speeds), axes, strict=True):
        draw(ax)
    figure.savefig(picture, dpi=150)

# %% [markdown]
# ## What has to hold
#
# **Creeping flow is Darcy's**: at a small Reynolds number FE² and the permeability agree.
#
# **Mass is conserved**: nothing leaves the bed, to the tolerance of Newton's method.
#
# **The resolved bed agrees**, the better the smaller the cells are, when Darcy's law is far off already.

# %%
speed, of_darcy = history["speed"], history["of_darcy"]
imbalance = np.abs(history["imbalance"]) / (SPEED * EDGE)
if comm.rank == 0:
    print(f"permeability        {k[0, 0]:14.6g}, {k[1, 1]:.6g}")
    print("force               " + "".join(f"{force:14.6g}" for force in FORCES))
    print("FE², Reynolds number" + "".join(f"{u:14.6g}" for u in speed))
    print("Darcy               " + "".join(f"{darcy_speed * force:14.6g}" for force in FORCES))
    for n, speeds_of_n in resolved.items():
        print(f"resolved, n = {n}     " + "".join(f"{u:14.6g}" for u in speeds_of_n))
    print(f"largest imbalance   {np.max(imbalance):14.2g}")
    print(f"micro solves        {summary.micro_solves / summary.seconds:14.1f} per second, {comm.size} ranks")
    print(f"results             {folder}\npicture             {picture}")

assert abs(of_darcy[0] - 1.0) < 1e-2
assert np.all(np.diff(of_darcy) < 0.0)
assert np.max(imbalance / np.abs(speed)) < 1e-7
if resolved:
    coarse, fine = (np.abs(speed / resolved[n] - 1.0) for n in RATIOS)
    assert 1.0 / of_darcy[-1] - 1.0 > 0.1
    assert fine[-1] < 0.05
    assert fine[-1] < 0.7 * coarse[-1]
