# %% [markdown]
# # The elasticity of a polycrystal, one law for all of its grains
#
# Copper crystals are stiff along some directions and soft along others: along their axes Young's modulus is a
# third of that along the diagonals. A piece of copper is a polycrystal of many grains, each turned another
# way, and nearly isotropic. How stiff is it, and how many grains does it take until it is isotropic?
#
#     python demos/demo_polycrystal.py
#     python demos/demo_polycrystal.py --voxels 48 --grains 8 64 512 --samples 5
#
# Each grain has the same law with an orientation of its own: a field of materials. A phase for each grain
# would be an integral for each; here 216 grains are one phase, one law and one integral.
#
# ## Notation
#
# | symbol | meaning | unit |
# | --- | --- | --- |
# | $c_{11}, c_{12}, c_{44}$ | constants of the crystal in its axes | GPa |
# | $R_g$, $Q_g$ | rotation of grain g, and what it makes of Mandel vectors | |
# | $C_g = Q_g\,C\,Q_g^T$ | stiffness of grain g | GPa |
# | $\overline C$ | effective stiffness of the periodic cell | GPa |
# | $K$, $G$ | bulk and shear modulus of the isotropic stiffness that is closest | GPa |
# | $A^U$ | universal elastic anisotropy, 0 for isotropy | |
#
# Under a uniform change of volume a cubic crystal has a hydrostatic stress, however it is turned. So has the
# polycrystal: $K = (c_{11} + 2 c_{12})/3$ exactly, whatever its grains. The shear modulus lies between the
# means of Voigt and Reuss,
#
# $$G_V = \frac{c_{11} - c_{12} + 3 c_{44}}{5}, \qquad
#   G_R = \frac{5 (c_{11} - c_{12}) c_{44}}{4 c_{44} + 3 (c_{11} - c_{12})},$$
#
# and for very many grains without any order between the closer bounds of Hashin and Shtrikman (J. Mech. Phys.
# Solids 10 (1962) 343–352). With $G_1 = (c_{11} - c_{12})/2$ and $G_2 = c_{44}$ they are
#
# $$G_1 + 3 \Big(\frac{5}{G_2 - G_1} + 4 \beta_1\Big)^{-1}, \qquad
#   G_2 + 2 \Big(\frac{5}{G_1 - G_2} + 6 \beta_2\Big)^{-1}, \qquad
#   \beta_i = \frac{3 (K + 2 G_i)}{5 G_i (3 K + 4 G_i)}.$$

# %%
from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

import fe2
from fe2.stiffness import closest_isotropic, universal_anisotropy

mpl.use("Agg")
import matplotlib.pyplot as plt

Array = npt.NDArray[np.float64]

parser = argparse.ArgumentParser(description="The elasticity of a copper polycrystal.")
parser.add_argument("--voxels", type=int, default=24, help="voxels along an edge of the cell (24)")
parser.add_argument(
    "--grains", type=int, nargs="+", default=[8, 27, 64, 216], help="numbers of grains (8 27 64 216)"
)
parser.add_argument("--samples", type=int, default=3, help="polycrystals of each number of grains (3)")
parser.add_argument("--output", type=Path, default=Path("results/polycrystal"), help="folder of the results")
parser.add_argument(
    "--units",
    type=float,
    nargs=2,
    metavar=("UM", "GPA"),
    default=(1.0, 1.0),
    help="a µm and a GPa in the units to compute in: 1e-6 1e9 for m and Pa",
)
options = parser.parse_args()
UM, GPA = options.units

# %% [markdown]
# ## Grains
#
# A voxel belongs to the grain whose seed is nearest, periodic images of the seeds included: a Voronoi
# tessellation. The orientations are random quaternions, uniform over all rotations.

# %%
COPPER = {"c11": 168.4, "c12": 121.4, "c44": 75.4}  # GPa, Simmons & Wang 1971
rng = np.random.default_rng(1)


def tessellation(grains: int) -> npt.NDArray[np.int64]:
    """Label of each voxel, from 0 on."""
    edge = options.voxels
    centres = np.stack(np.meshgrid(*3 * [(np.arange(edge) + 0.5) / edge], indexing="ij"), axis=-1)
    seeds = rng.uniform(size=(grains, 3))
    labels: npt.NDArray[np.int64] = cKDTree(seeds, boxsize=1.0).query(centres)[1]
    return labels


def polycrystal(labels: npt.NDArray[np.int64]) -> fe2.EffectiveProperties:
    """Effective properties of a cell of 24 µm with a random orientation of each grain."""
    grains = np.unique(labels)
    law = fe2.MaterialField(
        fe2.LinearElastic.cubic,
        grains,
        **{name: value * GPA for name, value in COPPER.items()},
        orientation=fe2.rotation_from_quaternion(rng.normal(size=(len(grains), 4))),
    )
    cell = fe2.image_cell(labels, {"grains": grains}, voxel_size=24.0 * UM / options.voxels)
    return fe2.small_strain(cell, {"grains": law}).homogenize(fe2.GridOptions(tolerance=1e-9))


# %% [markdown]
# ## Moduli
#
# A small sample is no medium without order: it may leave the bounds of Hashin and Shtrikman, of which fe2
# would warn for isotropic phases. The bounds of Voigt and Reuss are those of the sample itself and hold.

# %%
c11, c12, c44 = COPPER.values()
bulk, soft, stiff = (c11 + 2 * c12) / 3, (c11 - c12) / 2, c44
voigt, reuss = (2 * soft + 3 * stiff) / 5, 5 * soft * stiff / (2 * stiff + 3 * soft)


def beta(shear: float) -> float:
    """β of Hashin and Shtrikman."""
    return 3 * (bulk + 2 * shear) / (5 * shear * (3 * bulk + 4 * shear))


lower = soft + 3 / (5 / (stiff - soft) + 4 * beta(soft))
upper = stiff + 2 / (5 / (soft - stiff) + 6 * beta(stiff))

print(f"{'grains':>8}{'K':>10}{'G':>10}{'±':>8}{'anisotropy':>12}")
shears: dict[int, Array] = {}
with warnings.catch_warnings():
    warnings.simplefilter("error")  # not one stiffness leaves the bounds of its own grains
    for grains in options.grains:
        found = [polycrystal(tessellation(grains)) for _ in range(options.samples)]
        tangents = [effective.tangent / GPA for effective in found]
        moduli = np.array([closest_isotropic(tangent) for tangent in tangents])
        shears[grains] = moduli[:, 1]
        anisotropy = np.mean([universal_anisotropy(tangent) for tangent in tangents])
        print(
            f"{grains:8}{moduli[:, 0].mean():10.4f}{moduli[:, 1].mean():10.3f}{moduli[:, 1].std():8.3f}"
            f"{anisotropy:12.4f}"
        )
        assert np.allclose(moduli[:, 0], bulk, rtol=1e-6)  # exact for any cubic polycrystal (Hill 1952)
        assert np.all((moduli[:, 1] > reuss) & (moduli[:, 1] < voigt))
print(f"exact K {bulk:.4f}")
print(f"G: Reuss {reuss:.3f}, Hashin–Shtrikman {lower:.3f} to {upper:.3f}, Voigt {voigt:.3f}")

# %% [markdown]
# ## Figure
#
# Left a slice of a polycrystal with the most grains, right the shear moduli of all samples. Their scatter
# falls with the number of grains, and their mean comes to lie between the bounds of Hashin and Shtrikman.

# %%
options.output.mkdir(parents=True, exist_ok=True)
figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.2), layout="constrained")
left.imshow(tessellation(max(options.grains))[:, :, 0].T, cmap="tab20", origin="lower", extent=(0, 24, 0, 24))
left.set(xlabel="x in µm", ylabel="y in µm", title=f"{max(options.grains)} grains, a slice")
for grains, values in shears.items():
    right.plot(np.full(len(values), grains), values, "o", color="C0", alpha=0.7)
means = [values.mean() for values in shears.values()]
right.plot(list(shears), means, "-", color="C0", label="polycrystals, mean")
right.axhspan(lower, upper, color="C1", alpha=0.3, label="Hashin–Shtrikman")
for name, value in (("Voigt", voigt), ("Reuss", reuss)):
    right.axhline(value, color="0.4", linestyle="--")
    right.annotate(name, (min(shears), value), xytext=(0, 3), textcoords="offset points", color="0.4")
right.set(xscale="log", xlabel="grains in the cell", ylabel="shear modulus G in GPa")
right.set_xticks(list(shears), [str(grains) for grains in shears], minor=False)
right.minorticks_off()
right.legend(loc="center right", bbox_to_anchor=(1.0, 0.25))
figure.savefig(options.output / "polycrystal.png", dpi=150)

# %% [markdown]
# ## A check
#
# The mean of the largest polycrystals is within the bounds of Hashin and Shtrikman, widened by the error of
# the mean. The elements are coarse, some hundred to a grain, and too stiff by a few parts in a thousand.

# %%
last = shears[max(shears)]
error = 2.0 * last.std() / np.sqrt(len(last)) + 0.005 * upper
assert lower - error < last.mean() < upper + error
print(f"figure              {options.output / 'polycrystal.png'}")
