# %% [markdown]
# # Solved beforehand: a perforated plate three times
#
# The perforated plate of a fibre composite of `demo_plasticity.py` is pulled, unloaded and pushed, with three
# micro models at its quadrature points, which differ in one argument:
#
# - **concurrent**: the whole cell;
# - **reduced**: modes and a few mesh cells of it, trained beforehand, with an estimate of the error; where
#   that exceeds one per cent, or the trained range ends, the whole cell is solved;
# - **linearized**: the constant tangent of the virgin cell.
#
# ```
# python demos/demo_hierarchical.py
# ```
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $\bar\varepsilon,\ \bar\sigma$ | strain and stress of the plate | –, MPa |
# | $\langle p \rangle$ | mean of the equivalent plastic strain over a cell | – |
# | $\eta$ | estimated error of $\bar\sigma$ at a point | MPa |
# | $U,\ F$ | displacement of the grip, force on it for each millimetre of thickness | mm, N/mm |

# %%
from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fe2  # isort: skip  # before DOLFINx: it orders the libraries that both load

import matplotlib.pyplot as plt
import numpy as np
import ufl
from dolfinx import fem
from fe2_meshes.perforated_plate import perforated_plate
from fe2_meshes.square_array import square_array
from matplotlib.tri import Triangulation

from fe2.hierarchical.paths import cyclic, random_walks
from fe2.hierarchical.solved_path import solve_path
from fe2.io.gmsh_mesh import read_mesh

parser = argparse.ArgumentParser(description="A perforated plate: concurrent, reduced, linearized.")
parser.add_argument("--output", type=Path, default=Path("results/hierarchical"), help="folder of results")
parser.add_argument("--size", type=float, default=0.05, help="size of the cell's elements, period 1")
parser.add_argument("--plate-size", type=float, default=1.6, help="size of elements at the hole, mm")
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("MM", "MPA"),
    default=(1.0, 1.0),
    help="a mm and an MPa in the units to compute in: 1e-3 1e6 for m and Pa",
)
arguments = parser.parse_args()
MM, MPA = arguments.units
folder: Path = arguments.output
folder.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## Plate and cell
#
# A quarter of a plate, 20 mm wide and high, with a hole of radius 4 mm; a matrix that hardens by 5 % of
# Young's modulus, and elastic fibres. Plastic flow keeps the volume, and linear triangles would lock: both
# meshes have quadratic ones.

# %%
perforated_plate(
    folder / "plate.msh",
    width=20.0 * MM,
    height=20.0 * MM,
    radius=4.0 * MM,
    size=2.5 * arguments.plate_size * MM,
    hole_size=arguments.plate_size * MM,
    order=2,
)
square_array(folder / "cell.msh", fraction=0.3, size=arguments.size)
plate, cell = read_mesh(folder / "plate.msh"), fe2.read_cell(folder / "cell.msh")

matrix = fe2.J2Plasticity(
    young=45e3 * MPA, poisson=0.3, yield_stress=150.0 * MPA, kinematic_hardening=2250.0 * MPA
)
fibre = fe2.LinearElastic.isotropic(young=450e3 * MPA, poisson=0.3)
rve = fe2.small_strain(cell, {"matrix": matrix, "fibre": fibre}, degree=2)

# %% [markdown]
# ## Training
#
# The strains of the plate are not known beforehand, but their size is: up to 1.2 %. Cycles along directions
# that cover the sphere evenly, and walks between points of the ball. Every fourth path is held out, to
# calibrate the estimate of the error.

# %%
AMPLITUDE = 0.012
start = time.perf_counter()
paths = cyclic(rve.kinematics, AMPLITUDE, count=24, steps=6, turns=(1.0, -0.6)) + random_walks(
    rve.kinematics, AMPLITUDE, count=12, corners=3, steps=4, seed=1
)
reduction = fe2.reduce(rve, paths, tolerance=0.02)
training_seconds = time.perf_counter() - start
fe2.save_reduction(reduction, folder / "cell.h5")
report = reduction.report

# %% [markdown]
# ## The same script, three micro models

# %%
U_MAX = 0.05 * MM
load = fe2.ramp([(0.0, 0.0), (1.0, U_MAX), (2.0, -0.4 * U_MAX)])
times = [0.0, 0.1, 0.4, 0.7, 1.0, 1.2, 1.6, 2.0]


@dataclass
class Result:
    """What is compared."""

    micro: Any
    law: Any = None
    seconds: float = 0.0
    forces: list[float] = field(default_factory=lambda: [0.0])
    fluxes: list[np.ndarray] = field(default_factory=list)
    estimates: list[np.ndarray] = field(default_factory=list)

    def average(self, name: str) -> np.ndarray:
        """A history variable's average at every point, zero where the model has none."""
        averages = self.micro.averages(self.law.pool.states)
        return averages[name][:, 0] if name in averages else np.zeros(len(self.law.pool.states))


def run(micro: Any) -> Result:
    """The load cycle with a micro model."""
    V = fem.functionspace(plate.mesh, ("Lagrange", 2, (2,)))
    u, v = fem.Function(V), ufl.TestFunction(V)
    law = fe2.HomogenizedLaw(fe2.strain(u), micro, quadrature_degree=2)
    pull = fem.Constant(plate.mesh, 0.0)

    def support(name: str, axis: int, value: float | fem.Constant) -> fem.DirichletBC:
        facets = plate.facet_tags.find(plate.facet_names[name])
        return fem.dirichletbc(value, fem.locate_dofs_topological(V.sub(axis), 1, facets), V.sub(axis))

    grip = support("right", 0, pull)
    bcs = [support("left", 0, 0.0), support("bottom", 1, 0.0), grip]
    problem = fe2.MacroProblem(ufl.dot(law.flux, fe2.strain(v)) * law.dx, u, law, bcs=bcs)
    result = Result(micro, law)

    def after_step(_: float) -> None:
        result.fluxes.append(law.flux.x.array.reshape(-1, 3).copy())
        if hasattr(micro, "estimates"):
            result.estimates.append(micro.estimates(law.pool.states))

    def apply(t: float) -> None:
        pull.value = load(t)

    steps = fe2.LoadSteps(times, apply)
    simulation = fe2.Simulation(problem, steps, reactions={"grip": grip}, observers=[after_step], quiet=True)
    begin = time.perf_counter()
    summary = simulation.run()
    result.seconds = time.perf_counter() - begin
    result.forces += [float(record.reactions["grip"][0]) for record in simulation.records]
    print(f"{type(micro).__name__:20} {result.seconds:8.2f} s  {summary.iterations} iterations")
    print(f"{'':20} {dict(summary.models)}")
    return result


results = {
    "concurrent": run(rve),
    "reduced": run(fe2.error_controlled(reduction, tolerance=0.01)),
    "linearized": run(rve.linearized()),
}
concurrent, reduced = results["concurrent"], results["reduced"]

# %% [markdown]
# ## Was the estimate right?
#
# The states of the reduced run hold their paths. The whole cell is taken along each: what it answers is the
# truth for the point, step by step.

# %%
true_errors = np.zeros((len(times) - 1, len(reduced.law.pool.states)))
for point, row in enumerate(reduced.law.pool.states):
    truth = solve_path(rve, reduced.micro.path(row))
    answers = np.array([fluxes[point] for fluxes in reduced.fluxes])
    true_errors[:, point] = np.linalg.norm(answers - truth.fluxes, axis=1)
# fluxes of a converged step are exact to the tolerance of the cells' solver
round_off = 1e-6 * reduction.flux_scale
bounded = float(np.mean(true_errors <= np.array(reduced.estimates) + round_off))

# %% [markdown]
# ## Figure

# %%
mesh = plate.mesh
triangles = Triangulation(*mesh.geometry.x[:, :2].T / MM, mesh.geometry.dofmaps[0][:, :3])
strains = {name: result.average("equivalent_plastic_strain") for name, result in results.items()}
figure, axes = plt.subplots(2, 3, figsize=(12.0, 7.4), constrained_layout=True)
for ax, (name, values) in zip(axes[0], strains.items(), strict=True):
    means = values.reshape(len(triangles.triangles), -1).mean(axis=1)
    image = ax.tripcolor(triangles, means, vmin=0.0, vmax=strains["concurrent"].max(), cmap="viridis")
    ax.set(title=f"{name}: plastic strain ⟨p⟩", aspect="equal", xlabel="x (mm)", ylabel="y (mm)")
figure.colorbar(image, ax=axes[0], shrink=0.8)
curve, bars, full = axes[1]
for (name, result), style in zip(results.items(), ("k-", "C1o", "C7--"), strict=True):
    points = np.array([load(t) for t in times]) / MM, np.array(result.forces) / (MPA * MM)
    curve.plot(*points, style, label=name, markerfacecolor="none")
curve.set(title="force and displacement", xlabel="displacement of the grip U (mm)", ylabel="F (N/mm)")
curve.set_ylim(1.6 * np.array([min(concurrent.forces), max(concurrent.forces)]) / (MPA * MM))
curve.legend()
solved_in_full = reduced.average("steps_solved_in_full").reshape(len(triangles.triangles), -1).max(axis=1)
colours = plt.get_cmap("magma_r", len(times))
image = full.tripcolor(triangles, solved_in_full, vmin=-0.5, vmax=len(times) - 0.5, cmap=colours)
full.set(title="reduced: steps solved in full", aspect="equal", xlabel="x (mm)", ylabel="y (mm)")
figure.colorbar(image, ax=full, shrink=0.8, ticks=range(len(times)))
seconds = [concurrent.seconds, training_seconds, reduced.seconds, results["linearized"].seconds]
drawn = bars.barh(["concurrent", "training", "reduced", "linearized"], seconds, color=["k", "C3", "C1", "C7"])
bars.bar_label(drawn, [f"{value:.3g} s" for value in seconds], padding=4)
bars.set(title="time of each", xlabel="s", xscale="log", xlim=(0.5 * min(seconds), 8.0 * max(seconds)))
bars.invert_yaxis()
figure.savefig(folder / "hierarchical.png", dpi=130)

# %% [markdown]
# ## What has to hold
#
# Reduced and concurrent run agree to one per cent of the largest force, and of the plastic strain at the
# hottest point; the estimate bounded the true error at 95 % of the points and steps, or more.

# %%
scale = np.abs(concurrent.forces).max()
force_error = np.abs(np.array(reduced.forces) - concurrent.forces).max() / scale
hottest = int(np.argmax(strains["concurrent"]))
strain_error = abs(strains["reduced"][hottest] / strains["concurrent"][hottest] - 1.0)
print(f"cell           {rve.unknowns} unknowns, {report.all_cells} mesh cells")
print(f"reduced cell   {report.modes} modes, {report.cells} mesh cells, {report.solves} solves of training")
print(f"held out       {report.held_out_error:.2e} of the largest stress")
print(f"forces         agree to {force_error:.2e}")
print(f"hottest point  plastic strain {strains['concurrent'][hottest]:.5f}, agrees to {strain_error:.2e}")
print(f"estimate       bounded {100 * bounded:.1f} % of the true errors")
print(f"picture        {folder / 'hierarchical.png'}")

assert force_error < 0.01
assert strain_error < 0.01
assert bounded >= 0.95
