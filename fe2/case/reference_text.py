"""What the reference of case files says before and between its tables."""

from pathlib import Path

HEAD = """\
# Case files

<!-- Written by `fe2 schema --markdown`; not to be edited by hand. -->

Case files are TOML. A **cell file** describes a microstructure: `fe2 homogenize`, `fe2 material`. A **run
file** describes a two-scale analysis and names cell files: `fe2 run`. `fe2 check` tells which keys are wrong
and what would be right; `fe2 new` writes files to start from.

- Units are yours. State them once, in words, in `units`; they are repeated in the results.
- Paths are relative to the file in which they stand.
- Unknown keys are errors. Whole numbers are taken where numbers are needed, text is not.
- Editors with a TOML language server complete and check a file that begins with
  `#:schema ./cell.schema.json`, where that is the output of `fe2 schema cell`, also found in `docs/schema/`.
- A *function of time* is a number, a table of points `[[time, value], ...]` between which it is linear and
  beyond which it is constant, or an expression in `t` in quotes: `"0.02 * t"`, `"5 * sin(2 * pi * t)"`,
  `"1 if t < 0.5 else 2 * (1 - t)"`. Expressions know `+ - * / **`, comparisons, `pi`, `sin`, `cos`, `tan`,
  `atan2`, `exp`, `log`, `sqrt`, `tanh`, `abs`, `min` and `max`.
"""


def example(name: str) -> str:
    """A file to look at, "cell" or "run"."""
    return (
        f"```toml\n{(Path(__file__).parent / 'examples' / f'{name}.toml').read_text(encoding='utf-8')}```\n"
    )
