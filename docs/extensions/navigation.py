"""Pages that no table of contents names get a place at its end: a new page needs no edit elsewhere."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_PLACE = "FURTHER_PAGES"


def _fill(app: Sphinx, name: str, source: list[str]) -> None:
    if name != app.config.root_doc or _PLACE not in source[0]:
        return
    named = set(re.findall(r"^([\w/]+)$", source[0], re.MULTILINE))
    folders = {page.removesuffix("/index") for page in named if page.endswith("/index")}
    folders.update(re.findall(r"^([\w/]+)/\*$", source[0], re.MULTILINE))
    further = sorted(
        page
        for page in app.env.found_docs
        if page not in named and page != name and not any(page.startswith(f"{folder}/") for folder in folders)
    )
    contents = "\n".join(["```{toctree}", ":caption: Further", ":hidden:", "", *further, "```"])
    source[0] = source[0].replace(_PLACE, contents if further else "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Let the front page be filled when it is read."""
    app.connect("source-read", _fill)
    app.connect("env-before-read-docs", lambda app, env, names: names.append(app.config.root_doc))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
