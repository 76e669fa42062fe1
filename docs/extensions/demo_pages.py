"""Pages of the demonstrations: their scripts' text and code, with the figures that `make figures` kept."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

_CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)


def page(script: Path, figures: list[Path]) -> str:
    """A Markdown page of a script in percent format; the figures follow its introduction."""
    parts = _CELL.split(script.read_text(encoding="utf-8"))[1:]
    text = "".join(_cell(kind, body) for kind, body in zip(parts[::2], parts[1::2], strict=True))
    pictures = "".join(f"![{figure.stem}](../figures/{script.stem}/{figure.name})\n\n" for figure in figures)
    first = text.find("\n## ") + 1 or len(text)
    return f"{text[:first]}{pictures}{text[first:]}"


def _cell(kind: str, body: str) -> str:
    if "markdown" in kind:
        return re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip() + "\n\n"
    return f"```python\n{body.strip()}\n```\n\n"


def _write(app: Sphinx) -> None:
    source = Path(app.srcdir)
    folder = source / "demos"
    folder.mkdir(exist_ok=True)
    scripts = sorted((source.parent / "demos").glob("demo_*.py"))
    for script in scripts:
        figures = sorted((source / "figures" / script.stem).glob("*.png"))
        _replace(folder / f"{script.stem}.md", page(script, figures))
    names = "\n".join(script.stem for script in scripts)
    intro = "Each is a script in `demos/` that can be run as it is and ends in a check of a number."
    _replace(folder / "index.md", f"# Demonstrations\n\n{intro}\n\n```{{toctree}}\n{names}\n```\n")


def _replace(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for pages."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
