# %% [markdown]
# # A hot composite in service
#
# A ring of titanium is wound with fibres of silicon carbide, as for the compressor of an engine. It is
# consolidated at 1000 K and free of stress there. As it cools the fibres shrink less than the matrix: the
# ring is under stress before it has carried anything. In service it turns at 480 m/s while hot gas heats its
# inner side; then it stops and cools. The matrix conducts, hardens and yields as its temperature lets it,
# yielding heats it, and the temperature strains both phases: displacement and temperature are found together
# on both scales.
#
#     mpiexec -n 2 python demos/demo_hot_composite.py
#
# After manufacture the stress and the radius are held against Lekhnitskii's ring, after service the heat
# that came in against the entropy that is left.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $u,\ e$ | radial displacement, strain along the axis of the ring | mm, – |
# | $T,\ T_0$ | absolute temperature, the one without stress | K |
# | $\sigma$ | stress, mean over the cell: radial, in the hoop, axial | MPa |
# | $\eta$ | entropy, likewise | mJ/(mm³ K) |
# | $s$ | heat flux with the opposite sign, likewise | mW/mm² |
# | $\rho,\ \omega$ | density, angular velocity | t/mm³, 1/s |
# | $h_k,\ T_k$ | heat transfer at a side, temperature of the gas there | mW/(mm² K), K |
#
# The ring is thin along its axis, where it is free: find $u$, $e$ and $T$ with
#
# $$ \int \Big(\sigma_r v' + \sigma_\theta\frac{v}{r} + \sigma_z\,d - \rho\omega^2 r\,v
#    + T_0\,\dot\eta\,q + s\,q'\Big)\,r\,\mathrm{d}r + \sum_k h_k\,(T - T_k)\,q\,r_k = 0
#    \quad\text{for all } v, d, q. $$
#
# Rates are taken by BDF2.

# %%
from __future__ import annotations

import argparse
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import numpy as np
import ufl
from dolfinx import fem, mesh
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from mpi4py import MPI

from fe2.io.results import read_watched

parser = argparse.ArgumentParser(description="A hot composite in service.")
parser.add_argument(
    "--output", type=Path, default=Path("results/hot_composite"), help="folder for the results"
)
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("N", "MM"),
    default=(1.0, 1.0),
    help="a newton and a millimetre in the units to compute in: 1e-3 1.0 for kN and mm",
)
arguments = parser.parse_args()
N, MM = arguments.units
MPA, MW, TONNE = N / MM**2, N * MM, N / MM
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# Fibres run along the second axis of the cell, the hoop; they are 3/8 of it. Numbers are typical ones of
# Ti-6Al-4V and of SiC. The strain of a phase is free of stress at $T_0$, where the cell begins.

# %%
T0, ROOM, GAS = 1000.0, 293.15, 950.0
PIXELS = 8
centres = (np.arange(PIXELS) + 0.5) / PIXELS - 0.5
FIBRE = np.hypot(*np.meshgrid(centres, centres, indexing="ij")) < 0.33
IMAGE = np.repeat(FIBRE[:, None, :], 3, axis=1).astype(int)


def table(room: float, hot: float) -> dict[str, list[float]]:
    """A property that is linear between room temperature and T₀."""
    return {"temperature": [ROOM, T0], "value": [room, hot]}


titanium = fe2.thermoplastic(
    young=table(114e3 * MPA, 75e3 * MPA),
    poisson=0.33,
    yield_stress=table(900.0 * MPA, 150.0 * MPA),
    hardening=2e3 * MPA,
    expansion=table(9.5e-6, 10.5e-6),
    conductivity=table(6.7 * MW / MM, 15.0 * MW / MM),
    heat_capacity=table(2.3 * MPA, 3.0 * MPA),
    taylor_quinney=0.9,
)
carbide = fe2.thermoelastic(
    young=400e3 * MPA,
    poisson=0.25,
    expansion=4.8e-6,
    conductivity=16.0 * MW / MM,
    heat_capacity=table(2.1 * MPA, 3.3 * MPA),
)
rve = fe2.thermoelasticity(
    fe2.image_cell(IMAGE, {"matrix": 0, "fibre": 1}),
    {"matrix": titanium, "fibre": carbide},
    reference_temperature=T0,
)
SHARE = rve.cell.volume_fractions["fibre"]
DENSITY = ((1.0 - SHARE) * 4.43e-9 + SHARE * 3.0e-9) * TONNE / MM**3

# %% [markdown]
# ## The ring
#
# One coordinate is enough, and the cells have all three: strains are given to them component by component.
# Displacements are quadratic; the axial strain is linear in each element for itself, so that the axial
# stress vanishes in each of its two points.

# %%
INNER, OUTER, ELEMENTS = 50.0 * MM, 62.0 * MM, 6
ring = mesh.create_interval(comm, ELEMENTS, [INNER, OUTER])
spaces = [fem.functionspace(ring, element) for element in (("Lagrange", 2), ("DG", 1), ("Lagrange", 1))]
u, e, T = (fem.Function(space, name=name) for space, name in zip(spaces, ("u", "e", "T"), strict=True))
v, d, q = (ufl.TestFunction(space) for space in spaces)
T.x.array[:] = T0
(r,) = ufl.SpatialCoordinate(ring)
zero = ufl.as_ufl(0.0)
law = fe2.HomogenizedLaw(
    {
        "strain": ufl.as_vector([u.dx(0), u / r, e, zero, zero, zero]),
        "temperature": T,
        "temperature_gradient": ufl.as_vector([T.dx(0), zero, zero]),
    },
    rve,
    quadrature_degree=3,
)

spin = fem.Constant(ring, 0.0)  # ω
exchange, gas = ([fem.Constant(ring, 0.0) for _ in range(2)] for _ in range(2))
facets = [
    mesh.locate_entities_boundary(ring, 0, lambda x, at=at: np.isclose(x[0], at)) for at in (INNER, OUTER)
]
sides = mesh.meshtags(
    ring, 0, np.concatenate(facets), np.repeat([0, 1], [len(f) for f in facets]).astype("i4")
)
ds = ufl.Measure("ds", domain=ring, subdomain_data=sides)

stress = law["stress"]
F_u = (stress[0] * v.dx(0) + stress[1] * v / r - DENSITY * spin**2 * r * v) * r * law.dx
F_e = stress[2] * d * r * law.dx
F_T = (T0 * law.rate("entropy") * q + law["heat_flux"][0] * q.dx(0)) * r * law.dx
F_T += sum(h * (T - T_k) * q * r * ds(k) for k, (h, T_k) in enumerate(zip(exchange, gas, strict=True)))
problem = fe2.MacroProblem([F_u, F_e, F_T], [u, e, T], law, scheme="bdf2")

# %% [markdown]
# ## Manufacture and service
#
# The furnace cools for ten hours, through which the ring has its temperature. Gas and rotation come within
# five seconds, and heat needs some twenty through the ring. After ten minutes the ring stops and cools.

# %%
HOUR, SPEED = 3600.0, 480e3 * MM / OUTER
MADE, SERVED = 14.0 * HOUR, 14.0 * HOUR + 600.0
furnace = fe2.ramp([(0.0, T0), (10.0 * HOUR, ROOM)])
heating = fe2.ramp([(MADE, ROOM), (MADE + 5.0, GAS), (SERVED, GAS), (SERVED + 5.0, ROOM)])
turning = fe2.ramp([(MADE, 0.0), (MADE + 5.0, SPEED), (SERVED, SPEED), (SERVED + 5.0, 0.0)])


def load(time: float) -> None:
    in_service = time > MADE
    films = (5.0, 0.5) if in_service else (10.0, 10.0)
    gases = (heating(time), ROOM) if in_service else (furnace(time), furnace(time))
    for side in range(2):
        exchange[side].value, gas[side].value = films[side] * MW / MM**2, gases[side]
    spin.value = turning(time)


stage = np.concatenate([[1.0, 2.0, 3.5, 5.0], np.geomspace(7.0, 600.0, 15)])
times = np.concatenate([HOUR * np.arange(0.0, 15.0, 2.0), MADE + stage, SERVED + stage])
places = INNER + (OUTER - INNER) * (np.arange(2 * ELEMENTS) + 0.5) / (2 * ELEMENTS)  # near each point
watching = [fem.form(u * ds(0)), *(fem.form(T * ds(k)) for k in range(2))]
history = [[0.0, T0, T0]]


def take_note(time: float) -> None:
    """Displacement of the bore, temperatures of both sides; collective."""
    history.append([comm.allreduce(fem.assemble_scalar(form)) for form in watching])


simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(times, load),
    output=fe2.Results(arguments.output, watch=places[:, None].tolist(), overwrite=True),
    observers=[take_note],
)
simulation.run()
made, served = (int(np.flatnonzero(times == time)[0]) for time in (MADE, SERVED))
bores, inner, outer = np.transpose(history)

# %% [markdown]
# ## What it is held against
#
# **After manufacture** no phase has yielded, and at one temperature the cell is linear: its stress is
# $C\varepsilon + \sigma^0$. Where $\sigma_z = 0$ what is left in the plane, $Q$ and $\sigma^0$, is that of a
# ring with cylindrical anisotropy (Lekhnitskii, Anisotropic Plates, 2nd ed. 1957, § 25), of which the hoop
# shrinks less than the radius:
#
# $$ u = A\,r^k + B\,r^{-k} + D\,r,\qquad k = \sqrt{Q_{\theta\theta}/Q_{rr}},\qquad
#    D = \frac{\sigma^0_\theta - \sigma^0_r}{Q_{rr} - Q_{\theta\theta}}, $$
#
# with $A$ and $B$ such that $\sigma_r = 0$ at both sides.
#
# **In service**, when all is steady, Kirchhoff's integral of the conductivity of the cell is the heat through
# the ring, for each radian and unit of length, whatever the temperature in between:
#
# $$ \int_{T_o}^{T_i} k^*\,\mathrm{d}T = \dot Q\,\ln\frac{r_o}{r_i},\qquad
#    \dot Q = r_o\,h_o\,(T_o - T_{room}). $$


# %%
def cell_at(temperature: float, strain: np.ndarray | float = 0.0) -> fe2.MicroResponse:
    """What the virgin cell answers to a temperature and a strain, shape (6,)."""
    begin, end = rve.initial_state(), rve.initial_state()
    gradient = np.zeros_like(rve.kinematics.origin)
    gradient[:6], gradient[6] = strain, temperature
    return rve.solve(gradient, begin, 1.0, end)


comm.barrier()  # what was watched is on disk
watched = read_watched(arguments.output)
strain = watched[0].gradients[made, :6]
answer = cell_at(ROOM, strain)
C, s0 = answer.tangent[:3, :3], answer.flux[:3] - answer.tangent[:3, :6] @ strain
Q, s0 = C - np.outer(C[:, 2], C[2]) / C[2, 2], s0 - C[:, 2] * s0[2] / C[2, 2]
k, D = np.sqrt(Q[1, 1] / Q[0, 0]), (s0[1] - s0[0]) / (Q[0, 0] - Q[1, 1])
powers = np.array([k, -k])
ends = np.array([INNER, OUTER])[:, None]
radial_stress = (Q[0, 0] * powers + Q[0, 1]) * ends ** (powers - 1.0)
AB = np.linalg.solve(radial_stress, np.full(2, -(Q[0, 0] + Q[0, 1]) * D - s0[0]))
lekhnitskii = AB @ INNER**powers + D * INNER


def hoop_stress(radius: np.ndarray) -> np.ndarray:
    """Lekhnitskii's."""
    by_powers = (Q[0, 1] * powers + Q[1, 1]) * radius[:, None] ** (powers - 1.0)
    found: np.ndarray = by_powers @ AB + (Q[0, 1] + Q[1, 1]) * D + s0[1]
    return found


nodes, weights = np.polynomial.legendre.leggauss(4)
low, high = outer[served], inner[served]
temperatures = 0.5 * (low + high) + 0.5 * (high - low) * nodes
conductivities = [cell_at(temperature).tangent[7, 7] for temperature in temperatures]
kirchhoff = 0.5 * (high - low) * np.dot(weights, conductivities) / np.log(OUTER / INNER)
passing = OUTER * 0.5 * MW / MM**2 * (low - ROOM)

# %% [markdown]
# ## Pictures
#
# The hoop stress across the ring, and that in the cell at its inner side: the fibres, compressed by the
# matrix after manufacture, carry the ring in service. What the matrix yields there
# is left as another stress, and as a wider bore.


# %%
MOMENTS = {"manufactured": made, "after 7 s": made + 5, "in service": served, "cold again": len(times) - 1}
radii = np.array([point.coordinates[0] for point in watched])
COLOURS = dict(zip(MOMENTS, ("#1f4e79", "#e08e0b", "#b03a2e", "#5b8c5a"), strict=True))


def cell_stress(state: np.ndarray) -> np.ndarray:
    """Hoop stress of a layer of voxels in MPa, shape (PIXELS, PIXELS), axial by radial."""
    local = rve.fields(state)
    middles = local.points[local.connectivity.reshape(-1, 9)[:, 1:]].mean(axis=1)
    order = np.lexsort(np.round(middles.T / middles.max(), 6)[[1, 0, 2]])
    layers: np.ndarray = local.cell_data["stress"][order, 1].reshape(PIXELS, PIXELS, 3)
    return layers[:, :, 1] / MPA


def draw_wall(ax: Axes, *names: str) -> None:
    for name in names:
        hoop = np.array([point.fluxes[MOMENTS[name], 1] for point in watched])
        ax.plot(radii / MM, hoop / MPA, ".-", ms=4, lw=1, color=COLOURS[name], label=name)
    ax.set(xlabel="radius / mm", ylabel="hoop stress / MPa")


def draw_course(ax: Axes) -> None:
    passed = times[made:] - MADE
    for side, values, colour in (("inner", inner, "#b03a2e"), ("outer", outer, "#1f4e79")):
        ax.plot(passed, values[made:], lw=1, color=colour, label=f"$T$, {side} side")
    ax.plot([], [], "--", lw=1, color="0.4", label="$u$ of the bore")
    ax.set(xlabel="time in service / s", ylabel="temperature / K", ylim=(250, 1250))
    ax.legend(frameon=False, loc="upper right")
    right = ax.twinx()
    right.plot(passed, 1e3 * bores[made:] / MM, "--", lw=1, color="0.4")
    right.set(ylabel="displacement / µm", ylim=(-250, 350))


def draw_cell(ax: Axes, name: str) -> AxesImage:
    stress = cell_stress(watched[0].states[MOMENTS[name]])
    shown = ax.imshow(stress, origin="lower", cmap="RdBu_r", vmin=-1400.0, vmax=1400.0)
    ax.set_title(name, color=COLOURS[name])
    ax.set(xticks=[], yticks=[])
    return shown


def draw(path: Path) -> None:
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.45, 1.0])
    left, middle, right = above.subplots(1, 3)
    draw_wall(left, "manufactured", "cold again")
    left.plot(radii / MM, hoop_stress(radii) / MPA, "k--", lw=0.8, label="Lekhnitskii")
    draw_wall(middle, "after 7 s", "in service")
    for ax in (left, middle):
        ax.legend(frameon=False)
    draw_course(right)
    cells = below.subplots(1, len(MOMENTS))
    shown = [draw_cell(ax, name) for ax, name in zip(cells, MOMENTS, strict=True)]
    below.colorbar(shown[0], ax=cells, label="hoop stress / MPa")
    figure.savefig(path, dpi=300)


if comm.rank == 0:
    print(f"bore, manufactured  {bores[made] / MM:.6f} mm, Lekhnitskii {lekhnitskii / MM:.6f} mm")
    print(f"heat through        {passing / N:.5g} mW/mm, Kirchhoff {kirchhoff / N:.5g} mW/mm")
    print(f"bore, grown         {1e3 * (bores[-1] - bores[made]) / MM:.4f} µm in service")
    rcParams.update({"font.size": 8, "axes.titlesize": 9})
    draw(arguments.output / "hot_composite.png")
    print(f"picture             {arguments.output / 'hot_composite.png'}")

assert abs(bores[made] - lekhnitskii) < 1e-6 * abs(lekhnitskii)
assert abs(passing - kirchhoff) < 1e-3 * kirchhoff
assert bores[-1] - bores[made] > 1e-3 * MM
