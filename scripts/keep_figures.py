"""Keeps the figures of demonstrations for the documentation: `python scripts/keep_figures.py FOLDER`.

FOLDER has a subfolder for each demonstration, `plasticity` for `demos/demo_plasticity.py`, with its results.
Pictures are made smaller, to a width that a page shows, and go to `docs/figures`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

WIDTH = 1400
FIGURES = Path(__file__).parents[1] / "docs" / "figures"


def keep(picture: Path, folder: Path) -> None:
    """Write a picture with at most WIDTH pixels across and 256 colours."""
    image = Image.open(picture).convert("RGB")
    image.thumbnail((WIDTH, 10 * WIDTH))
    folder.mkdir(parents=True, exist_ok=True)
    image.quantize(256, dither=Image.Dither.NONE).save(folder / picture.name, optimize=True)


def main(results: Path) -> None:
    """Keep the pictures of every demonstration that has results."""
    for picture in sorted(results.glob("*/*.png")):
        keep(picture, FIGURES / f"demo_{picture.parent.name}")
    for picture in sorted(results.glob("*.png")):
        keep(picture, FIGURES)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
