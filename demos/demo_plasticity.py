# %% [markdown]
# # A perforated plate of an elastoplastic composite
#
# A thick square plate with a round hole is pulled, unloaded, pushed, and pulled again. It is made of a
# magnesium alloy with long ceramic fibres perpendicular to its plane. The fibres are thin compared with the
# hole. No formula is known for the stress in such a material: at each quadrature point of the plate a
# periodic cell with one fibre is solved, while the plate is being solved.
#
#     mpiexec -n 2 python demos/demo_plasticity.py
#
# Five statements stand at the end. Four are exact and hold to the tolerance of the solvers; one is an exact
# result of limit analysis, which the plate approaches.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $u$ | displacement of the plate | mm |
# | $\bar\varepsilon,\ \bar\sigma$ | strain and stress of the plate: gradient and flux | –, MPa |
# | $\varepsilon,\ \sigma$ | strain and stress inside a cell | –, MPa |
# | $\varepsilon_p,\ p$ | plastic strain inside a cell and the length of its path | – |
# | $\psi,\ w$ | elastic energy and plastic work inside a cell | MPa |
# | $\langle\cdot\rangle$ | volume average over a cell | |
# | $\Omega$, $Y$ | quarter of the plate, cell | mm² |
# | $U$, $F$ | displacement of the grip, force on it for each millimetre of thickness | mm, N/mm |
#
# Find $u$ with $\int_\Omega \bar\sigma : \bar\varepsilon(v)\,\mathrm{d}x = 0$ for all $v$, where the stress
# $\bar\sigma = \langle\sigma\rangle$ at a point is the answer of its cell to the history of the strain
# $\bar\varepsilon(u)$ there.

# %%
from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import basix.ufl
import numpy as np
import ufl
from dolfinx import fem
from fe2_meshes.perforated_plate import perforated_plate
from fe2_meshes.square_array import square_array
from mpi4py import MPI
from ufl.core.expr import Expr

from fe2.io.gmsh_mesh import read_mesh
from fe2.io.pictures import draw_run
from fe2.io.results import read_history
from fe2.stiffness import bulk_modulus, shear_modulus

parser = argparse.ArgumentParser(description="A perforated plate of an elastoplastic composite.")
parser.add_argument("--output", type=Path, default=Path("results/plasticity"), help="folder for the results")
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

# %% [markdown]
# ## The two meshes
#
# A quarter of the plate, 20 mm wide and high, with a hole of radius 4 mm; and a square array of fibres with
# a volume fraction of 30 %. Elements have curved edges where there is a circle. The cell's period $a$ is 1
# in any unit of length, for only averages leave it.

# %%
RADIUS, HALF_WIDTH = 4.0 * MM, 10.0 * MM
if comm.rank == 0:
    folder.mkdir(parents=True, exist_ok=True)
    perforated_plate(
        folder / "plate.msh",
        width=2 * HALF_WIDTH,
        height=2 * HALF_WIDTH,
        radius=RADIUS,
        size=4.0 * MM,
        hole_size=1.6 * MM,
        order=2,
    )
    square_array(folder / "cell.msh", fraction=0.3, size=0.1)
comm.barrier()
plate = read_mesh(folder / "plate.msh")
cell = fe2.read_cell(folder / "cell.msh")

# %% [markdown]
# ## The phases
#
# The matrix is von Mises plasticity with linear kinematic hardening of 1 % of Young's modulus, the fibre is
# elastic and ten times as stiff. For the balance of energy each phase also keeps an account of what is
# done to it. `fe2` integrates history variables, averages them over the cell and writes them out, whatever
# they mean, so an account is a history variable more. From one step to the next, $\sigma_0 \to \sigma_1$,
#
# $$ \psi_1 = \tfrac12\,\varepsilon^e_1 : C : \varepsilon^e_1, \qquad
#    w_1 = w_0 + \tfrac12 (\sigma_0 + \sigma_1) : \Delta\varepsilon_p $$
#
# are the elastic energy and the plastic work. The trapezium loses nothing:
# $\tfrac12 (\sigma_0 + \sigma_1) : \Delta\varepsilon = \psi_1 - \psi_0 + w_1 - w_0$ for steps of any size.


# %%
class Matrix(fe2.J2Plasticity):
    """J2 plasticity that keeps an account of its energy."""

    def history(self, size: int) -> dict[str, int]:
        return {**super().history(size), "elastic_strain": size, "elastic_energy": 1, "plastic_work": 1}

    def stress(self, elastic_strain: Expr) -> Expr:
        bulk, shear = bulk_modulus(self.young, self.poisson), shear_modulus(self.young, self.poisson)
        trace = elastic_strain[0] + elastic_strain[1] + elastic_strain[2]
        identity = ufl.as_vector([1.0, 1.0, 1.0] + [0.0] * (elastic_strain.ufl_shape[0] - 3))
        return (bulk - 2.0 / 3.0 * shear) * trace * identity + 2.0 * shear * elastic_strain

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        new = super().update(gradient, history, dt)
        elastic_strain = gradient - new["plastic_strain"]
        before, after = self.stress(history["elastic_strain"]), self.stress(elastic_strain)
        flow = new["plastic_strain"] - history["plastic_strain"]
        return {
            **new,
            "elastic_strain": elastic_strain,
            "elastic_energy": 0.5 * ufl.dot(after, elastic_strain),
            "plastic_work": history["plastic_work"] + 0.5 * ufl.dot(before + after, flow),
        }


class Fibre(fe2.LinearElastic):
    """Linear elasticity that keeps an account of its energy."""

    def history(self, size: int) -> dict[str, int]:
        return {"elastic_energy": 1}

    def update(self, gradient: Expr, history: Mapping[str, Expr], dt: Expr) -> dict[str, Expr]:
        return {"elastic_energy": 0.5 * ufl.dot(self.flux(gradient, history, dt), gradient)}


YOUNG, YIELD_STRESS = 45e3 * MPA, 150.0 * MPA
matrix = Matrix(young=YOUNG, poisson=0.3, yield_stress=YIELD_STRESS, kinematic_hardening=0.01 * YOUNG)
fibre = Fibre.isotropic(young=10 * YOUNG, poisson=0.3)
rve = fe2.small_strain(cell, {"matrix": matrix, "fibre": fibre}, degree=2)

# %% [markdown]
# ## The plate
#
# Symmetry holds the left side in $x$ and the bottom in $y$; a grip moves the right side in $x$. The form is
# written as for any other material. The law takes whatever answers a strain, so the same function builds
# the plate with the cell and, further down, with the cell's linearization.


# %%
def build(micro: fe2.MicroModel) -> tuple[fe2.MacroProblem, fem.Constant, dict[str, fem.DirichletBC]]:
    """The plate with a micro model at its quadrature points, the displacement of its grip, its supports."""
    V = fem.functionspace(plate.mesh, ("Lagrange", 2, (2,)))
    u, v = fem.Function(V, name="displacement"), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), micro, quadrature_degree=2)
    pull = fem.Constant(plate.mesh, 0.0)

    def support(name: str, axis: int, value: float | fem.Constant) -> fem.DirichletBC:
        facets = plate.facet_tags.find(plate.facet_names[name])
        return fem.dirichletbc(value, fem.locate_dofs_topological(V.sub(axis), 1, facets), V.sub(axis))

    supports = {
        "left": support("left", 0, 0.0),
        "bottom": support("bottom", 1, 0.0),
        "grip": support("right", 0, pull),
    }
    form = ufl.dot(law.flux, fe2.strain(v)) * law.dx
    return fe2.MacroProblem(form, u, law, bcs=list(supports.values())), pull, supports


problem, pull, supports = build(rve)
law = problem.laws[0]

# %% [markdown]
# An integral over both scales, $\int_\Omega \langle h \rangle\,\mathrm{d}x$, of a history variable $h$: its
# averages become a quadrature function, and that is integrated over the plate.

# %%
Q = fem.functionspace(plate.mesh, basix.ufl.quadrature_element(plate.mesh.basix_cell(), degree=2))
density = fem.Function(Q)
integral_of_density = fem.form(density * law.dx)


def total(name: str) -> float:
    """Integral over the plate of a history variable's averages; collective."""
    density.x.array[Q.dofmap.list[law.cells].reshape(-1)] = rve.averages(law.pool.states)[name][:, 0]
    return comm.allreduce(fem.assemble_scalar(integral_of_density))


# %% [markdown]
# ## The load cycle
#
# The grip moves to $U_{max}$, back beyond zero, and to $U_{max}$ again. The first step is small enough to be
# elastic, and so is the first one after each reversal.

# %%
U_MAX = 0.03 * MM
REVERSALS = (1.0, 2.0)
cycle = fe2.ramp([(0.0, 0.0), (1.0, U_MAX), (2.0, -0.5 * U_MAX), (3.0, U_MAX)])
times = [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0, 1.1, 1.4, 1.6, 1.8, 2.0, 2.1, 2.4, 2.6, 2.8, 3.0]


def move_grip(time: float) -> None:
    pull.value = cycle(time)


simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(times, move_grip),
    output=folder,
    overwrite=True,
    reactions=supports,
    loads={
        "displacement": pull,
        "elastic_energy": lambda: total("elastic_energy"),
        "plastic_work": lambda: total("plastic_work"),
    },
)
summary = simulation.run()

# %% [markdown]
# ## Figure
#
# The hottest point is where the plastic strain, averaged over the cell, is largest. Its state holds the
# fluctuation and the history, so its local fields are rebuilt without solving anything again.


# %%
def unit(name: str, size: float) -> str:
    """The unit of an axis for which `size` is one of the named units."""
    return name if size == 1.0 else f"{1.0 / size:g} {name}"


states = law.pool.states  # on all ranks: points may have moved to other ranks
plastic_strain = rve.averages(states)["equivalent_plastic_strain"][:, 0]
_, owner = comm.allreduce((plastic_strain.max(initial=-1.0), comm.rank), op=MPI.MAXLOC)
place, local = None, None
if comm.rank == owner:
    hottest = plastic_strain.argmax()
    place, local = law.coordinates()[hottest], rve.fields(states[hottest])
place = comm.bcast(place, root=owner)
picture = draw_run(
    folder,
    folder / "plasticity.png",
    field="equivalent_plastic_strain",
    local=local,
    local_field="equivalent_plastic_strain",
    at=place,
    history=("displacement", "grip_x"),
    labels={
        "x": f"x ({unit('mm', MM)})",
        "y": f"y ({unit('mm', MM)})",
        "equivalent_plastic_strain": "plastic strain ⟨p⟩, mean over the RVE",
        "local x": "x / a",
        "local y": "y / a",
        "local equivalent_plastic_strain": "plastic strain p",
        "history": "force and displacement",
        "displacement": f"displacement of the grip U ({unit('mm', MM)})",
        "grip_x": f"force on the grip F ({unit('N/mm', MPA * MM)})",
    },
)

# %% [markdown]
# ## What has to hold
#
# **Elastic slope.** The first step is elastic, and in it the concurrent computation is the hierarchical one:
# the same plate with `rve.linearized()`, the constant tangent of the virgin cell.
#
# **Unloading.** After a reversal of the load every point of both scales is elastic again, whatever its
# plastic strain: the slope of the curve is that of the first step.
#
# **Energy.** The grip's work is the elastic energy and the plastic work of all phases in all cells,
#
# $$ \int F\,\mathrm{d}U
#    = \int_\Omega \langle\psi\rangle\,\mathrm{d}x + \int_\Omega \langle w\rangle\,\mathrm{d}x, $$
#
# with the trapezium on the left. It follows from equilibrium of the plate, from the Hill–Mandel condition
# $\langle\sigma : \varepsilon\rangle = \bar\sigma : \bar\varepsilon$ in every cell (Hill 1972; Mandel 1972)
# and the phases' accounts, for steps of any size. A flux that is not the work conjugate of its gradient,
# a history that is committed once too often or a wrong weight of a quadrature point would break it.
#
# **Equilibrium.** The plane of symmetry pulls as much as the grip does. Nothing pulls at the bottom, since
# the top is free.

# %%
history = read_history(folder)
start = np.append(0.0, history["time"][:-1])  # of each step
U, F = np.append(0.0, history["displacement"]), np.append(0.0, history["grip_x"])
slopes = np.diff(F) / np.diff(U)
unloading_slopes = slopes[np.isin(start, REVERSALS)]
work = np.cumsum(0.5 * (F[1:] + F[:-1]) * np.diff(U))
energy = history["elastic_energy"] + history["plastic_work"]

linear, linear_pull, linear_supports = build(rve.linearized())
linear_pull.value = U_MAX
linear.solve()
elastic_slope = linear.reaction(linear_supports["grip"])[0] / U_MAX

# %% [markdown]
# **Limit load.** Without hardening the force has a limit that is known exactly, because two bounds on it
# are equal (theorems: Drucker, Prager & Greenberg 1952). From below: plane-strain tension $2k$,
# $k = \sigma_y / \sqrt3$, in the straight strip beside the hole and no stress elsewhere is in equilibrium,
# and neither matrix nor fibres object. From above: the plate slides along a line at 45° from the edge of
# the hole, and so does the matrix of every cell there, because 30 % of fibres in a square array leave a
# straight gap beside their diagonals: $a / \sqrt2 > 2 r$ for fibres of radius $r$. With half the height $h$
# and the hole's radius $R$ both give
#
# $$ F_L = 2 k\,(h - R). $$
#
# So these fibres do not strengthen the plate at all. Finite elements come from above: with $H/E = 10^{-4}$
# the force at $U = 0.05$ mm is 1.04 $F_L$, and 1.02 $F_L$ with elements half as large in the cell.
# Hardening adds a few hundredths, so the largest force of the cycle has to be above $F_L$, by less than a
# tenth.

# %%
limit_load = 2.0 / np.sqrt(3.0) * YIELD_STRESS * (HALF_WIDTH - RADIUS)
slope_error = abs(slopes[0] / elastic_slope - 1.0)
unloading_error = np.max(np.abs(unloading_slopes / elastic_slope - 1.0))
energy_error = np.max(np.abs(energy / work - 1.0))

if comm.rank == 0:
    print(f"elastic slope  {slopes[0] / MPA:12.6f} N/mm², the hierarchical one to {slope_error:.1e}")
    print(
        f"unloading      {unloading_slopes[0] / MPA:12.6f} N/mm², the elastic slope to {unloading_error:.1e}"
    )
    print(f"work           {work[-1] / (MPA * MM**2):12.6f} N, energy and plastic work to {energy_error:.1e}")
    largest, limit = F.max() / (MPA * MM), limit_load / (MPA * MM)
    print(f"largest force  {largest:12.6f} N/mm, {largest / limit:.3f} of the limit load {limit:.6f} N/mm of")
    print(" " * 28 + "the plate without hardening: hardening and finite elements exceed it")
    print(
        f"micro solves   {summary.micro_solves / summary.seconds:12.1f} per second on all ranks ({comm.size})"
    )
    print(f"results        {folder}")
    print(f"picture        {picture}")

assert slope_error < 1e-8
assert unloading_error < 1e-8
assert energy_error < 1e-8
assert np.all(np.abs(history["grip_x"] + history["left_x"]) < 1e-7 * F.max())
assert np.all(np.abs(history["bottom_y"]) < 1e-7 * F.max())
assert 1.0 < F.max() / limit_load < 1.1
