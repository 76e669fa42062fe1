"""Whatever stands in a case file: it is accepted, or refused with file, key and what would be right."""

from __future__ import annotations

import copy
import datetime
import itertools
import os
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from case_files import GENERATOR_CELL, IMAGE_CELL, RUN, Table, changed, toml, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mpi import PROGRAMS, mpiexec, succeeded
from mpi import run as run_process

from fe2.case.cell_tables import GeneratorCell, ImageCell
from fe2.case.petsc_table import MacroSolver
from fe2.case.read import read_case
from fe2.case.run_tables import ModelPlace, OutputTable, PictureTable, RunFile
from fe2.errors import InputError
from fe2.micro.model_table import MODELS
from fe2.physics.physics_table import PHYSICS

EXAMPLES = int(os.environ.get("FE2_FUZZ", "100"))
"""Mutated cases of each test; `make test-all` takes 1200."""

PLATE = changed(
    RUN,
    mesh={"generator": "perforated_plate", "size": 0.4, "hole_size": 0.2},
    laws__composite__subdomain="plate",
    body=[{"on": "plate", "load": {"y": "-0.1 * t"}, "spring": {"x": 1.0}}],
    steps={"times": [0.0, 0.5, 1.0]},
    output__watch=[[0.5, 0.5]],
    output__pictures=[
        {"file": "a.png", "field": "stress_xx", "step": 1, "labels": {"stress_xx": "σ"}},
        {"file": "b.svg", "watch": 0, "local_field": "equivalent_plastic_strain"},
    ],
    solver={
        "macro": {"ksp_type": "gmres", "pc_type": "lu", "snes_max_it": 30, "mat_mumps_icntl_14": 30},
        "micro": {"tolerance": 1e-9, "strategy": "newton"},
    },
    parallel={"ranks_per_rve": 1, "balance": "steps"},
)

HEAT: Table = {
    "physics": "diffusion",
    "mesh": {"box": [[0, 1], [0, 1]], "cells": [2, 2], "element": "triangle"},
    "field": {"degree": 1, "initial": 20.0},
    "laws": {
        "foam": {
            "cell": {
                "generator": "square_array",
                "fraction": 0.3,
                "size": 0.2,
                "physics": "diffusion",
                "value": True,
                "initial_value": 20.0,
                "contact": [{"between": ["matrix", "fibre"], "resistance": 0.1}],
            },
            "phases": {"matrix": {"conductivity": 1.0, "capacity": 2.0}, "fibre": {"conductivity": 10.0}},
            "rotated": True,
            "parameters": {"angle": "0.5 * x if y < 0.5 else atan2(y, x)"},
        }
    },
    "boundary": [
        {"on": "left", "prescribed": "20 + 80 * min(1, t)"},
        {"on": "right", "exchange": {"coefficient": 2.0, "ambient": [[0.0, 20.0], [1.0, 30.0]]}},
    ],
    "body": [{"load": "sin(pi * t)"}],
    "steps": {"end": 1.0, "increments": 2},
    "output": {"folder": "heat", "balance": True, "reactions": ["left"], "costs": True},
}
"""A square that is heated, in cells that store and have a resistance between their phases."""

FILES = {"image": IMAGE_CELL, "generator": GENERATOR_CELL, "run": RUN, "plate": PLATE, "heat": HEAT}
CELLS, RUNS = ("generator", "image"), ("heat", "plate", "run")

OF_PACKAGES = (*MODELS.sound().values(), *PHYSICS.sound().values())
TABLES = (RunFile, ModelPlace, ImageCell, GeneratorCell, PictureTable, OutputTable, MacroSolver, *OF_PACKAGES)
KEYS = (
    st.sampled_from(sorted({name for table in TABLES for name in table.model_fields}))
    | st.sampled_from(["young", "conductivity", "pc_python_type", "ksp_view", "snes_monitor", "options_file"])
    | st.text(string.ascii_letters + " .é\"'\\\0\x1b", min_size=1, max_size=6)
)

NUMBERS = (
    st.integers(-(10**30), 10**30)
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from([10**400, 2**31, 2**63, 1e308, 5e-324, -0.0, 1e-300])
)
EXPRESSIONS = (
    *("", "t", "1/t", "1/(t - 0.5)", "sqrt(0.5 - t)", "log(t)", "min(t)", "abs(t, 1)", "sin()", "t**t**t"),
    *("(-1)**0.5", "9**9**9**9", "exp(1e9)", "t if t else", "t" * 300, "(" * 150, "().__class__"),
    *("__import__('os')", "[t for t in t]", "lambda: t", "t.real", "f'{t}'", "t := 1", "1j", "not t"),
)
NAMES = (
    *(
        "../..",
        "../../x.png",
        "/etc/passwd",
        "x.png",
        "a/b.png",
        ".png",
        "results",
        ".",
        "/",
        "~",
        "a" * 5000,
    ),
    *("ascii:victim.txt", "python", "x.py:PC", "$(touch x)", "{{ 7 * 7 }}", "%s%n", "\0", "a\nb", "\x1b[31m"),
    *(
        "small_strain",
        "diffusion",
        "linear",
        "linear_elastic",
        "labels.npy",
        "x.raw",
        "laminate",
        "left",
        "lft",
    ),
    *("stress_xx", "stres_xx", "grip", "matrix", "plate", "mumps", "gmres", "σ\u202eε", "\ufffd", "𝔘"),
)
WORDS = st.sampled_from(EXPRESSIONS) | st.sampled_from(NAMES)
SCALARS = NUMBERS | st.booleans() | WORDS | st.text(max_size=8) | st.just(datetime.date(2024, 2, 29))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def places(table: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys of all entries."""
    entries = (
        table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    )
    for key, entry in entries:
        yield (*way, key)
        yield from places(entry, (*way, key))


def mutate(table: Table, draw: Any) -> None:
    """Replace, remove, rename or add one entry."""
    found = list(places(table))
    if not found:
        return
    *way, last = draw(st.sampled_from(found))
    inner: Any = table
    for key in way:
        inner = inner[key]
    action = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
    if action == "replace":
        inner[last] = draw(VALUES)
    elif action == "remove":
        del inner[last]
    elif isinstance(inner, list):
        inner.append(draw(VALUES))
    else:
        inner[draw(KEYS)] = inner.pop(last) if action == "rename" else draw(VALUES)


@st.composite
def mutated(draw: Any, names: Sequence[str] = tuple(FILES)) -> Table:
    table = copy.deepcopy(FILES[draw(st.sampled_from(sorted(names)))])
    for _ in range(draw(st.integers(1, 3))):
        mutate(table, draw)
    return table


def refusal(file: Path) -> list[str]:
    """Lines of the refusal, none where the file is accepted."""
    try:
        read_case(file)
    except InputError as error:
        return str(error).split(f"{file}: ")[1:] if str(error).startswith(f"{file}: ") else [""]
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cases")
    write(folder, IMAGE_CELL)
    before = everything_around(folder)
    yield folder
    assert everything_around(folder) == before, "reading a file has written another one"


def everything_around(folder: Path) -> set[Path]:
    """Files that a path in a case file might reach, but for those of the tests."""
    near = [*Path.cwd().glob("*"), *folder.parent.glob("*"), *folder.glob("*")]
    return {path for path in near if path.name not in ("case.toml", "runs", "cells")}


FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=20_000,  # milliseconds, on a busy machine
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(table=mutated())
def test_mutated_tables_are_accepted_or_refused_with_file_and_key(table: Table, folder: Path) -> None:
    file = folder / "case.toml"
    file.write_text(toml(table), encoding="utf-8")
    for line in refusal(file):
        key, _, right = line.partition(": ")
        assert key.strip(), line
        assert right.strip(), line


@FUZZ
@given(
    name=st.sampled_from(sorted(FILES)),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.text("[]{}\"'=,.#\n t0", max_size=3)),
        min_size=1,
        max_size=3,
    ),
)
def test_damaged_text_is_accepted_or_refused_with_file_and_line_or_key(
    name: str, cuts: list[tuple[float, int, str]], folder: Path
) -> None:
    text = toml(FILES[name])
    for place, length, inserted in cuts:
        start = int(place * len(text))
        text = text[:start] + inserted + text[start + length :]
    file = folder / "case.toml"
    file.write_text(text, encoding="utf-8")
    for line in refusal(file):
        key, _, right = line.partition(": ")
        assert key.strip(), line
        assert right.strip(), line


def collected(folder: Path, names: Sequence[str], count: int) -> Path:
    """A folder with mutated files."""
    folder.mkdir()
    numbers = itertools.count()

    @settings(FUZZ, max_examples=count, phases=[Phase.generate])
    @given(table=mutated(names=names))
    def collect(table: Table) -> None:
        write(folder, table, f"{next(numbers):05}.toml")

    collect()
    return folder


@pytest.mark.mpi
def test_two_ranks_agree_on_mutated_runs_without_traceback_or_hang(folder: Path) -> None:
    cases = collected(folder / "runs", RUNS, min(150, EXAMPLES // 3))
    command = [str(PROGRAMS / "mutated_files.py"), str(cases), "run", "--dry-run", "--quiet"]
    succeeded(mpiexec(2, command, timeout=1200))


def test_mutated_cells_are_homogenized_or_refused(folder: Path) -> None:
    cases = collected(folder / "cells", CELLS, min(150, EXAMPLES // 5))
    command = [sys.executable, str(PROGRAMS / "mutated_files.py"), str(cases), "homogenize", "--json"]
    succeeded(run_process(command, timeout=1200))


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_that_are_mutated_are_right(name: str, folder: Path) -> None:
    file = write(folder, FILES[name])
    assert refusal(file) == []


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a" * 100_000, b"a = " + b"[" * 5000])
def test_files_that_are_no_case_are_refused(content: bytes, folder: Path) -> None:
    file = folder / "case.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"case\.toml: "):
        read_case(file)
