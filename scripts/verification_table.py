"""Writes docs/verification.md from what the tests recorded: `make verification`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "verification.md"

_INTRO = """# Verification

<!-- Written by `make verification`; not to be edited by hand. -->

What fe2 computes beside what is known independently: closed formulas, published numbers, series. Each row
is a comparison of a test, written by a run of that test; the tolerance is the one that the test asserts, and
follows from the solver, the mesh or the digits of the source. `make verification` runs them all and writes
this page anew.

| case | fe2 | reference | difference | tolerance | source | test |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page(rows: list[dict[str, Any]]) -> str:
    """The page, ordered by test and case."""
    ordered = sorted(rows, key=lambda row: (row["test"], row["case"]))
    return _INTRO + "".join(map(_line, ordered))


def _line(row: dict[str, Any]) -> str:
    difference = abs(row["result"] - row["reference"])
    file, _, test = row["test"].partition("::")
    numbers = f"{row['result']:.10g} | {row['reference']:.10g} | {difference:.1e} | {row['tolerance']:.1e}"
    return f"| {row['case']} | {numbers} | {row['source']} | `{Path(file).name}`, `{test}` |\n"


if __name__ == "__main__":
    records = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    PAGE.write_text(page([json.loads(record) for record in records]), encoding="utf-8")
    print(f"{PAGE}: {len(records)} comparisons")
