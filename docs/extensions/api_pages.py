"""Reference pages of everything that `fe2.name` finds, one page for each folder of the package."""

from __future__ import annotations

import inspect
from collections import defaultdict
from pathlib import Path

from sphinx.application import Sphinx

import fe2

TITLES = {
    "physics": "Kinematics and phase laws",
    "micro": "Cells and micro models",
    "dispatch": "Pools",
    "macro": "The macroscopic problem",
    "simulation": "Runs",
    "io": "Files and pictures",
    "errors": "Errors",
}
"""Titles of the pages, in their order; a folder that is not named here has its own name for a title."""


CHECKS = ("fe2.testing", "fe2.testing.material_point")
"""Modules for tests, which are imported by their names."""


def pages() -> dict[str, list[str]]:
    """Public names by the folder or module of fe2 that holds them."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in fe2.__all__:
        thing = getattr(fe2, name)
        found[_page(thing.__name__ if inspect.ismodule(thing) else thing.__module__)].append(name)
    order = list(TITLES)
    return dict(sorted(found.items(), key=lambda item: (_place(item[0], order), item[0])))


def _page(module: str) -> str:
    unit = module.split(".")[1]
    return {"stepping": "simulation", "response": "dispatch"}.get(unit, unit)


def _place(name: str, order: list[str]) -> int:
    return order.index(name) if name in order else len(order)


def _entry(name: str) -> str:
    thing = getattr(fe2, name)
    if inspect.ismodule(thing):
        return f".. automodule:: {thing.__name__}\n   :members:\n"
    path = f"{thing.__module__}.{thing.__qualname__}"
    if not inspect.isclass(thing):
        return f".. autofunction:: {path}\n"
    # the fields of a named tuple stand in its docstring already
    fields = f"   :exclude-members: {', '.join(thing._fields)}\n" if hasattr(thing, "_fields") else ""
    return f".. autoclass:: {path}\n   :members:\n{fields}   :show-inheritance:\n"


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    contents = pages()
    for unit, names in contents.items():
        title = TITLES.get(unit, unit)
        text = f"{title}\n{'=' * len(title)}\n\n" + "\n".join(_entry(name) for name in names)
        _replace(folder / f"{unit}.rst", text)
    text = "".join(f".. automodule:: {name}\n   :members:\n\n" for name in CHECKS)
    _replace(folder / "testing.rst", f"Checks of laws and models\n{'=' * 25}\n\n{text}")
    intro = "What ``fe2.name`` finds after ``import fe2``."
    listed = "\n".join(f"   {unit}" for unit in [*contents, "testing"])
    _replace(folder / "index.rst", f"API reference\n=============\n\n{intro}\n\n.. toctree::\n\n{listed}\n")


def _replace(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for pages."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
