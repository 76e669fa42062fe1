"""The command line as its users meet it: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from case_files import ELASTIC, GENERATOR_CELL, IMAGE_CELL, RUN, changed, write
from mpi import mpiexec, succeeded
from mpi import run as run_process

from fe2.cli.main import run
from fe2.io.history import read_history

pytestmark = pytest.mark.slow  # the whole module: left out by `make test`

Command = Callable[..., "Result"]


class Result:
    """What a command printed, and its exit status."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def fe2(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str | Path) -> Result:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return command


def well(result: Result) -> str:
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    return result.out


def in_ranks(ranks: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return mpiexec(ranks, ["-m", "fe2", *map(str, arguments)], timeout=200, statuses=True)


def own_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_process([sys.executable, "-m", "fe2", *map(str, arguments)], timeout=100)


# --- homogenize ---


def test_homogenize_prints_json_alone(fe2: Command, tmp_path: Path) -> None:
    found = json.loads(well(fe2("homogenize", write(tmp_path, IMAGE_CELL), "--json")))
    names = ["physics", "components", "effective", "volume_fractions", "bounds", "unknowns", "seconds"]
    assert list(found)[:7] == names
    assert found["physics"] == "small_strain"
    assert found["components"] == ["xx", "yy", "xy"]
    assert np.shape(found["effective"]) == (3, 3)
    assert found["volume_fractions"] == {"matrix": 0.75, "fibre": 0.25}
    assert found["units"] == "GPa, mm"
    voigt, reuss = np.array(found["bounds"]["voigt"]), np.array(found["bounds"]["reuss"])
    effective = np.array(found["effective"])
    assert np.linalg.eigvalsh(voigt - effective).min() > 0.0
    assert np.linalg.eigvalsh(effective - reuss).min() > 0.0


def test_homogenize_writes_json_and_prints_tables(fe2: Command, tmp_path: Path) -> None:
    out = well(fe2("homogenize", write(tmp_path, IMAGE_CELL), "-o", "result.json"))
    assert "effective stiffness" in out
    assert "volume fraction of fibre:" in out
    written = json.loads(Path("result.json").read_text())
    assert f"{written['effective'][0][0]:.6g}" in out


def test_homogenize_warns_beside_its_results_and_in_them(fe2: Command, tmp_path: Path) -> None:
    """Pixels of a chessboard that conduct through their corners more than bounds allow."""
    np.save(tmp_path / "board.npy", (np.indices((4, 4)).sum(axis=0) % 2).astype(np.uint8))
    phases = {"void": {"label": 0, "conductivity": 0.0}, "solid": {"label": 1, "conductivity": 1.0}}
    file = write(tmp_path, {"cell": {"image": "board.npy", "physics": "diffusion"}, "phases": phases})
    result = fe2("homogenize", file, "--json")
    found = json.loads(well(result))
    assert any("above its upper Hashin" in text for text in found["warnings"])
    for text in found["warnings"]:
        assert f"fe2: warning: {text}" in result.err
    assert json.loads(well(fe2("homogenize", write(tmp_path, IMAGE_CELL), "--json")))["warnings"] == []


@pytest.mark.parametrize(
    ("physics", "pore", "grain"),
    [("pore_flow", {}, {"solid": True}), ("diffusion", {"conductivity": 2.0}, {"conductivity": 0.0})],
)
def test_homogenize_tells_of_the_pore_space(
    fe2: Command, tmp_path: Path, physics: str, pore: Any, grain: Any
) -> None:
    """A channel along x and an isolated pore."""
    labels = np.ones((6, 6), dtype=np.uint8)
    labels[:, 1] = labels[3, 3] = 0
    np.save(tmp_path / "pores.npy", labels)
    phases = {"pore": {"label": 0, **pore}, "grain": {"label": 1, **grain}}
    file = write(tmp_path, {"cell": {"image": "pores.npy", "physics": physics}, "phases": phases})
    fractions = json.loads(well(fe2("homogenize", file, "--json")))["volume_fractions"]
    assert fractions == pytest.approx({"pore": 7 / 36, "grain": 29 / 36}, rel=1e-12)
    out = re.sub(" +", " ", well(fe2("homogenize", file)))
    assert "connected along x: yes" in out
    assert "connected along y: no" in out
    assert "isolated, share of the cell, of pore: 0.0277778" in out
    assert ("tortuosity along x: 1.16667" in out) == (physics == "diffusion")
    assert ("tortuosity along y: infinite" in out) == (physics == "diffusion")


def test_homogenize_gives_the_stiffness_of_an_undeformed_cell_in_finite_strain(
    fe2: Command, tmp_path: Path
) -> None:
    """At zero a neo-Hookean cell is an elastic one, in effective stiffness and bounds."""
    found = []
    for physics, law in (("finite_strain", "neo_hookean"), ("small_strain", "linear_elastic")):
        phases = {"layer_1": {**ELASTIC, "law": law}, "layer_2": {**ELASTIC, "law": law, "young": 21.0}}
        table = changed(GENERATOR_CELL, cell__physics=physics, phases=phases)
        found.append(json.loads(well(fe2("homogenize", write(tmp_path, table), "--json"))))
    assert found[0]["components"] == found[1]["components"] == ["xx", "yy", "xy"]
    np.testing.assert_allclose(found[0]["effective"], found[1]["effective"], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found[0]["bounds"]["voigt"], found[1]["bounds"]["voigt"], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"cell__size": 1e-6}, "must be at least"), ({"cell__size": -1.0}, "must be")],
)
def test_homogenize_refuses_a_mesh_that_outgrows_the_memory(
    fe2: Command, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    result = fe2("homogenize", write(tmp_path, changed(GENERATOR_CELL, **change)))
    assert result.status == 1
    assert "cell.size" in result.err
    assert problem in result.err


def test_homogenize_says_that_an_image_is_singular(fe2: Command, tmp_path: Path) -> None:
    table = changed(IMAGE_CELL, cell__voxel_size=[1.5e-12, 0.5])
    result = fe2("homogenize", write(tmp_path, table))
    assert result.status == 1
    assert "singular to round-off" in result.err


def test_homogenize_refuses_a_phase_without_a_voxel(fe2: Command, tmp_path: Path) -> None:
    result = fe2("homogenize", write(tmp_path, changed(IMAGE_CELL, phases__fibre__label=7)))
    assert result.status == 1
    assert result.out == ""
    assert re.match(r"fe2: .*case\.toml: phases\.fibre", result.err)
    assert "no voxel has its label 7" in result.err


# --- check ---


def test_check_of_right_files(fe2: Command, tmp_path: Path) -> None:
    assert "case.toml is right: a cell file" in well(fe2("check", write(tmp_path, IMAGE_CELL)))
    assert "case.toml is right: a run file" in well(fe2("check", write(tmp_path, RUN)))


def test_check_tells_all_mistakes_and_fails(fe2: Command, tmp_path: Path) -> None:
    result = fe2("check", write(tmp_path, changed(IMAGE_CELL, cell__degree=0, phases__matrix__young=-1.0)))
    assert result.status == 1
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"fe2: {tmp_path / 'case.toml'}: ") for line in lines)


def test_check_of_a_file_that_is_no_toml_names_the_line(fe2: Command, tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text("[cell]\nimage = \n")
    result = fe2("check", "case.toml")
    assert result.status == 1
    assert result.err == "fe2: case.toml: not a TOML file: Invalid value (at line 2, column 9)\n"


def test_check_of_a_file_that_is_not_there(fe2: Command) -> None:
    result = fe2("check", "nothing.toml")
    assert result.status == 1
    assert result.err == "fe2: nothing.toml: the file cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check"], ["run", "--help"], ["mesh", "laminate", "--help"]]
)
def test_help_and_check_need_neither_mpi_nor_dolfinx(arguments: list[str], tmp_path: Path) -> None:
    file = [str(write(tmp_path, RUN))] if arguments == ["check"] else []
    program = (
        "import sys; from fe2.cli.main import run; status = run(sys.argv[1:]); "
        "loaded = {'mpi4py', 'dolfinx', 'petsc4py', 'gmsh', 'ufl', 'scipy'} & set(sys.modules); "
        "sys.exit(status or loaded or None)"
    )
    succeeded(run_process([sys.executable, "-c", program, *arguments, *file], timeout=60))


def test_check_takes_less_than_a_second_of_processor_time(tmp_path: Path) -> None:
    file = write(tmp_path, RUN)
    program = (
        "import sys, time; from fe2.cli.main import run; "
        "run(['check', sys.argv[1]]); print(time.process_time())"
    )
    out = succeeded(run_process([sys.executable, "-c", program, str(file)], timeout=60))
    assert float(out.splitlines()[-1]) < 1.0


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("command", ["homogenize", "run"])
def test_mistakes_are_told_once_and_all_ranks_fail(command: str, ranks: int, tmp_path: Path) -> None:
    table = changed(IMAGE_CELL, cell__degree=0) if command == "homogenize" else changed(RUN, steps__end=-1.0)
    result = in_ranks(ranks, command, write(tmp_path, table))
    assert result.returncode == 1
    assert result.stderr.count("fe2: ") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("ends with status 1") == ranks


@pytest.mark.mpi
def test_what_does_not_fit_the_mesh_is_told_once_by_two_ranks(tmp_path: Path) -> None:
    result = in_ranks(2, "run", write(tmp_path, changed(RUN, boundary__0__on="lft")))
    assert result.returncode == 1
    assert result.stderr.count("did you mean left?") == 1
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_what_does_not_fit_into_the_memory_of_two_ranks_is_told_once(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rehearsal refuses as the run does, before anything is written."""
    monkeypatch.setenv("FE2_MEMORY", "1e-5")
    result = in_ranks(2, "run", write(tmp_path, changed(RUN, output__pictures=None)), *options)
    assert result.returncode == 1
    assert result.stderr.count("a rank with its share of the states of 32 points") == 1, result.stderr
    assert result.stderr.count("ends with status 1") == 2
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.glob("results/history*"))


@pytest.mark.mpi
def test_one_of_two_ranks_prints_the_sizes_of_a_run(tmp_path: Path) -> None:
    file = write(tmp_path, changed(RUN, output__pictures=None))
    result = in_ranks(2, "run", file, "--dry-run", "--json")
    assert json.loads(result.stdout)["ranks"] == 2
    assert in_ranks(2, "run", file, "--dry-run", "-q").stdout.count("is right") == 1


def test_paths_that_do_not_fit_into_the_memory_are_refused_before_the_first_is_solved(
    fe2: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would fit is told, and fits."""
    file = write(tmp_path, GENERATOR_CELL)
    monkeypatch.setenv("FE2_MEMORY", "0.02")
    long = ("--amplitude", 1e-3, "--steps", 1000)
    for command in (
        ("sample", file, "-o", "a.h5", "--count", 200),
        ("reduce", file, "-o", "b.h5", "--paths", 200),
    ):
        refused = fe2(*command, *long)
        assert refused.status == 1
        assert "a rank with the states of" in refused.err
        assert "paths of these lengths fit" in refused.err or "fewer steps or a coarser cell" in refused.err
    assert not list(tmp_path.glob("*.h5*"))


# --- material ---


def test_material_test_with_mixed_control(fe2: Command, tmp_path: Path) -> None:
    """Across the layers the stress is one; along y the sides are free."""
    (tmp_path / "path.csv").write_text("time, strain_xx, stress_xx\n0, 0,\n# a comment\n1, 0.001,\n2, , 0\n")
    elastic = {"law": "linear_elastic", "young": 100.0, "poisson": 0.3}
    table = changed(GENERATOR_CELL, phases={"layer_1": elastic, "layer_2": elastic})
    file = write(tmp_path, table)
    out = well(fe2("material", file, "--path", "path.csv", "--increments", 2, "--plot", "test.png"))
    rows = list(csv.DictReader(out.splitlines()))
    assert [float(row["time"]) for row in rows] == [0.0, 0.5, 1.0, 1.5, 2.0]
    stress = 100.0 / (1.0 - 0.3**2) * 0.001
    assert float(rows[2]["stress_xx"]) == pytest.approx(stress, rel=1e-8)
    assert math.isclose(float(rows[2]["stress_yy"]), 0.0, abs_tol=1e-8)
    assert float(rows[4]["strain_xx"]) == pytest.approx(0.0, abs=1e-10)
    assert (tmp_path / "test.png").stat().st_size > 5000


def test_material_test_beyond_the_limit_load_keeps_its_rows(fe2: Command, tmp_path: Path) -> None:
    """Between rigid sides in plane strain the bar yields at 2/√3 of its yield stress."""
    (tmp_path / "path.csv").write_text("time,stress_xx\n0,0\n1,360\n")
    steel = {"law": "j2_plasticity", "young": 200e3, "poisson": 0.3, "yield_stress": 250.0}
    file = write(tmp_path, changed(GENERATOR_CELL, phases={"layer_1": steel, "layer_2": steel}))
    outputs = ("-o", "test.csv", "--plot", "test.png")
    result = fe2("material", file, "--path", "path.csv", "--increments", 4, *outputs)
    assert result.status == 1
    assert "the prescribed fluxes were not reached, stress xx = 360" in result.err
    rows = list(csv.DictReader((tmp_path / "test.csv").read_text().splitlines()))
    stresses = [float(row["stress_xx"]) for row in rows]
    assert stresses[:4] == pytest.approx([0.0, 90.0, 180.0, 270.0], rel=1e-8)
    assert 270.0 < stresses[-1] < 250.0 * 2.0 / math.sqrt(3.0)
    assert [name for name in rows[0] if name.startswith("plastic_strain")] == [
        f"plastic_strain_{name}" for name in ("xx", "yy", "zz", "xy")
    ]
    assert (tmp_path / "test.png").stat().st_size > 5000


PATHS = {
    "time,strain_xy\n0,0\n1,a\n": "line 3, column strain_xy = 'a': a number is needed, or nothing",
    "time,strain_xt\n0,0\n1,1\n": "column 'strain_xt': did you mean strain_xy?",
    "t,strain_xy\n0,0\n1,1\n": "column 't': the first column is time",
    "time,strain_xx,stress_xx\n0,0,\n1,1,1\n": "line 3: only one of strain_xx and stress_xx",
    "time,strain_xx\n0,0\n1,1,1\n": "line 3: 2 entries are needed",
    "time,strain_xx\n0,0\n0,1\n": "column time: at least two times are needed, and they have to increase",
    "": "the table is empty",
}


@pytest.mark.parametrize("text", PATHS)
def test_mistakes_in_a_path_are_told_with_line_and_column(text: str, fe2: Command, tmp_path: Path) -> None:
    (tmp_path / "path.csv").write_text(text)
    result = fe2("material", write(tmp_path, GENERATOR_CELL), "--path", "path.csv")
    assert result.status == 1
    assert f"fe2: path.csv: {PATHS[text]}" in result.err


# --- mesh ---


def test_mesh_has_a_command_for_every_generator(fe2: Command) -> None:
    from fe2_meshes import MACROSCOPIC_MESHES, PERIODIC_CELLS

    listed = well(fe2("mesh", "--help"))
    for name in (*PERIODIC_CELLS, *MACROSCOPIC_MESHES):
        assert f"  {name} " in listed
        assert "FILE.msh" in well(fe2("mesh", name, "--help"))


def test_mesh_passes_options_to_the_generator(fe2: Command, tmp_path: Path) -> None:
    options = ("--fractions", "0.25,0.75", "--elements", "tensor", "--size", "0.25", "--normal", "2")
    assert well(fe2("mesh", "laminate", "layers.msh", *options)) == "layers.msh\n"
    cell = {"mesh": "layers.msh", "physics": "small_strain"}
    phase = {"law": "linear_elastic", "young": 1.0, "poisson": 0.3}
    file = write(tmp_path, {"cell": cell, "phases": {"layer_1": phase, "layer_2": phase}})
    fractions = json.loads(well(fe2("homogenize", file, "--json")))["volume_fractions"]
    assert fractions == pytest.approx({"layer_1": 0.25, "layer_2": 0.75})


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--fractions", "0.25,0.7"), 1, "fractions = (0.25, 0.7): must be positive and sum to 1"),
        (("--fractions", "0.25;0.7"), 2, "numbers with commas between them are needed"),
        (("--normal", "4"), 2, "is not one of '1', '2', '3'"),
        (("--fraction", "0.3"), 2, "Did you mean '--fractions'?"),
    ],
)
def test_mesh_refuses_wrong_options(
    options: tuple[str, str], status: int, message: str, fe2: Command
) -> None:
    result = fe2("mesh", "laminate", "layers.msh", *options)
    assert result.status == status
    assert message in result.err
    assert not Path("layers.msh").exists()


# --- new, run ---


def test_new_case_runs_as_it_is(fe2: Command, tmp_path: Path) -> None:
    well(fe2("new", "plate"))
    well(fe2("check", "plate/case.toml"))
    out = well(fe2("run", "plate/case.toml"))
    assert "finished at time 2" in out
    results = tmp_path / "plate/results"
    for name in ("macro.pvd", "history.csv", "summary.json", "summary.txt", "run.log", "plate.png"):
        assert (results / name).stat().st_size > 0, name
    understood = json.loads((results / "case_understood.json").read_text())
    assert understood["case"]["steps"]["smallest"] == 2.0**-6
    assert understood["case"]["laws"]["composite"]["phases"]["matrix"]["young"] == 45e3
    assert "dolfinx" in understood["versions"]
    assert "step 8/8" in (results / "run.log").read_text()
    history = read_history(results)
    assert history["grip_prescribed_x"].tolist() == pytest.approx(
        [0.0075, 0.015, 0.0225, 0.03, 0.0225, 0.015, 0.0075, 0]
    )
    assert history["grip_x"][3] > 1000.0
    assert history["grip_x"][-1] < 0.0
    well(fe2("material", "plate/cell.toml", "--path", "plate/pull.csv", "-q"))


def test_new_does_not_replace_files(fe2: Command, tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate/cell.toml").write_text("mine")
    result = fe2("new", "plate")
    assert result.status == 1
    assert "plate/cell.toml exists and is not replaced" in result.err
    assert (tmp_path / "plate/cell.toml").read_text() == "mine"


def test_run_never_replaces_results_without_force(fe2: Command, tmp_path: Path) -> None:
    file = write(tmp_path, changed(RUN, output__pictures=None))
    well(fe2("run", file, "-q"))
    before = (tmp_path / "results/history.csv").read_text()
    again = fe2("run", file, "-q")
    assert again.status == 1
    assert "results holds the results of an earlier run" in again.err
    assert "--force" in again.err
    assert (tmp_path / "results/history.csv").read_text() == before
    summary = json.loads(well(fe2("run", file, "--force", "--json")))
    assert summary["finished"]
    assert summary["steps"] == 2


def test_dry_run_says_how_large_the_run_is(fe2: Command, tmp_path: Path) -> None:
    file = write(tmp_path, RUN)
    facts = json.loads(well(fe2("run", file, "--dry-run", "--json")))
    assert facts["macro_cells"] == 8
    assert facts["unknowns"] == 2 * 5 * 3
    assert facts["points"] == 8 * 4
    assert facts["steps"] == 2
    assert facts["bytes_of_rank"] > facts["bytes_of_states"] > 0
    text = well(fe2("run", file, "--dry-run"))
    assert "quadrature points       32 with a cell each" in text
    assert "memory of a rank" in text
    assert not (tmp_path / "results").exists()


def test_run_that_fails_says_where_and_keeps_its_log(fe2: Command, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        changed(
            RUN, solver__micro={"tolerance": 1e-10, "max_iterations": 1, "parts": 1, "strategy": "newton"}
        ),
    )
    result = fe2("run", file)
    assert result.status == 1
    assert "load step 2 failed at the smallest step size" in result.err
    assert "the RVE at macroscopic cell" in result.err
    assert "ended by StepSizeError" in (tmp_path / "results/run.log").read_text()


@pytest.mark.mpi
@pytest.mark.parametrize(("ranks", "options"), [(2, ()), (3, ("--macro-ranks", "1"))])
def test_run_on_several_ranks_gives_the_history_of_one(
    fe2: Command, tmp_path: Path, ranks: int, options: tuple[str, ...]
) -> None:
    file = write(tmp_path, changed(RUN, output__pictures=None))
    well(fe2("run", file, "-q"))
    expected = read_history(tmp_path / "results")
    out = succeeded(in_ranks(ranks, "run", file, "--force", "--json", *options))
    assert json.loads(out)["ranks"] == ranks
    found = read_history(tmp_path / "results")
    for name in ("time", "grip_x", "grip_y", "grip_prescribed_x", "top_load_y"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-7, atol=1e-9)


@pytest.mark.mpi
def test_homogenize_on_two_ranks_prints_once(tmp_path: Path) -> None:
    out = succeeded(in_ranks(2, "homogenize", write(tmp_path, IMAGE_CELL), "--json"))
    assert json.loads(out)["volume_fractions"]["fibre"] == 0.25


@pytest.mark.mpi
def test_another_number_of_ranks_than_wanted_is_refused_by_all(tmp_path: Path) -> None:
    result = in_ranks(2, "run", write(tmp_path, RUN), "--ranks", "3")
    assert result.stderr.count("fe2: --ranks 3: the run has 2") == 1
    assert result.stderr.count("ends with status 1") == 2
    assert not (tmp_path / "results").exists()


@pytest.mark.mpi
def test_more_ranks_than_cores_are_told(tmp_path: Path) -> None:
    program = (
        "import fe2.cli.cores as cores; from mpi4py import MPI; cores.physical_cores = lambda: 1; "
        "cores.check_ranks(MPI.COMM_WORLD, None, False); cores.check_ranks(MPI.COMM_WORLD, 2, True)"
    )
    result = mpiexec(2, ["-c", program], timeout=60)
    succeeded(result)
    assert result.stderr.count("fe2: hint: 2 ranks on 1 cores") == 1


def test_threads_of_one_core_count_once(tmp_path: Path) -> None:
    from fe2.cli.cores import physical_cores

    for cpu, (package, core) in enumerate([(0, 0), (0, 1), (0, 0), (0, 1), (1, 0)]):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "core_id").write_text(f"{core}\n")
    assert physical_cores(tmp_path) == 3


def test_options_reach_petsc(tmp_path: Path) -> None:
    file = write(tmp_path, changed(RUN, output__pictures=None))
    out = succeeded(own_process("run", file, "--petsc", "-fe2_macro_snes_monitor", "-q"))
    assert re.search(r"0 SNES Function norm", out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    variables = {"_FE2_COMPLETE": f"{shell}_source"}
    program = [sys.executable, "-c", "from fe2.cli.main import main; main()"]
    assert "_FE2_COMPLETE" in succeeded(run_process(program, timeout=60, variables=variables))
    place = "ho" if shell == "fish" else "1"
    variables = {"_FE2_COMPLETE": f"{shell}_complete", "COMP_WORDS": "fe2 ho", "COMP_CWORD": place}
    out = succeeded(run_process(program, timeout=60, variables=variables))
    assert "homogenize" in out
    assert "material" not in out


# --- schema, info, the rest ---


@pytest.mark.parametrize("kind", ["cell", "run"])
def test_schema_is_json(kind: str, fe2: Command) -> None:
    assert json.loads(well(fe2("schema", kind)))["title"] == f"fe2 {kind} file"


def test_info_tells_versions_solvers_and_the_compiler(fe2: Command) -> None:
    facts = json.loads(well(fe2("info", "--json")))
    assert facts["versions"]["dolfinx"].startswith("0.11")
    assert "mumps" in facts["petsc"]["solvers"]
    assert facts["compiler"]["works"]
    assert "compiled forms in" in well(fe2("info"))


def test_info_fails_where_forms_cannot_be_compiled() -> None:
    variables = {"CC": "no-such-compiler"}
    result = run_process([sys.executable, "-m", "fe2", "info"], timeout=60, variables=variables)
    assert result.returncode == 1
    assert "DOES NOT WORK" in result.stdout


def test_command_that_does_not_exist(fe2: Command) -> None:
    result = fe2("homogenise")
    assert result.status == 2
    assert "Did you mean homogenize?" in result.err


def test_output_that_nobody_reads_is_no_error() -> None:
    command = f"{sys.executable} -m fe2 schema run | head -n 1"
    result = run_process(["sh", "-c", command], timeout=60)
    assert result.returncode == 0
    assert result.stderr == ""


def test_interrupt_ends_with_a_word(fe2: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fe2.case.read.read_case", interrupt)
    result = fe2("check", write(tmp_path, RUN))
    assert result.status == 130
    assert result.err.strip() == "fe2: interrupted"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_run_that_a_signal_stops_is_resumed(fe2: Command, tmp_path: Path, name: str) -> None:
    import signal

    from mpi import start

    file = write(tmp_path, changed(RUN, steps__increments=400, output__pictures=None))
    process = start([sys.executable, "-m", "fe2", "run", str(file)])
    deadline = time.monotonic() + 60.0
    while not (tmp_path / "results/history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert f"fe2: stopped by {name} at time " in err
    done = read_history(tmp_path / "results")["time"]
    assert 1 <= len(done) < 400
    # the steps that lie ahead may change: only two more
    end = float(2.0 * done[-1] + 0.01)
    times = [0.0, *done.tolist(), end, end + 0.01]
    shorter = changed(RUN, output__pictures=None, steps={"times": times})
    well(fe2("run", write(tmp_path, shorter), "--resume", "-q"))
    assert read_history(tmp_path / "results")["time"].tolist() == times[1:]


def test_cell_that_ends_a_run_is_replayed(fe2: Command, tmp_path: Path) -> None:
    stubborn = {"max_iterations": 1, "parts": 1, "strategy": "newton"}
    hopeless = changed(RUN, solver__micro=stubborn, output__pictures=None)
    failed = fe2("run", write(tmp_path, hopeless), "-q")
    assert failed.status == 1
    assert "To solve this RVE by itself: fe2 replay " in failed.err
    again = fe2("replay", "results/failure.h5")
    assert again.status == 1
    assert "failed again: the cell problem did not converge in 1 iteration" in again.out
    assert (tmp_path / "results/replay.png").stat().st_size > 10_000
    found = json.loads(
        well(fe2("replay", "results/failure.h5", "--max-iterations", "30", "--json", "-o", "b.png"))
    )
    assert found["solved"] is True
    wanted = re.search(r"in 1 iteration to ([\d.e+-]+),", again.out)
    assert wanted is not None
    assert found["residuals"][-1] <= float(wanted[1]) < 1e-6 * found["residuals"][0]
    assert f"macroscopic cell {found['cell']}, quadrature point {found['point']}," in failed.err
    module = run_process([sys.executable, "-m", "fe2.replay", "results/failure.h5", "--json"], timeout=100)
    assert module.returncode == 1
    assert json.loads(module.stdout)["cell"] == found["cell"]


def test_cell_that_was_made_beforehand_is_not_replayed(fe2: Command, tmp_path: Path) -> None:
    small = {"largest": 1e-3, "outside": "raise", "directions": 2}
    left = changed(RUN, output__pictures=None, steps__smallest=0.5)
    (law,) = left["laws"].values()
    law |= {"model": "linearized", **small}
    ended = fe2("run", write(tmp_path, left), "-q").err
    assert "of the range in which" in ended
    assert "fe2 replay" not in ended
    again = fe2("replay", "results/failure.h5")
    assert again.status == 1
    assert 'the law that failed has model = "linearized"' in again.err


def test_show_draws_a_run_from_its_folder_alone(fe2: Command, tmp_path: Path) -> None:
    file = write(tmp_path, changed(RUN, output__pictures=None))
    well(fe2("run", file, "-q"))
    file.unlink()
    out = well(fe2("show", "results"))
    assert "run:                        finished" in out
    for name in ("show.png", "convergence.png"):
        assert (tmp_path / "results" / name).stat().st_size > 10_000
        assert f"results/{name}" in out
    options = ("--field", "stress_xy", "--history", "grip_prescribed_x", "grip_x", "-o", "xy.png")
    assert "xy.png" in well(fe2("show", "results", *options))
    refused = fe2("show", "results", "--field", "stres_xy", "-o", "no.png")
    assert refused.status == 1
    assert "has no field 'stres_xy'" in refused.err
    assert fe2("show", ".").status == 1


def test_a_cell_of_several_blocks_has_an_effective_tangent_for_each_pair(
    fe2: Command, tmp_path: Path
) -> None:
    """A laminate that stores nothing: means along the layers and across them, and nothing beside."""
    phases = {"layer_1": {"conductivity": 1.0}, "layer_2": {"conductivity": 3.0}}
    cell = {**GENERATOR_CELL["cell"], "physics": "diffusion", "value": True}
    file = write(tmp_path, {"cell": cell, "phases": phases}, "cell.toml")
    found = json.loads(fe2("homogenize", file, "--json").out)
    assert found["components"] == {"value": ["value"], "gradient": ["x", "y"]}
    effective = found["effective"]
    assert {dual: list(by) for dual, by in effective.items()} == {
        "storage": ["value", "gradient"],
        "flux": ["value", "gradient"],
    }
    np.testing.assert_allclose(effective["flux"]["gradient"], np.diag([1.5, 2.0]), atol=1e-12)
    assert np.shape(effective["storage"]["gradient"]) == (1, 2)
    np.testing.assert_allclose(effective["flux"]["value"], 0.0, atol=1e-12)
    assert "effective flux by gradient" in fe2("homogenize", file, "-q").out
