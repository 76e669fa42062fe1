# %% [markdown]
# # Particles that swell in a matrix
#
# A strip of an electrode is charged through its upper side. Its particles take up the solute and swell, the
# binder around them does not: as the solute comes in, the strip bends away from it, and straightens again
# when all of it is charged. The stress of the particles in their matrix keeps a part of the solute out.
#
#     mpiexec -n 2 python demos/demo_swelling_particle.py
#
# At the end the strip is free of stress as a whole, and its length is held against Levin's theorem, which is
# exact for two phases whatever their geometry.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $u,\ \mu$ | displacement, chemical potential of the solute | m, J/mol |
# | $\sigma$ | stress, mean over the cell | Pa |
# | $c$ | concentration, likewise | mol/m³ |
# | $j$ | solute flux with the opposite sign, likewise | mol/(m² s) |
# | $\Omega$ | partial molar volume of the solute in a particle | m³/mol |
# | $h,\ L$ | thickness and length of the strip | m |
#
# Find $u$ and $\mu$ with
#
# $$ \int_\Omega \sigma : \varepsilon(v) + \frac{c - c_n}{\Delta t}\,q + j\cdot\nabla q\,\mathrm{d}x = 0
#    \quad\text{for all } v, q. $$

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

parser = argparse.ArgumentParser(description="Particles that swell in a matrix.")
parser.add_argument(
    "--output", type=Path, default=Path("results/swelling_particle"), help="folder for the results"
)
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("PA", "M"),
    default=(1.0, 1.0),
    help="a pascal and a metre in the units to compute in: 1e-6 1e3 for MPa and mm",
)
arguments = parser.parse_args()
PA, M = arguments.units
comm = MPI.COMM_WORLD

# %% [markdown]
# ## The cell
#
# A round particle of graphite, three tenths of the area, in a binder that hardly holds any solute.

# %%
PIXELS = 12
centres = (np.arange(PIXELS) + 0.5) / PIXELS - 0.5
IMAGE = (np.hypot(*np.meshgrid(centres, centres)) < 0.31).astype(int)
TEMPERATURE, CHARGE = 300.0, 1e-3  # the potential rises by a thousandth of RT: what follows is linear in it
GAS = 8.31446261815324 * PA * M**3  # J/K
RT = GAS * TEMPERATURE
PARTICLE = {
    "young": 15e9 * PA,
    "poisson": 0.3,
    "molar_volume": 4.2e-6 * M**3,
    "reference_concentration": 1.5e4 / M**3,
}
BINDER = {
    "young": 2e9 * PA,
    "poisson": 0.35,
    "molar_volume": 0.0,
    "reference_concentration": 10.0 / M**3,
}
GIVEN = {"temperature": TEMPERATURE, "gas_constant": GAS}
cell = fe2.image_cell(IMAGE, {"binder": 0, "particle": 1})
rve = fe2.chemomechanics(
    cell,
    {
        "particle": fe2.Chemoelastic(**PARTICLE, diffusivity=1e-14 * M**2, **GIVEN),
        "binder": fe2.Chemoelastic(**BINDER, diffusivity=1e-11 * M**2, **GIVEN),
    },
)
found = rve.homogenize()

# %% [markdown]
# ## The strip
#
# It may slide along its left end, where it is cut by symmetry. Biquadratic displacements do not lock in
# bending; they want nine points in an element, or they have modes without any strain there.

# %%
LENGTH, HEIGHT = 80e-6 * M, 20e-6 * M
domain = mesh.create_rectangle(comm, [[0.0, 0.0], [LENGTH, HEIGHT]], [3, 3], mesh.CellType.quadrilateral)
V, W = fem.functionspace(domain, ("Lagrange", 2, (2,))), fem.functionspace(domain, ("Lagrange", 1))
u, mu = fem.Function(V, name="u"), fem.Function(W, name="mu")
v, q = ufl.TestFunction(V), ufl.TestFunction(W)
blocks = {
    "strain": fe2.strain(u),
    "chemical_potential": mu,
    "chemical_potential_gradient": ufl.grad(mu),
}
law = fe2.HomogenizedLaw(blocks, rve, quadrature_degree=4)
F_u = ufl.dot(law["stress"], fe2.strain(v)) * law.dx
F_mu = (law.rate("concentration") * q + ufl.dot(law["solute_flux"], ufl.grad(q))) * law.dx
left = fem.locate_dofs_geometrical(
    (V.sub(0), V.sub(0).collapse()[0]), lambda x: np.isclose(x[0], 0.0, atol=1e-9 * LENGTH)
)[0]
corner = fem.locate_dofs_geometrical(
    (V.sub(1), V.sub(1).collapse()[0]), lambda x: np.hypot(x[0], x[1]) < 1e-9 * LENGTH
)[0]
top = fem.locate_dofs_geometrical(W, lambda x: np.isclose(x[1], HEIGHT, atol=1e-9 * LENGTH))
charged = fem.dirichletbc(fem.Constant(domain, CHARGE * RT), top, W)
zero = fem.Constant(domain, 0.0)
bcs = [fem.dirichletbc(zero, left, V.sub(0)), fem.dirichletbc(zero, corner, V.sub(1)), charged]
problem = fe2.MacroProblem([F_u, F_mu], [u, mu], law, bcs=bcs)

# %% [markdown]
# ## Charging
#
# The solute comes in within $h^2/D$ with the effective diffusivity of the cell.

# %%
diffusion_time = HEIGHT**2 / found.properties["diffusivity"][1][1]
times = np.concatenate([[0.0], np.geomspace(4e-3, 8.0, 12)]) * diffusion_time
heights, lengths = [0.0], [0.0]


def displacement(x: float, y: float, component: int) -> float:
    """Of a corner of the strip; collective."""
    at = fem.locate_dofs_geometrical(
        V, lambda p: np.isclose(p[0], x, atol=1e-9 * LENGTH) & np.isclose(p[1], y, atol=1e-9 * LENGTH)
    )
    own = at[at < V.dofmap.index_map.size_local]
    return float(comm.allreduce(u.x.array[2 * own + component].sum()))


def take_note(time: float) -> None:
    heights.append(displacement(LENGTH, 0.0, 1))
    lengths.append(displacement(LENGTH, 0.0, 0))


simulation = fe2.Simulation(
    problem,
    fe2.LoadSteps(times, lambda time: None),
    output=arguments.output,
    observers=[take_note],
    overwrite=True,
)
simulation.run()

# %% [markdown]
# ## What it is held against
#
# At a constant potential a phase is an elastic solid with the compliance
# $S + \frac{c}{RT}\frac{\Omega^2}{9}\,1 \otimes 1$ and the strain $\alpha\,\mu$ with
# $\alpha = \frac{c}{RT}\frac{\Omega}{3}\,1$ (Larché & Cahn 1973). Of two such phases the strain
# without stress is (Levin, Mech. Solids 2 (1967), 58–61)
#
# $$ \alpha^* = \langle\alpha\rangle + (\alpha_1 - \alpha_2) : (S_1 - S_2)^{-1} : (S^* - \langle S\rangle) $$
#
# with the compliances in the plane.


# %%
def in_plane(material: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Compliance and strain for each unit of potential of a phase, in the plane, in Mandel components."""
    unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    capacity, swelling = material["reference_concentration"] / RT, material["molar_volume"] / 3.0
    S = np.linalg.inv(fe2.LinearElastic.isotropic(material["young"], material["poisson"]).stiffness)
    C = np.linalg.inv(S + capacity * swelling**2 * np.outer(unit, unit))
    plane = [0, 1, 5]
    compliance = np.linalg.inv(C[np.ix_(plane, plane)])
    return compliance, compliance @ (C @ (capacity * swelling * unit))[plane]


(S1, alpha1), (S2, alpha2) = in_plane(PARTICLE), in_plane(BINDER)
share = cell.volume_fractions["particle"]
effective = np.linalg.inv(found.tangent[:3, :3])
mean = share * S1 + (1.0 - share) * S2
alpha = share * alpha1 + (1.0 - share) * alpha2
alpha = alpha + np.linalg.solve(S1 - S2, alpha1 - alpha2) @ (effective - mean)
expected, reached = alpha[0] * CHARGE * RT * LENGTH, lengths[-1]

PM = 1e-12 * M
if comm.rank == 0:
    print(f"longer by           {reached / PM:.5g} pm, Levin {expected / PM:.5g} pm")
    print(f"bent at most by     {np.abs(heights).max() / PM:.5g} pm")
    figure, (curves, picture) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
    scaled, bent, longer = times[1:] / diffusion_time, np.array(heights[1:]) / PM, np.array(lengths[1:]) / PM
    curves.semilogx(scaled, bent, marker=".", color="#b03a2e", label="deflection of the tip")
    curves.semilogx(scaled, longer, marker=".", color="#1f4e79", label="elongation")
    curves.axhline(expected / PM, color="#999999", linestyle="--", label="elongation, Levin")
    curves.set(xlabel="time ($h^2/D$)", ylabel="displacement (pm)")
    curves.legend(frameon=False, loc="lower right")
    state, full = rve.initial_state(), rve.initial_state()
    change = np.array([*(alpha * CHARGE * RT), CHARGE * RT, 0.0, 0.0])
    rve.solve(rve.kinematics.origin + change, state, 1.0, full)
    local = rve.fields(full)
    pressure = -local.cell_data["stress"][:, :3].mean(axis=1) / (1e3 * PA)
    middles = local.points[local.connectivity.reshape(-1, 5)[:, 1:], :2].mean(axis=1)
    order = np.lexsort(np.round(middles.T, 6))
    shown = picture.imshow(pressure[order].reshape(PIXELS, PIXELS), origin="lower", cmap="cividis")
    figure.colorbar(shown, ax=picture, label="pressure in the charged cell (kPa)")
    picture.set(xticks=[], yticks=[])
    figure.savefig(arguments.output / "swelling_particle.png", dpi=150)
    print(f"picture             {arguments.output / 'swelling_particle.png'}")

assert abs(reached - expected) < 2e-3 * expected
assert np.abs(heights).max() > 5.0 * abs(heights[-1])
