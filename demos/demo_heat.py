# %% [markdown]
# # A wall that stores heat by melting
#
# A plaster wall is filled with capsules of wax. By day the sun melts the wax, by night it freezes again, and
# the room behind the wall feels less of both. The capsules are small against the thickness of the wall, so
# at each of its quadrature points a periodic cell of plaster and wax answers the temperature and its
# gradient with the heat that it stores and the heat flux.
#
#     mpiexec -n 2 python demos/demo_heat.py
#
# Two statements stand at the end: the balance of heat over a whole cycle of melting and freezing, which is
# exact, and the agreement with a computation in which every capsule of the wall is resolved.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $T$ | temperature of the wall | °C |
# | $k,\ h$ | conductivity and enthalpy of a phase | W/(m K), J/m³ |
# | $s = \langle k\,\nabla(g\cdot x + w) \rangle$ | heat flux with the opposite sign, $g = \nabla T$ | W/m² |
# | $\langle h \rangle$ | enthalpy, mean over the cell | J/m³ |
# | $w$ | fluctuation of the temperature in a cell | K |
# | $\alpha_o,\ \alpha_i$ | heat transfer to the air outside and inside | W/(m² K) |
# | $q$ | heat from the sun | W/m² |
#
# Find $T$ with
#
# $$ \int_\Omega \frac{\langle h(T)\rangle - \langle h \rangle_n}{\Delta t}\,v + s\cdot\nabla v\,\mathrm{d}x
#    = \int_{\Gamma_o} \big(\alpha_o (T_o - T) + q\big)\,v\,\mathrm{d}s
#    + \int_{\Gamma_i} \alpha_i (T_i - T)\,v\,\mathrm{d}s \quad\text{for all } v. $$
#
# The cell is small against the wall: its phases have the temperature of the wall at that point, up to a
# fluctuation that vanishes with the size of the cell. So a phase melts as a whole, and the heat of melting
# appears as a source that depends on the change of $T$ alone. How good that is for capsules of a given size
# is what the resolved computation tells.

# %%
from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import basix.ufl
import dolfinx.fem.petsc as fem_petsc
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

from fe2.io.pictures import draw_run
from fe2.io.results import read_history

parser = argparse.ArgumentParser(description="A wall that stores heat by melting.")
parser.add_argument("--output", type=Path, default=Path("results/heat"), help="folder for the results")
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("M", "W"),
    default=(1.0, 1.0),
    help="a metre and a watt in the units to compute in: 1e3 1e3 for mm and mW",
)
arguments = parser.parse_args()
folder: Path = arguments.output
M, W = arguments.units
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# A square capsule in a square cell, 44 % of its area. The wax melts between 25 and 28 °C; its enthalpy is a
# smooth function of the temperature (see `MeltingConduction`), and it starts solid.

# %%
PIXELS = np.zeros((6, 6), dtype=int)
PIXELS[1:5, 1:5] = 1
START = 18.0  # °C
plaster = fe2.LinearConduction(conductivity=0.5 * W / M, capacity=1.2e6 * W / M**3)
wax = fe2.MeltingConduction(
    conductivity=0.25 * W / M,
    capacity=1.6e6 * W / M**3,
    latent_heat=1.6e8 * W / M**3,
    solidus=25.0,
    liquidus=28.0,
    liquid_conductivity=0.15 * W / M,
    liquid_capacity=1.8e6 * W / M**3,
)
rve = fe2.diffusion(
    fe2.image_cell(PIXELS, {"plaster": 0, "wax": 1}, voxel_size=M),
    {"plaster": plaster, "wax": wax},
    value=True,
    initial_value=START,
)

# %% [markdown]
# ## The wall
#
# A horizontal section of 6 cm by 12 cm. Outside, on the left, the upper half lies in the sun and the lower
# half in the shade. The boundary terms are the same for the two-scale wall and for the resolved one.

# %%
THICKNESS, WIDTH = 0.06 * M, 0.12 * M
OUTSIDE, INSIDE = 1, 2
HOUR = 3600.0  # s
ROOM = 20.0  # °C
COLUMNS = ["stored", "received"]


def rectangle(elements: tuple[int, int]) -> mesh.Mesh:
    corners = [np.zeros(2), np.array([THICKNESS, WIDTH])]
    return mesh.create_rectangle(comm, corners, elements, mesh.CellType.quadrilateral)


class Weather:
    """Temperature of the air and the sun's heat: constants of a form, set for a time."""

    def __init__(self, domain: mesh.Mesh) -> None:
        self.time = 0.0
        self.air, self.sun = fem.Constant(domain, START), fem.Constant(domain, 0.0)
        sides = 0.0, 1.0  # in the wall's thickness
        found = [
            mesh.locate_entities_boundary(domain, 1, lambda x, a=a: np.isclose(x[0] / THICKNESS, a))
            for a in sides
        ]
        facets = np.concatenate(found)
        tags = np.repeat([OUTSIDE, INSIDE], [len(part) for part in found]).astype(np.int32)
        order = np.argsort(facets)
        self._ds = ufl.Measure(
            "ds", domain, subdomain_data=mesh.meshtags(domain, 1, facets[order], tags[order])
        )
        self._sunny = ufl.conditional(ufl.gt(ufl.SpatialCoordinate(domain)[1], WIDTH / 2), 1.0, 0.0)

    def set(self, time: float) -> None:
        self.time, hour = time, time / HOUR
        self.air.value = 18.0 + 9.0 * np.sin(np.pi * hour / 12.0)
        self.sun.value = 450.0 * W / M**2 * max(np.sin(np.pi * hour / 12.0), 0.0)

    def outside(self, T: fem.Function, weight: ufl.core.expr.Expr | float = 1.0) -> ufl.Form:
        """Heat from outside."""
        return (15.0 * W / M**2 * (self.air - T) + self._sunny * self.sun) * weight * self._ds(OUTSIDE)

    def inside(self, T: fem.Function, weight: ufl.core.expr.Expr | float = 1.0) -> ufl.Form:
        """Heat from the room."""
        return 8.0 * W / M**2 * (ROOM - T) * weight * self._ds(INSIDE)


def integral(form: ufl.Form) -> float:
    return comm.allreduce(fem.assemble_scalar(fem.form(form)))


wall = rectangle((6, 6))
V = fem.functionspace(wall, ("Lagrange", 1))
T, v = fem.Function(V, name="temperature"), ufl.TestFunction(V)
T.x.array[:] = START
weather = Weather(wall)
law = fe2.HomogenizedLaw(fe2.value_and_gradient(T), rve, quadrature_degree=2)
F = ufl.dot(law.flux, fe2.value_and_gradient(v)) * law.dx - weather.outside(T, v) - weather.inside(T, v)
problem = fe2.MacroProblem(F, T, law, petsc_options={"snes_rtol": 1e-10})

# %% [markdown]
# ## A day and a night
#
# What the wall holds is the integral over both scales of the enthalpy, an average that each cell keeps. The
# heat that it has received is summed up from step to step. In the evening the front has gone farthest into
# the wall; the local fields of the cell whose wax is closest to half molten are kept for the figure.

# %%
Q = fem.functionspace(wall, basix.ufl.quadrature_element(wall.basix_cell(), degree=2))
density = fem.Function(Q)


def total(name: str) -> float:
    """Integral over the wall of a history variable's averages; collective."""
    density.x.array[Q.dofmap.list[law.cells].reshape(-1)] = rve.averages(law.pool.states)[name][:, 0]
    return integral(density * law.dx)


TIMES = HOUR * np.arange(25.0)
EVENING = 9.0 * HOUR
virgin, received, reached = total("enthalpy"), 0.0, 0.0
inflow = fem.form(weather.outside(T) + weather.inside(T))


def receive() -> float:
    """Heat that has come in by the end of this step; called once a step."""
    global received, reached
    received += (weather.time - reached) * comm.allreduce(fem.assemble_scalar(inflow))
    reached = weather.time
    return received


front = {}


def look(time: float) -> None:
    """Keep the local fields of the melting front; called after each step."""
    if time != EVENING:
        return
    states = law.pool.states  # on all ranks: points may have moved to other ranks
    share = rve.averages(states)["liquid_fraction"][:, 0] / rve.cell.volume_fractions["wax"]
    distance = np.abs(share - 0.5)
    _, owner = comm.allreduce((distance.min(initial=1.0), comm.rank), op=MPI.MINLOC)
    if comm.rank == owner:
        point = int(distance.argmin())
        front.update(at=law.coordinates()[point], local=rve.fields(states[point]))
    front["at"] = comm.bcast(front.get("at"), root=owner)


simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(TIMES, weather.set),
    output=folder,
    overwrite=True,
    observers=[look],
    loads={
        "hour": lambda: weather.time / HOUR,
        "stored": lambda: total("enthalpy") - virgin,
        "received": receive,
        "liquid": lambda: total("liquid_fraction") / (THICKNESS * WIDTH * rve.cell.volume_fractions["wax"]),
        "to_room": lambda: -integral(weather.inside(T)) / WIDTH,
    },
)
summary = simulation.run()
history = read_history(folder)

# %% [markdown]
# ## Every capsule resolved
#
# The same wall with 6 by 12 cells of 1 cm, each meshed as the cell is: an ordinary DOLFINx problem of one
# scale. Six capsules across the thickness are few.

# %%
CELLS = (6, 12)
resolved = rectangle((CELLS[0] * len(PIXELS), CELLS[1] * len(PIXELS)))
S = fem.functionspace(resolved, ("Lagrange", 1))
theta, before, test = fem.Function(S), fem.Function(S), ufl.TestFunction(S)
theta.x.array[:] = before.x.array[:] = START
is_wax = fem.Function(fem.functionspace(resolved, ("DG", 0)))
count = resolved.topology.index_map(2).size_local + resolved.topology.index_map(2).num_ghosts
middle = mesh.compute_midpoints(resolved, 2, np.arange(count, dtype=np.int32))[:, :2]
pixel = (middle / (THICKNESS / CELLS[0]) * len(PIXELS)).astype(int) % len(PIXELS)
is_wax.x.array[:] = PIXELS[pixel[:, 0], pixel[:, 1]]

sky, dt = Weather(resolved), fem.Constant(resolved, 1.0)


def mixed(of_wax: ufl.core.expr.Expr, of_plaster: ufl.core.expr.Expr) -> ufl.core.expr.Expr:
    return is_wax * of_wax + (1.0 - is_wax) * of_plaster


slope = ufl.grad(theta)
rate = (
    mixed(wax.stored(theta), plaster.stored(theta)) - mixed(wax.stored(before), plaster.stored(before))
) / dt
flux = mixed(wax.conducted(theta, slope), plaster.conducted(theta, slope))
G = (rate * test + ufl.dot(flux, ufl.grad(test))) * ufl.dx(metadata={"quadrature_degree": 2})
single_scale = fem_petsc.NonlinearProblem(
    G - sky.outside(theta, test) - sky.inside(theta, test),
    theta,
    petsc_options_prefix="resolved_",
    petsc_options={
        "snes_rtol": 1e-8,
        "snes_error_if_not_converged": True,
        "ksp_type": "preonly",
        "pc_type": "lu",
        "pc_factor_mat_solver_type": "mumps",
    },
)
to_room, liquid = [], []
for start, end in pairwise(TIMES):
    sky.set(end)
    dt.value = end - start
    single_scale.solve()
    before.x.array[:] = theta.x.array
    to_room.append(-integral(sky.inside(theta)) / WIDTH)
    liquid.append(integral(is_wax * wax.liquid_fraction(theta) * ufl.dx) / integral(is_wax * ufl.dx))

# %% [markdown]
# ## Figure
#
# The wall in the evening, and the flux in the cell that is marked: it goes around the capsule.


# %%
def unit(name: str, size: float) -> str:
    """The unit of an axis for which `size` is one of the named units."""
    return name if size == 1.0 else f"{1.0 / size:g} {name}"


picture = draw_run(
    folder,
    folder / "heat.png",
    field="liquid_fraction",
    step=int(np.searchsorted(TIMES, EVENING)),
    local=front.get("local"),
    local_field="flux_x",
    at=front["at"],
    history=("hour", "liquid"),
    labels={
        "x": f"x ({unit('m', M)})",
        "y": f"y ({unit('m', M)})",
        "liquid_fraction": "liquid wax, share of the cell",
        "local x": f"x ({unit('pixels', M)})",
        "local y": f"y ({unit('pixels', M)})",
        "local flux_x": f"k ∂T/∂x ({unit('W/m²', W / M**2)})",
        "history": "melting and freezing",
        "hour": "time (h)",
        "liquid": "share of the wax that is liquid",
    },
)

# %% [markdown]
# ## What has to hold
#
# **Heat is conserved.** At every step the enthalpy of all phases in all cells has changed by what came in
# through both sides of the wall. By the end the wax is frozen again: the latent heat has gone in and out.
# The balance follows from the weak form with $v = 1$, from a storage that is the mean over the cell and from
# enthalpies that are committed once; it holds to the tolerance of Newton's method.
#
# **The resolved wall agrees.** The heat that reaches the room and the share of the wax that is molten differ
# by what the wax in a capsule of 7 mm lags behind its plaster, and by the mesh of the wall.

# %%
gap = np.max(np.abs(history["stored"] - history["received"]))
largest = np.max(np.abs(history["stored"]))
difference = np.max(np.abs(history["to_room"] - to_room))
lag = np.max(np.abs(history["liquid"] - liquid))

if comm.rank == 0:
    per_area, per_length = W / M**2, W / M  # what is printed is in W and m
    print(
        f"heat stored at most {largest / per_length:14.6g} J/m, balance closed to {gap / largest:.1g} of it"
    )
    print(f"liquid at most      {max(history['liquid']):14.6f}, resolved {max(liquid):.6f}")
    heats = [value / per_area for value in (max(history["to_room"]), max(to_room), difference)]
    print(f"heat to the room    {heats[0]:14.6f} W/m², resolved {heats[1]:.6f}")
    print(f"largest differences {heats[2]:14.6f} W/m² and {lag:.6f} of the wax")
    print(f"micro solves        {summary.micro_solves / summary.seconds:14.1f} per second, {comm.size} ranks")
    print(f"results             {folder}\npicture             {picture}")

assert gap < 1e-8 * largest
assert max(history["liquid"]) > 0.3
assert history["liquid"][-1] < 0.01
assert difference < 0.03 * max(to_room)
assert lag < 0.03
