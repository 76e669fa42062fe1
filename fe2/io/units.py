"""Units of a table in a file beside it, so that nobody who reads the table stumbles over them.

Units are words of the user, as "mm, MPa". The file has the name of the table with ``-metadata.json`` behind
it, where programs look for what is known of a table (W3C, Model for Tabular Data and Metadata on the Web,
2015, section 5.3), and says ``"schema:unitText": "mm, MPa"``.
"""

from __future__ import annotations

import json
from pathlib import Path

from fe2.io.vtu import naming, write_whole

METADATA = "-metadata.json"
"""What stands behind the name of a table in the name of the file with its units."""

_UNITS = "schema:unitText"


def write_units(table: Path, units: str) -> None:
    """Write the units of a table; where there are none, no file stays that an earlier one had.

    Raises:
        Fe2Error: The file could not be written.
    """
    path = _beside(table)
    if not units:
        with naming(path):
            path.unlink(missing_ok=True)
        return
    content = {"@context": "http://www.w3.org/ns/csvw", "url": table.name, _UNITS: units}
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_units(table: Path) -> str:
    """Units of a table, nothing where none are known."""
    try:
        content = json.loads(_beside(table).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    units = content.get(_UNITS, "") if isinstance(content, dict) else ""
    return units if isinstance(units, str) else ""


def with_units(name: str, units: str) -> str:
    """The label of an axis: the name of a column or field, and the units that all numbers are in."""
    words, written = name.replace("_", " "), units.replace("$", r"\$")  # no formula begins there
    return f"{words}  (units: {written})" if units else words


def _beside(table: Path) -> Path:
    return table.with_name(table.name + METADATA)
