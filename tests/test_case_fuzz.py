"""Whatever stands in a case file: it is accepted, or refused with file, key and what would be right."""

from __future__ import annotations

import copy
import datetime
import itertools
import os
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from case_files import GENERATOR_CELL, IMAGE_CELL, RUN, Table, toml, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mpi import PROGRAMS, mpiexec, succeeded

from fe2.case.read import read_case
from fe2.errors import InputError

EXAMPLES = int(os.environ.get("FE2_FUZZ", "100"))
"""Mutated cases of each test; `make test-all` takes 1200."""

FILES = {"image": IMAGE_CELL, "generator": GENERATOR_CELL, "run": RUN}

KEYS = st.sampled_from(
    [
        "cell",
        "phases",
        "label",
        "law",
        "young",
        "physics",
        "image",
        "mesh",
        "generator",
        "size",
        "on",
        "at",
        "load",
    ]
) | st.text(string.ascii_letters + " .é\"'\\", min_size=1, max_size=6)

NUMBERS = st.integers(-(10**30), 10**30) | st.integers(-3, 3) | st.floats() | st.just(10**400)
WORDS = st.sampled_from(
    [
        "",
        "t",
        "1/t",
        "t**t**t",
        "(-1)**0.5",
        "9**9**9**9",
        "exp(1e9)",
        "__import__('os')",
        "t if t else",
        "../..",
        "small_strain",
        "linear",
        "linear_elastic",
        "labels.npy",
        "x.raw",
        "\0",
        "laminate",
        "left",
        "a\nb",
    ]
)
SCALARS = NUMBERS | st.booleans() | WORDS | st.text(max_size=8) | st.just(datetime.date(2024, 2, 29))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    write(folder, IMAGE_CELL)
    return folder


FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=2000,
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


@pytest.mark.mpi
def test_two_ranks_agree_on_mutated_runs_without_traceback_or_hang(folder: Path) -> None:
    cases = folder / "runs"
    cases.mkdir()
    numbers = itertools.count()

    @settings(FUZZ, max_examples=EXAMPLES // 2, phases=[Phase.generate])
    @given(table=mutated(names=["run"]))
    def collect(table: Table) -> None:
        write(cases, table, f"{next(numbers):05}.toml")

    collect()
    succeeded(mpiexec(2, [str(PROGRAMS / "mutated_runs.py"), str(cases)], timeout=280))


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
