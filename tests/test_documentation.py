"""What the pages say can be followed: links lead somewhere, code is code, and commands exist."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from mpi import ROOT

import fe2
from fe2.cli.main import fe2_command

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docs/physics/*.md", "docker/*.md", "meshes/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINK = re.compile(r"\]\(([^()\s]+)\)")
GENERATED = ("docs/api/", "docs/demos/")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if language in languages:
            yield textwrap.dedent(text)


def anchors(page: Path) -> set[str]:
    """Addresses of the headings of a page, as GitHub and the site make them."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_broken(page: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return False
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if str(target.relative_to(ROOT)).startswith(GENERATED):
        return False  # `make docs` refuses what does not exist there
    return not target.exists() or bool(anchor and target.suffix == ".md" and anchor not in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    assert not [link for link in LINK.findall(page.read_text()) if is_broken(page, link)]


def test_a_broken_link_would_be_found() -> None:
    page = ROOT / "docs" / "idea.md"
    assert is_broken(page, "nothing.md")
    assert is_broken(page, "troubleshooting.md#no-such-heading")
    assert not is_broken(page, "troubleshooting.md#a-cell-does-not-converge")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_is_python_and_uses_names_of_fe2(page: Path) -> None:
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "fe2":
                assert hasattr(fe2, node.attr), f"fe2.{node.attr} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_toml_is_toml(page: Path) -> None:
    for text in blocks(page, "toml"):
        tomllib.loads(text)


def calls(page: Path) -> Iterator[list[str]]:
    """Calls of `fe2` and of `make` in shell blocks, and in running text between backquotes."""
    scripts = [text.replace("\\\n", " ") for text in blocks(page, "sh", "console")]
    lines = [line for script in scripts for line in script.splitlines()]
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines += re.findall(r"`((?:fe2|make) [^`]*)`", prose)
    for line in lines:
        found = re.search(
            r"(?:^|[;&|(]|mpirun -n \d+|mpiexec -n \d+|srun(?: -\S+)*|\$)\s*((?:fe2|make) [a-z].*)", line
        )
        if found:
            command = re.split(r"\s#|[|;&>)]", found[1])[0]
            yield shlex.split(command.replace("'", "").replace('"', ""))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for program, name, *arguments in filter(lambda call: len(call) > 1, calls(page)):
        if program == "make":
            assert name in targets, f"make {name}"
            continue
        command = fe2_command.get_command(click.Context(fe2_command), name)
        assert command is not None, f"fe2 {name}"
        if isinstance(command, click.Group) and arguments:
            command = command.get_command(click.Context(command), arguments[0]) or command
        known = {
            option for parameter in command.get_params(click.Context(command)) for option in parameter.opts
        }
        given = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
        assert given <= known | {"--help"}, f"fe2 {name} {given - known}"


def test_commands_are_found_in_the_pages() -> None:
    found = [call for page in PAGES for call in calls(page)]
    assert ["fe2", "new", "plate"] in found
    assert any(call[:2] == ["make", "setup"] for call in found)
    assert ["fe2", "run", "case.toml", "--resume"] in found


def test_every_error_has_its_cure() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    errors = [name for name in fe2.__all__ if name.endswith("Error") and name != "Fe2Error"]
    assert len(errors) > 5
    assert not [name for name in errors if f"| `{name}` |" not in page]


def quoted_messages() -> list[str]:
    """Pieces of the messages in the first columns of the page's tables, between what they name."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    chapter = page.split("\n## Messages\n")[1].split("\n## ")[0]
    columns = re.findall(r"^\| (`.*?) \|", chapter, re.MULTILINE)
    quoted = [message for column in columns for message in re.findall(r"`(.+?)`", column)]
    return [piece.strip() for message in quoted for piece in message.split("…") if piece.strip()]


def test_messages_of_the_page_are_those_of_the_sources() -> None:
    texts = {
        node.value
        for folder in ("fe2", "meshes")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    pieces = quoted_messages()
    assert len(pieces) > 100
    assert not [piece for piece in pieces if not any(piece in text for text in texts)]
