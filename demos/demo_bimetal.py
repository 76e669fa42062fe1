# %% [markdown]
# # A bimetal that bends while heat runs through it
#
# A strip of two layers is clamped at one end and heated there. The lower layer is a composite of aluminium
# and ceramic fibres, which expands little, the upper one is aluminium. As the heat runs along the strip it
# bends. Displacement and temperature are found together: the temperature strains the phases of the cells, and
# straining them takes or gives heat.
#
#     mpiexec -n 2 python demos/demo_bimetal.py
#
# At the end, when the whole strip is warm, its curvature is held against Timoshenko's formula of 1925 with
# the effective properties of the cell, and the heat that came in against the entropy that the strip holds.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $u,\ T$ | displacement, absolute temperature | mm, K |
# | $\sigma$ | stress, mean over the cell | MPa |
# | $\eta$ | entropy, likewise | mJ/(mm³ K) |
# | $s$ | heat flux with the opposite sign, likewise | mW/mm² |
# | $T_0$ | temperature at which nothing is under stress | K |
# | $\alpha$ | coefficient of thermal expansion | 1/K |
# | $h,\ L$ | thickness of a layer, length of the strip | mm |
#
# Find $u$ and $T$ with
#
# $$ \int_\Omega \sigma : \varepsilon(v) + T_0 \frac{\eta - \eta_n}{\Delta t}\,q + s\cdot\nabla q\,\mathrm{d}x
#    = 0 \quad\text{for all } v, q. $$
#
# The cells give $\sigma$, $\eta$ and $s$ from strain, temperature and temperature gradient, with all nine
# parts of their tangent.

# %%
from __future__ import annotations

import argparse
from pathlib import Path

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import matplotlib.pyplot as plt
import numpy as np
import ufl
from dolfinx import fem, mesh
from mpi4py import MPI

parser = argparse.ArgumentParser(description="A bimetal that bends while heat runs through it.")
parser.add_argument("--output", type=Path, default=Path("results/bimetal"), help="folder for the results")
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
MPA, MW = N / MM**2, N * MM  # mW = N mm / s
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# A square fibre in a square cell, a quarter of its area; both phases are linear, so one factorization
# serves all points and steps.

# %%
T0, HOT = 293.15, 393.15
PIXELS = np.zeros((8, 8), dtype=int)
PIXELS[2:6, 2:6] = 1
aluminium = fe2.thermoelastic(70e3 * MPA, 0.33, 23e-6, 237.0 * MW / MM, 2.4 * MPA)
ceramic = fe2.thermoelastic(380e3 * MPA, 0.22, 8e-6, 30.0 * MW / MM, 3.2 * MPA)
composite = fe2.thermoelasticity(
    fe2.image_cell(PIXELS, {"matrix": 0, "fibre": 1}),
    {"matrix": aluminium, "fibre": ceramic},
    reference_temperature=T0,
)
plain = fe2.thermoelasticity(
    fe2.image_cell(np.zeros((3, 3), dtype=int), {"matrix": 0}),
    {"matrix": aluminium},
    reference_temperature=T0,
)

# %% [markdown]
# ## The strip
#
# Biquadratic displacements do not lock in bending; temperatures are bilinear.

# %%
LENGTH, LAYER = 20.0 * MM, 0.5 * MM
domain = mesh.create_rectangle(comm, [[0.0, -LAYER], [LENGTH, LAYER]], [40, 4], mesh.CellType.quadrilateral)
cells = np.arange(
    domain.topology.index_map(2).size_local + domain.topology.index_map(2).num_ghosts, dtype=np.int32
)
upper = mesh.compute_midpoints(domain, 2, cells)[:, 1] > 0.0
layers = mesh.meshtags(domain, 2, cells, upper.astype(np.int32))
V, W = fem.functionspace(domain, ("Lagrange", 2, (2,))), fem.functionspace(domain, ("Lagrange", 1))
u, T = fem.Function(V, name="u"), fem.Function(W, name="T")
v, q = ufl.TestFunction(V), ufl.TestFunction(W)
T.x.array[:] = T0

blocks = {"strain": fe2.strain(u), "temperature": T, "temperature_gradient": ufl.grad(T)}
laws = [
    fe2.HomogenizedLaw(blocks, micro, quadrature_degree=4, subdomains=layers, subdomain=tag)
    for tag, micro in enumerate((composite, plain))
]
F_u = sum(ufl.dot(law["stress"], fe2.strain(v)) * law.dx for law in laws)
F_T = sum((T0 * law.rate("entropy") * q + ufl.dot(law["heat_flux"], ufl.grad(q))) * law.dx for law in laws)


def clamped(x):
    return np.isclose(x[0], 0.0)


facets = mesh.locate_entities_boundary(domain, 1, clamped)
heated = fem.dirichletbc(fem.Constant(domain, HOT), fem.locate_dofs_topological(W, 1, facets), W)
held = fem.dirichletbc(np.zeros(2), fem.locate_dofs_topological(V, 1, facets), V)
problem = fe2.MacroProblem([F_u, F_T], [u, T], laws, bcs=[held, heated])

# %% [markdown]
# ## Heating
#
# Heat runs through the strip in $L^2 c / k$, some four seconds. What comes in through the clamped end is the
# reaction of the temperature there.

# %%
received, reached, tips = [0.0], [0.0], [0.0]


def deflection(x: float) -> float:
    """Vertical displacement of the middle of the strip; collective."""
    at = fem.locate_dofs_geometrical(V, lambda p: np.isclose(p[0], x) & np.isclose(p[1], 0.0))
    return float(comm.allreduce(sum(u.x.array[2 * at[at < V.dofmap.index_map.size_local] + 1])))


def take_note(time: float) -> None:
    """Heat that came in during a step, by backward Euler, and how far the tip is."""
    received.append((time - reached[-1]) * float(problem.reaction(heated)[0]))
    reached.append(time)
    tips.append(deflection(LENGTH))


times = np.concatenate([[0.0], np.geomspace(0.02, 60.0, 25)])
simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(times, lambda time: None),
    output=arguments.output,
    reactions={"clamp": held},
    observers=[take_note],
    overwrite=True,
)
simulation.run()

# %% [markdown]
# ## What it is held against
#
# Timoshenko (J. Opt. Soc. Am. 11 (1925), 233–255), for two layers of the thickness h in plane strain:
#
# $$ \kappa = \frac{24\,(\alpha_2 - \alpha_1)\,\Delta T}{2h\,\big(12 + (1 + n)(1 + 1/n)\big)}, \qquad
#    n = E_1 / E_2, $$
#
# with $E = 1/S_{11}$ and $\alpha$ of the effective properties in the plane.


# %%
def along_x(rve: fe2.RVE) -> tuple[float, float]:
    """Modulus and expansion along the strip."""
    found = rve.homogenize()
    stiffness = rve.kinematics.by_block(found.effective)["stress"]["strain"]
    return 1.0 / np.linalg.inv(stiffness)[0, 0], found.properties["expansion"][0]


(E1, alpha1), (E2, alpha2) = along_x(composite), along_x(plain)
n = E1 / E2
expected = 24.0 * (alpha2 - alpha1) * (HOT - T0) / (2.0 * LAYER * (12.0 + (1.0 + n) * (1.0 + 1.0 / n)))
near, middle, far = (deflection(part * LENGTH) for part in (0.25, 0.5, 0.75))
curvature = -(near - 2.0 * middle + far) / (LENGTH / 4.0) ** 2
densities = [fem.form(law["entropy"] * law.dx) for law in laws]
stored = T0 * comm.allreduce(sum(fem.assemble_scalar(density) for density in densities))

if comm.rank == 0:
    heat = N  # a unit of thickness: mJ/mm
    print(f"curvature           {curvature * MM:.6g} 1/mm, Timoshenko {expected * MM:.6g} 1/mm")
    print(f"heat received       {sum(received) / heat:.8g} mJ/mm, held {stored / heat:.8g} mJ/mm")
    print(f"deflection of the tip {tips[-1] / MM:.5g} mm")
    figure, axes = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
    axes.semilogx(reached[1:], np.array(tips[1:]) / MM, marker=".", color="#1f4e79")
    axes.axhline(-0.5 * expected * LENGTH**2 / MM, color="#999999", linestyle="--", label="Timoshenko, warm")
    axes.set(xlabel="time (s)", ylabel="deflection of the tip (mm)")
    axes.legend(frameon=False)
    figure.savefig(arguments.output / "bimetal.png", dpi=150)
    print(f"picture             {arguments.output / 'bimetal.png'}")

assert abs(curvature - expected) < 1e-4 * expected
assert abs(sum(received) - stored) < 1e-7 * stored
