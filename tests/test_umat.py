"""Abaqus's UMAT as a phase law: the C file of docs/umat.md is compiled and compared with fe2's own law."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from case_files import write
from click.testing import CliRunner

import fe2
from fe2.case.build_cell import build_rve
from fe2.case.cell_case import read_cell_case
from fe2.case.problems import CaseFileError
from fe2.cli.umat import command
from fe2.errors import Fe2Error, InputError, LocalSolveError
from fe2.testing import check_phase_law
from fe2.testing.material_point import drive, respond, virgin
from fe2.umat_libraries import register

PAGE = Path(__file__).parents[1] / "docs" / "umat.md"
STEEL = [200e3, 0.3, 400.0, 2e3]
CRASHES = "#include <stdlib.h>\nvoid umat_(double *stress) { abort(); }\n"
OWN = fe2.J2Plasticity(200e3, 0.3, 400.0, hardening=2e3)


def compiled(folder: Path, source: str, name: str) -> Path:
    (folder / "umat.c").write_text(source, encoding="utf-8")
    library = folder / name
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(folder / "umat.c"), "-lm"],
        check=True,
        timeout=60,
    )
    return library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    (source,) = re.findall(r"File `umat.c`:\n\n```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return compiled(tmp_path_factory.mktemp("umat"), source, "libsteel.so")


@pytest.fixture
def registered(library, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    result = CliRunner().invoke(command, ["steel", str(library)])
    assert result.exit_code == 0, result.output
    return "steel"


def steel(library, size, **more):
    return fe2.Umat(str(library), np.array(STEEL), size + 1, is_symmetric=True, **more)


@pytest.mark.parametrize("size", [4, 6])
@pytest.mark.parametrize("is_isolated", [False, True])
def test_the_page_s_subroutine_is_fe2_s_own_law(library, size, is_isolated):
    law = steel(library, size, is_isolated=is_isolated)
    path = list(np.cumsum(np.random.default_rng(3).normal(scale=3e-3, size=(8, size)), axis=0))
    for one, other in zip(drive(law, path), drive(OWN, path), strict=True):
        assert np.allclose(one.flux, other.flux, rtol=0.0, atol=1e-11 * np.abs(other.flux).max())
        assert np.allclose(one.tangent, other.tangent, rtol=0.0, atol=1e-11 * other.tangent.max())
    assert one.history["statev"][0, -1] == pytest.approx(
        other.history["equivalent_plastic_strain"][0, 0], rel=1e-11
    )


def test_the_kit_finds_nothing_wrong(library):
    check_phase_law(steel(library, 6), "small_strain", amplitude=8e-3)


def test_a_step_that_the_subroutine_refuses_has_failed_at_its_points(library):
    law = fe2.Umat(str(library), np.array([-1.0, 0.3, 400.0, 2e3]), 7)
    with pytest.raises(LocalSolveError, match=r"PNEWDT = 0.25 .* at 3 of 3 points"):
        respond(law, np.zeros((3, 6)), virgin(law, 3, 6))


def test_a_crash_in_a_process_of_its_own_is_a_failed_point(tmp_path):
    law = fe2.Umat(str(compiled(tmp_path, CRASHES, "libcrash.so")), np.zeros(1), is_isolated=True)
    for _ in range(9):  # it starts anew
        with pytest.raises(LocalSolveError, match="ended its process with SIGABRT"):
            respond(law, np.zeros((1, 6)), virgin(law, 1, 6))
    with pytest.raises(Fe2Error, match=r"SIGABRT .* 10 times one after the other"):
        respond(law, np.zeros((1, 6)), virgin(law, 1, 6))


def test_a_subroutine_that_exits_is_no_success(tmp_path):
    library = compiled(
        tmp_path, "#include <stdlib.h>\nvoid umat_(double *stress) { exit(0); }\n", "libexit.so"
    )
    program = (
        "import numpy as np, fe2\n"
        "from fe2.testing.material_point import respond, virgin\n"
        f"law = fe2.Umat({str(library)!r}, np.zeros(1))\n"
        "respond(law, np.zeros((1, 6)), virgin(law, 1, 6))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"the UMAT of FE2 ended the program" in ended.stderr


@pytest.mark.parametrize("line", ["statev[0] = sqrt(-1.0);", "*pnewdt = sqrt(-1.0);"])
def test_values_that_are_not_finite_are_failed_points(tmp_path, line):
    (source,) = re.findall(r"```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    spoilt = compiled(tmp_path, source.rstrip().removesuffix("}") + line + "}\n", "libspoilt.so")
    law = steel(spoilt, 6)
    with pytest.raises(LocalSolveError, match="not finite at 1 of 1 points"):
        respond(law, np.full((1, 6), 1e-3), virgin(law, 1, 6))


def test_case_file_names_a_registered_library(registered, tmp_path):
    image = np.zeros((4, 4), dtype=np.int32)
    image[:2] = 1
    np.save(tmp_path / "layers.npy", image)
    fibre = {"label": 1, "law": "linear_elastic", "young": 400e3, "poisson": 0.2}

    def cell(matrix):
        phases = {"matrix": {"label": 0, **matrix}, "fibre": fibre}
        content = {"cell": {"image": "layers.npy", "physics": "small_strain"}, "phases": phases}
        return build_rve(read_cell_case(write(tmp_path, content, "cell.toml")))

    plastic = {"young": 200e3, "poisson": 0.3, "yield_stress": 400.0, "hardening": 2e3}
    path = fe2.MaterialPath(np.array([0.0, 1.0, 2.0]), gradient={"xx": [0.0, 4e-3, -2e-3]})
    own = cell({"law": "j2_plasticity", **plastic}).drive(path)
    test = cell({"law": "umat", "library": registered, "props": STEEL, "statev": 5, "symmetric": True}).drive(
        path
    )
    assert np.allclose(test.flux, own.flux, rtol=0.0, atol=1e-7 * np.abs(own.flux).max())
    assert not {"stress", "strain", "time", "umat_stress"} & {
        name.partition("_xx")[0] for name in test.history
    }


def test_no_case_file_loads_a_library_by_its_path(library, tmp_path):
    np.save(tmp_path / "layers.npy", np.zeros((4, 4), dtype=np.int32))
    phase = {"label": 0, "law": "umat", "library": str(library), "props": STEEL, "statev": 5}
    content = {"cell": {"image": "layers.npy", "physics": "small_strain"}, "phases": {"matrix": phase}}
    with pytest.raises(CaseFileError, match="is not registered"):
        read_cell_case(write(tmp_path, content, "cell.toml"))


@pytest.mark.parametrize("symbol", ["umat", "strcpy"])
def test_no_case_file_says_what_of_a_library_is_called(registered, tmp_path, symbol):
    """The functions of the C library are found through any library."""
    np.save(tmp_path / "layers.npy", np.zeros((4, 4), dtype=np.int32))
    phase = {"label": 0, "law": "umat", "library": registered, "props": STEEL, "symbol": symbol}
    content = {"cell": {"image": "layers.npy", "physics": "small_strain"}, "phases": {"matrix": phase}}
    with pytest.raises(CaseFileError, match=r"phases\.matrix\.symbol"):
        read_cell_case(write(tmp_path, content, "cell.toml"))


def test_subroutine_is_the_one_that_was_registered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    source = "void steel_(double *s, double *v, double *d) { for (int i = 0; i < 6; i++) d[7 * i] = 3.0; }\n"
    (folder := tmp_path / "größe 🦀").mkdir()
    library = compiled(folder, source, "libown.so")
    result = CliRunner().invoke(command, ["own", str(library), "--symbol", "steel"])
    assert result.exit_code == 0, result.output
    law = fe2.umat("own", [1.0])
    assert (law.path, law.symbol) == (library, "steel")
    assert np.diagonal(respond(law, np.zeros((1, 6)), virgin(law, 1, 6)).tangent[0])[:3].tolist() == [3.0] * 3


def test_command_lists_what_is_registered(registered, library):
    assert CliRunner().invoke(command, []).output == f"{registered}  {library}  umat\n"


def test_libraries_are_registered_at_the_same_time(registered, library):
    names = [f"steel{k}" for k in range(8)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: register(name, library), names))
    assert {registered, *names} == set(fe2.umat_libraries.registered())


def test_names_that_others_can_write_are_not_believed(registered, tmp_path):
    (tmp_path / "fe2" / "umat.toml").chmod(0o666)
    with pytest.raises(InputError, match="can be written by others than you"):
        fe2.umat(registered, STEEL, 7)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"symbol": "vumat"}, "has no symbol 'vumat', nor vumat_"),
        ({"symbol": "vumat", "is_isolated": True}, "has no symbol 'vumat', nor vumat_"),
        ({"statev": -1}, "statev = -1 is not admissible; it must be from 0 to 10000"),
        ({"initial_state": np.zeros(3)}, r"initial_state has shape \(3,\); it must have shape \(7,\)"),
        ({"props": [np.nan]}, "props holds values that are not finite"),
    ],
)
def test_what_is_not_admissible_is_named(library, wrong, message):
    with pytest.raises(InputError, match=message):
        fe2.Umat(str(library), **{"props": STEEL, "statev": 7, **wrong})


def test_a_file_that_is_no_library_is_refused(tmp_path):
    (tmp_path / "no.so").write_text("nothing", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be loaded"):
        fe2.Umat(str(tmp_path / "no.so"), [1.0])
