"""fe2 comes before DOLFINx: it orders the libraries that both load. Numbers for the verification table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fe2  # noqa: F401  # isort: skip


from micro_options import micro_option

from fe2.micro.newton import STRATEGIES, NewtonOptions

Verify = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--verification", type=Path, help="run what compares with references, and record it here"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--verification"):
        items[:] = [item for item in items if "verify" in getattr(item, "fixturenames", ())]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m unit`` other modules are not even imported, which takes longer than the unit tests."""
    if config.option.markexpr != "unit" or collection_path.suffix != ".py":
        return None
    return "pytest.mark.unit" not in collection_path.read_text(encoding="utf-8") or None


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each strategy of cells in turn, for all cells that are made in the test."""
    with micro_option("strategy", request.param):
        yield request.param


@pytest.fixture
def verify(request: pytest.FixtureRequest, strategy: str) -> Verify:
    """Compares a number with its reference, with every strategy of cells.

    Both numbers are recorded where the verification table is wanted, those of the default strategy.
    """
    file: Path | None = request.config.getoption("--verification")

    def compare(case: str, result: float, reference: float, *, tolerance: float, source: str) -> None:
        """Fails where |result - reference| exceeds the tolerance, an absolute one."""
        if file is not None and strategy == NewtonOptions.strategy:
            row = {"case": case, "result": float(result), "reference": float(reference)}
            row |= {
                "tolerance": float(tolerance),
                "source": source,
                "test": request.node.nodeid.split("[")[0],
            }
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        assert abs(result - reference) <= tolerance, f"{case}: {result} instead of {reference} ± {tolerance}"

    return compare
