"""PETSc's options: what a case file may set, what wrong ones end in, and what is read from where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import two_scale
from case_files import RUN, changed, write
from micro_options import micro_option
from mpi import mpiexec, succeeded
from mpi import run as run_process
from mpi4py import MPI
from petsc4py import PETSc

from fe2.case.petsc_table import MacroSolver
from fe2.case.read import read_case
from fe2.cli.main import run as command_line
from fe2.errors import Fe2Error, Fe2Warning, InputError

WORLD = MPI.COMM_WORLD


def refused(folder: Path, options: dict[str, Any]) -> str:
    file = write(folder, changed(RUN, solver__macro=options))
    with pytest.raises(InputError) as refusal:
        read_case(file)
    return str(refusal.value)


# --- case files ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pc_python_type", "marker.py:PC"),  # loads code
        ("pc_shell", "x"),
        ("mat_shell", "x"),
        ("snes_python_type", "x.py:S"),
        ("ksp_view", "ascii:victim.txt"),  # writes files
        ("ksp_view_mat", "ascii:victim.txt"),
        ("snes_monitor", "ascii:victim.txt:append"),
        ("snes_monitor", ""),
        ("log_view", ":victim.txt"),
        ("mat_mumps_ooc_tmpdir", "/tmp"),
        ("mat_mumps_icntl_1", 7),  # Fortran's unit 7 is the file fort.7
        ("mat_mumps_icntl_22", 1),
        ("options_file", "more"),
        ("prefix_push", "x_"),
        ("dll_append", "x.so"),
        ("snes rtol -help", 1),
        ("-snes_rtol", 1e-8),
        ("", 1),
        ("unknown_option", 1),
    ],
)
def test_options_that_load_code_write_or_are_unknown_are_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    text = refused(tmp_path, {name: value})
    key = name if name.replace("_", "").isalnum() or name == "-snes_rtol" else f'"{name}"'
    assert f"solver.macro.{key} = " in text
    assert "unknown key" in text
    assert "--petsc" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pc_type", "python"),
        ("pc_type", "shell"),
        ("ksp_type", "python"),
        ("ksp_type", "nonsense"),
        ("snes_type", "python"),
        ("mg_levels_pc_type", "python"),
        ("snes_rtol", "abc"),
        ("snes_rtol", "1e-8 -ksp_view ascii:victim.txt"),
        ("snes_rtol", -1.0),
        ("snes_rtol", True),
        ("snes_max_it", -5),
        ("snes_max_it", 2.5),
        ("snes_max_it", 10**30),
        ("mat_mumps_icntl_14", "20"),
        ("mat_mumps_icntl_7", 99),
        ("ksp_rtol", float("inf")),
    ],
)
def test_values_of_options_are_checked(tmp_path: Path, name: str, value: object) -> None:
    assert f"solver.macro.{name} = " in refused(tmp_path, {name: value})


def test_the_nearest_option_is_told(tmp_path: Path) -> None:
    assert "did you mean snes_rtol?" in refused(tmp_path, {"snes_rtoll": 1e-8})


def choices(annotation: Any) -> tuple[str, ...]:
    """Words that an option takes."""
    found = [get_args(part) for part in get_args(annotation) if get_origin(part) is Literal]
    return found[0] if found else ()


NOT_IN_EVERY_PETSC = {"hypre", "boomeramg"}
DEFAULT = {"snes_max_it": 3}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, info in MacroSolver.model_fields.items()
        for value in choices(info.annotation)
        if name.startswith(("snes_", "ksp_")) or name == "pc_type"
        if value not in NOT_IN_EVERY_PETSC
    ],
)
def test_every_word_of_the_table_is_known_to_petsc(name: str, value: str) -> None:
    options = PETSc.Options()
    solver = PETSc.SNES().create(MPI.COMM_SELF)
    solver.setOptionsPrefix("words_")
    options[f"words_{name}"] = value
    try:
        solver.setFromOptions()
        assert options.used(f"words_{name}")
    finally:
        options.delValue(f"words_{name}")


# --- scripts and the database ---


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("snes_rtol", "abc", "abc has no numeric value"),
        ("ksp_type", "nonsense", "KSP type nonsense"),
        ("snes_max_it", -5, "must be non-negative"),
        ("ksp_norm_type", "foo", "Available options: none preconditioned"),
    ],
)
def test_wrong_options_of_a_script_end_in_one_sentence(name: str, value: object, said: str) -> None:
    with pytest.raises(InputError) as refusal:
        two_scale.clamped(
            two_scale.rectangle(WORLD), two_scale.elastic_rve(), {"ksp_type": "gmres", name: value}
        )
    text = str(refusal.value)
    assert text.startswith(f"PETSc refuses the option -fe2_macro_{name} {value}: ")
    assert said in text
    assert "\n" not in text
    assert ".c:" not in text
    assert not PETSc.Options("fe2_macro_").getAll()


@pytest.mark.parametrize(
    ("name", "value"), [("ksp_type", "nonsense"), ("pc_factor_mat_solver_type", "umfpack")]
)
def test_wrong_options_of_the_cells_end_in_one_sentence(name: str, value: str) -> None:
    rve = two_scale.rve(two_scale.fibre_cell(), two_scale.STEEL, two_scale.STEEL)
    state = rve.initial_state  # a call makes the solver
    wrong = rf"^PETSc .* -fe2_micro_{name} {value}: "
    with micro_option(name, value), pytest.raises(Fe2Error, match=wrong) as refusal:
        rve.solve(np.zeros(3), state(), 1.0, state())
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("package", ["umfpack", "superlu", "cholmod", "strumpack"])
def test_package_that_is_not_there_is_refused_with_those_that_are(package: str) -> None:
    options = {"pc_factor_mat_solver_type": package}
    with pytest.raises(InputError) as refusal:
        two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve(), options)
    text = str(refusal.value)
    assert text.startswith(f"PETSc refuses the option -fe2_macro_pc_factor_mat_solver_type {package}: ")
    assert "this PETSc has petsc, mumps" in text
    assert "\n" not in text
    assert not PETSc.Options("fe2_macro_").getAll()


@pytest.mark.parametrize(("name", "value"), [("pc_type", "hypre"), ("pc_factor_mat_solver_type", "umfpack")])
def test_check_and_run_refuse_what_petsc_lacks_before_any_work(
    name: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, changed(RUN, solver__macro={name: value}))
    for command in ("check", "run"):
        assert command_line([command, str(file)]) == 1
        err = capsys.readouterr().err
        assert f'case.toml: solver.macro.{name} = "{value}": PETSc refuses the option' in err
        assert f"(this PETSc has {'its own, gamg' if name == 'pc_type' else 'petsc, mumps'}" in err
        assert "Traceback" not in err


def test_default_package_is_for_complete_factorizations_only() -> None:
    """An incomplete one takes PETSc's own, and leads to the same displacement."""
    found = []
    for options in ({}, {"ksp_type": "gmres", "pc_type": "ilu", "ksp_rtol": 1e-12}):
        strip = two_scale.clamped(
            two_scale.rectangle(MPI.COMM_SELF), two_scale.elastic_rve(), {"snes_rtol": 1e-10, **options}
        )
        strip.step((0.01, 0.02))
        found.append(strip.problem.unknown.x.array.copy())
    assert strip.problem.snes.getKSP().getPC().getFactorSolverType() == "petsc"
    assert np.abs(found[1] - found[0]).max() < 1e-8 * np.abs(found[0]).max()


@pytest.mark.mpi
def test_what_petsc_has_on_one_rank_only_is_refused_on_all_in_one_sentence(tmp_path: Path) -> None:
    options = {"ksp_type": "gmres", "pc_type": "ilu", "pc_factor_mat_solver_type": "petsc"}
    file = write(tmp_path, changed(RUN, solver__macro=options))
    result = mpiexec(2, ["-m", "fe2", "run", str(file)], timeout=100)
    assert result.returncode != 0
    assert 'solver.macro.pc_factor_mat_solver_type = "petsc": PETSc refuses' in result.stderr
    assert "mpiaij" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("fe2: ") == 1


def test_options_of_a_factorization_reach_it_and_those_of_nothing_are_told() -> None:
    given = {"mat_mumps_icntl_14": 35, "pc_gamg_threshold": 0.1, "unknown": 1}
    strip = two_scale.clamped(two_scale.rectangle(WORLD), two_scale.elastic_rve(), given)
    with pytest.warns(Fe2Warning, match="macroscopic problem: pc_gamg_threshold, unknown$"):
        strip.step((0.01, 0.02))
    assert strip.problem.snes.getKSP().getPC().getFactorMatrix().getMumpsIcntl(14) == 35


# --- what is read from where ---


def test_commands_read_no_options_from_the_working_directory(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "somebody"
    home.mkdir()
    folder.mkdir()
    (home / ".petscrc").write_text("-from_home 1\n")
    for name in (".petscrc", "petscrc"):
        (folder / name).write_text("-from_folder 1\n")
    program = (
        f"import os; os.chdir({str(folder)!r})\n"
        "from fe2.cli.main import run\n"
        "assert run(['info', '--json']) == 0\n"
        "from petsc4py import PETSc\n"
        "print(sorted(PETSc.Options().getAll()))"
    )
    out = succeeded(run_process([sys.executable, "-c", program], timeout=100, variables={"HOME": str(home)}))
    assert "from_home" in out
    assert "from_folder" not in out
