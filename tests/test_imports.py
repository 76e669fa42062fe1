"""Which way the imports point, and in which order libraries may be loaded."""

from __future__ import annotations

import ast
import graphlib
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from mpi import ROOT, python, succeeded

PACKAGE = ROOT / "fe2"

# From the top down: a unit (folder or single module) may import units of later rows, not of its own.
# Units that are not named are foundations.
LAYERS = (
    ("__main__", "replay"),
    ("cli",),
    ("case", "public", "testing"),
    ("simulation",),
    ("hierarchical",),
    ("macro", "io", "stepping"),
    ("dispatch",),
    ("micro",),
    ("grid",),
    ("physics",),
)
FOUNDATION = len(LAYERS)

# What a folder must not import in any way, not even through others.
UNKNOWN = {
    "physics": {"dolfinx", "basix", "mpi4py", "petsc4py", "gmsh", "h5py"},
    "grid": {"dolfinx", "basix", "mpi4py", "petsc4py", "h5py", "ufl"},
    "dispatch": {"fe2.macro", "fe2.io", "fe2.simulation"},
    "stepping": {"dolfinx", "mpi4py", "petsc4py"},
}
# What a folder must not import itself.
NOT_DIRECTLY = {
    "micro": {"fe2.macro", "fe2.dispatch"},
    "dispatch": {"fe2.physics", "dolfinx", "petsc4py", "ufl"},
    "macro": {"mpi4py", "fe2.io", "fe2.physics", "fe2.simulation"},
    "io": {"fe2.macro", "fe2.simulation", "fe2.micro.rve", "fe2.micro.newton", "fe2.micro.linear_solver"},
    "hierarchical": {"fe2.macro"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, frozenset[str]]:
    """Every module of fe2 with the modules that it imports, those for type checkers left out."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = {module_name(path) for path in paths}
    return {
        module_name(path): frozenset(imports_of(ast.parse(path.read_text()), names, module_name(path)))
        for path in paths
    }


def imports_of(tree: ast.AST, names: set[str], here: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{here} imports relative to itself"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in names else str(node.module)
        else:
            yield from imports_of(node, names, here)


def unit_of(module: str) -> str:
    """The folder or single module of fe2 that a module belongs to."""
    return module.split(".")[1]


def layer_of(unit: str) -> int:
    return next((k for k, units in enumerate(LAYERS) if unit in units), FOUNDATION)


def own_imports() -> Iterator[tuple[str, str]]:
    """Pairs of modules of fe2, importing and imported; the package's own `__init__` stands above them."""
    for module, imported in modules().items():
        if module != "fe2":
            yield from ((module, other) for other in imported if other.startswith("fe2."))


def lies_in(module: str, parents: set[str]) -> bool:
    return any(module == parent or module.startswith(parent + ".") for parent in parents)


def everything_below(module: str) -> set[str]:
    found: set[str] = set()
    left = [module]
    while left:
        new = modules().get(left.pop(), frozenset()) - found
        found |= new
        left.extend(name for name in new if name != "fe2")
    return found


def test_imports_were_found():
    assert "fe2.micro.rve" in modules()
    assert ("fe2.macro.law", "fe2.dispatch.pool") in set(own_imports())
    assert "fe2.micro.newton" in everything_below("fe2.micro.rve")
    assert "numpy" in modules()["fe2.tensors"]


def test_no_import_points_upwards():
    wrong = [
        f"{module} imports {other}"
        for module, other in own_imports()
        if unit_of(module) != unit_of(other)
        and layer_of(unit_of(module)) >= layer_of(unit_of(other))
        and layer_of(unit_of(module)) != FOUNDATION
    ]
    wrong += [
        f"{module}, a foundation, imports {other}"
        for module, other in own_imports()
        if layer_of(unit_of(module)) == FOUNDATION and layer_of(unit_of(other)) != FOUNDATION
    ]
    assert not wrong


def test_modules_do_not_import_one_another_in_a_circle():
    graph = {
        module: {other for other in imported if other in modules()} for module, imported in modules().items()
    }
    graph = {module: imported - {"fe2"} for module, imported in graph.items() if module != "fe2"}
    assert list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("unit", UNKNOWN)
def test_folder_does_not_know(unit):
    wrong = [
        f"{module} reaches {other}"
        for module in modules()
        if module != "fe2" and unit_of(module) == unit
        for other in everything_below(module)
        if lies_in(other, UNKNOWN[unit])
    ]
    assert not wrong


@pytest.mark.parametrize("unit", NOT_DIRECTLY)
def test_folder_does_not_import(unit):
    wrong = [
        f"{module} imports {other}"
        for module, imported in modules().items()
        if module != "fe2" and unit_of(module) == unit
        for other in imported
        if lies_in(other, NOT_DIRECTLY[unit])
    ]
    assert not wrong


def test_macro_sees_the_contract_of_micro_models_only():
    seen = {
        other for module, other in own_imports() if unit_of(module) == "macro" and unit_of(other) == "micro"
    }
    assert seen == {"fe2.micro.model", "fe2.micro.points"}


# ---- the order of libraries

USE_H5PY = """
with h5py.File(path := tempfile.mktemp(suffix=".h5"), "w") as file:
    file["x"] = numpy.arange(3.0)
with h5py.File(path) as file:
    print(file["x"][:].tolist())
os.remove(path)
"""
USE_BOTH = """
import h5py, numpy, os, tempfile
from mpi4py import MPI
mesh = dolfinx.mesh.create_unit_interval(MPI.COMM_SELF, 3)
print(mesh.topology.index_map(1).size_local, fe2.StepSizeError.__name__)
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import fe2, dolfinx.mesh",
        "import fe2, dolfinx.fem.petsc",
        "from mpi4py import MPI; import dolfinx.fem.petsc; import fe2",
        "import h5py; from mpi4py import MPI; import dolfinx.fem.petsc; import fe2",
        "from fe2 import RVE; import fe2, dolfinx.mesh",
        "import fe2.micro.rve, dolfinx.mesh",
    ],
)
def test_fe2_and_dolfinx_load_in_any_order(imports):
    result = python(f"{imports}\n{USE_BOTH}\n{USE_H5PY}")
    assert succeeded(result).split("\n")[:2] == ["3 StepSizeError", "[0.0, 1.0, 2.0]"]


BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def without(missing: tuple[str, ...], program: str) -> subprocess.CompletedProcess[str]:
    return python(BLOCK.format(missing=missing) + program)


@pytest.mark.parametrize("missing", [("dolfinx",), ("mpi4py", "dolfinx"), ("petsc4py",)])
@pytest.mark.parametrize(
    "program", ["import fe2; fe2.Simulation", "from fe2 import Simulation", "import fe2.macro.problem"]
)
def test_without_dolfinx_fe2_says_how_to_get_it(missing, program):
    result = without(missing, program)
    assert result.returncode == 1
    last = result.stderr.strip().split("\n")[-1]
    assert last.startswith("fe2.errors.MissingDependencyError: fe2 needs DOLFINx")
    for hint in ("pip install 'fe2[wheel]'", "conda install", "container", f"No module named '{missing[0]}"):
        assert hint in last


GRID_ALONE = """
import sys, numpy as np
from fe2.grid.device import device
from fe2.grid.element import VoxelStiffness, corners
from fe2.grid.linear_problem import GridProblem
from fe2.grid.options import GridOptions
layers = np.zeros((4, 4), dtype=np.int32)
layers[2:] = 1
slope = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]]) / 2
k = slope.T @ slope + np.outer([1, -1, -1, 1], [1, -1, -1, 1]) / 6  # bilinear Laplacian of a unit square
voxel = VoxelStiffness(np.array([k, 3 * k]), corners(2).astype(float), 1, 1.0)
found = GridProblem(layers, voxel, k, GridOptions(1e-12), device()).effective_tangent(99)
assert np.allclose(found.tangent, np.diag([1.5, 2.0]), rtol=1e-12), found
wrong = {"dolfinx", "mpi4py", "petsc4py", "ufl", "cupy", "pydantic", "h5py"} & set(sys.modules)
assert not wrong, wrong
"""


def test_grid_needs_numpy_and_scipy_alone():
    """Kernels run on a machine with a GPU that has nothing else; two equal layers, in series and parallel."""
    missing = ("dolfinx", "mpi4py", "petsc4py", "ufl", "cupy", "pydantic", "h5py", "click")
    assert without(missing, GRID_ALONE).returncode == 0, without(missing, GRID_ALONE).stderr


def test_hdf5_clash_is_one_clear_sentence_at_import():
    """Where numba is installed, h5py fails like this after `dolfinx.fem.petsc`."""
    program = """
class Clash:
    def find_spec(self, name, path=None, target=None):
        if name == "h5py":
            raise ValueError("Not a datatype (not a datatype)")
from mpi4py import MPI
import dolfinx.fem.petsc, sys
sys.meta_path.insert(0, Clash())
import fe2
"""
    result = python(program)
    assert result.returncode == 1
    last = result.stderr.strip().split("\n")[-1]
    assert last.startswith("ImportError: h5py could not be loaded beside the HDF5 library of DOLFINx")
    assert "import fe2 (or h5py) before dolfinx" in last


def test_public_names_are_found_and_others_are_not():
    program = (
        "import fe2\nprint([getattr(fe2, name) is None for name in fe2.__all__].count(False) > 30)\nfe2.rve"
    )
    result = python(program)
    assert result.stdout == "True\n"
    assert "AttributeError: module 'fe2' has no attribute 'rve'" in result.stderr


def test_reading_a_mesh_does_not_need_gmsh():
    """Its system libraries may be missing."""
    file = min((ROOT / "meshes").rglob("*.msh"), key=lambda path: path.stat().st_size)
    result = without(("gmsh",), f"import fe2\nprint(fe2.read_cell({str(file)!r}).volume > 0)")
    assert succeeded(result) == "True\n"
