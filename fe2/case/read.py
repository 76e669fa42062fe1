"""Reading a file of either kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fe2.case.cell_case import CellCase, understand_cell
from fe2.case.problems import Problems
from fe2.case.toml_file import read_toml

if TYPE_CHECKING:
    from fe2.case.run_case import RunCase

_RUN_TABLES = ("mesh", "laws", "steps", "boundary", "output", "body", "field", "solver")


def read_case(file: Path) -> CellCase | RunCase:
    """Read and check a cell file or a run file, whichever it is.

    Raises:
        CaseFileError: Something is wrong; the message lists all of it.
    """
    table, problems = read_toml(file), Problems(file)
    case: CellCase | RunCase | None = None
    if any(name in table for name in _RUN_TABLES):
        from fe2.case.run_case import understand_run  # a tenth of a second that cell files do without

        case = understand_run(table, problems)
    elif "cell" in table or "phases" in table:
        case = understand_cell(table, problems)
    else:
        text = (
            "neither a cell file, with [cell] and [phases], nor a run file, with [mesh], [laws] and [steps]"
        )
        problems.add((), f"{text}; it has {', '.join(table) or 'nothing'}")
    problems.raise_if_any()
    assert case is not None
    return case
