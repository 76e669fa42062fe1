"""Whatever stands in an image file: it is read or refused in one sentence, without traceback or hang."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from file_fuzz import damaged_copies, failures

READ = """
import warnings
import numpy as np
import fe2
def read(path):
    warnings.simplefilter("ignore", fe2.Fe2Warning)
    form = {"shape": (6, 5, 4), "dtype": "<u2"} if path.endswith(".raw") else {}
    labels = fe2.read_image(path, **form)
    assert labels.dtype.kind in "ui" and labels.shape == fe2.image_facts(path, **form).shape
    cell = fe2.image_cell(labels, {f"phase {k}": int(label) for k, label in enumerate(np.unique(labels))})
    assert abs(sum(cell.volume_fractions.values()) - 1.0) < 1e-12
def located(path):
    try:
        inner(path)
    except fe2.InputError as error:
        text = str(error)
        raise fe2.InputError(text if path in text else f"{path}: {text}") from error
inner, read = read, located
"""

KINDS = ("u1", "<u2", ">i4", "<i8", "?", "<f4", "<f8", "<c8", "<M8[s]", "<U3")


def array(kind: str) -> np.ndarray:
    """Labels of a kind; floats hold numbers that are none, signed integers negative labels."""
    labels = np.random.default_rng(1).integers(0, 3, (6, 5, 4))
    if np.dtype(kind).kind in "fc":
        return np.where(labels == 1, np.nan, labels).astype(kind)
    return (labels - (np.dtype(kind).kind == "i")).astype(kind)


def arrays() -> dict[str, bytes]:
    files = {}
    for number, (kind, fortran) in enumerate(itertools.product(KINDS, (False, True))):
        file = io.BytesIO()
        np.save(file, np.asarray(array(kind), order="F" if fortran else "C"))
        files[f"{number}.npy"] = file.getvalue()
    for name, save in (("archive", np.savez), ("packed", np.savez_compressed)):
        file = io.BytesIO()
        save(file, labels=array("u1"))
        files[f"{name}.npy"] = file.getvalue()
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    files["pickled.npy"] = file.getvalue()
    return files


def stacks(folder: Path) -> dict[str, bytes]:
    labels = array("u1").T
    options = {
        "plain": {"photometric": "minisblack"},
        "packed": {"photometric": "minisblack", "compression": "zlib"},
        "large": {"photometric": "minisblack", "bigtiff": True, "byteorder": ">"},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX", "spacing": 2.0}, "resolution": (0.5, 0.5)},
        "tiles": {"photometric": "minisblack", "tile": (16, 16), "compression": "zlib"},
        "white": {"photometric": "miniswhite"},
        "x.ome": {"photometric": "minisblack", "metadata": {"axes": "ZYX", "PhysicalSizeX": 2.0}},
    }
    files = {}
    for name, how in options.items():
        path = folder / f"{name}.tif"
        tifffile.imwrite(path, labels, **how)
        files[path.name] = path.read_bytes()
    for name, image in {"colours": np.zeros((5, 6, 3), np.uint8), "floats": labels.astype("f4")}.items():
        tifffile.imwrite(folder / "other.tif", image)
        files[f"{name}.tif"] = (folder / "other.tif").read_bytes()
    return files


@pytest.mark.parametrize("ending", ["raw", "npy", "tif"])
def test_damaged_images_are_read_or_refused_in_one_sentence(ending: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tifffile's, on writing
        originals = {
            "raw": lambda: {"image.raw": array("<u2").tobytes(order="F")},
            "npy": arrays,
            "tif": lambda: stacks(tmp_path),
        }[ending]()
    assert failures(READ, damaged_copies(originals, tmp_path)) == []
