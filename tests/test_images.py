"""Label images: how they are read, and the cells that are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import fe2
from fe2 import InputError, image_cell, read_image
from fe2.identity import mesh_facts
from fe2.micro.coarsening import coarsen_image

DATA = Path(__file__).parents[2] / "shared" / "data"
CAST_IRON = {"graphite": 87, "ferrite": 182}


def data(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there")
    return DATA / name


def pattern(*shape: int) -> np.ndarray:
    """Labels 0, 1, 2 at random, the same in every run."""
    return np.random.default_rng(1).integers(0, 3, shape).astype(np.uint8)


PHASES = {"c": 2, "a": 0, "b": 1}


# Real images


def test_fractions_of_the_cast_iron_image() -> None:
    image = read_image(data("cast_iron_ggg40_100.raw"), shape=(100, 100, 100), dtype=np.uint8)
    cell = image_cell(image, CAST_IRON, crop=[[0, 100], [0, 100], [0, 50]], coarsen=2)
    assert cell.grid == (50, 50, 25)
    assert (image == 87).mean() == 0.113944
    assert image[:, :, :50].size == cell.volume
    assert abs(cell.volume_fractions["graphite"] - (image[:, :, :50] == 87).mean()) < 0.005


@pytest.mark.slow
def test_a_million_voxels_become_a_million_hexahedra() -> None:
    image = read_image(data("cast_iron_ggg40_100.raw"), shape=(100, 100, 100), dtype=np.uint8)
    cell = image_cell(image, CAST_IRON)
    assert cell.volume_fractions == pytest.approx({"graphite": 0.113944, "ferrite": 0.886056}, rel=1e-12)


def test_fractions_of_the_fibres_and_the_electrode() -> None:
    fibres = read_image(data("fibres_100x100x10.raw"), shape=(100, 100, 10), dtype="u1")
    cell = image_cell(fibres, {"pore": 0, "solid": 255}, voxel_size=1.0989)
    assert cell.volume_fractions["solid"] == pytest.approx(0.53571, rel=1e-12)
    assert cell.period == pytest.approx([109.89, 109.89, 10.989])
    electrode = read_image(data("nmc_electrode_256.tiff"))
    assert electrode.shape == (256, 256, 256)
    assert np.unique(electrode).tolist() == [0, 85, 170]


# Cells


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_every_voxel_has_its_phase_at_its_place(shape: tuple[int, ...]) -> None:
    image, size = pattern(*shape), np.array([2.0, 0.5, 3.0])[: len(shape)]
    cell = image_cell(image, PHASES, voxel_size=size)
    dim = len(shape)
    nodes = cell.mesh.geometry.x[cell.mesh.geometry.dofmaps[0]][:, :, :dim]
    voxels = np.rint((nodes.mean(axis=1) + cell.period / 2) / size - 0.5).astype(int)
    assert len(np.unique(voxels, axis=0)) == image.size
    labels = np.array([PHASES[name] for name in cell.names])[cell.phases.values]
    assert (labels == image[tuple(voxels.T)]).all()
    assert np.ptp(nodes, axis=1) == pytest.approx(np.broadcast_to(size, voxels.shape))
    assert cell.grid == shape
    assert cell.dim == dim
    assert cell.period == pytest.approx(shape * size)
    counts = {name: (image == label).mean() for name, label in PHASES.items()}
    assert cell.volume_fractions == pytest.approx(counts, rel=1e-13)


def test_the_mark_in_a_corner_stays_in_it() -> None:
    image = np.zeros((4, 3), dtype=int)
    image[3, 0] = 1  # large x, small y
    cell = image_cell(image, {"rest": 0, "mark": 1})
    nodes = cell.mesh.geometry.x[cell.mesh.geometry.dofmaps[0][cell.cells_of("mark")[0]]]
    assert nodes.mean(axis=0) == pytest.approx([1.5, -1.0, 0.0])


def test_coarsening_takes_the_majority() -> None:
    image = np.repeat(np.repeat(pattern(4, 3), 3, axis=0), 3, axis=1)
    noisy = image.copy()
    noisy[1::3, 1::3] = 7  # one of nine voxels of each block
    plain = image_cell(image, PHASES, coarsen=3)
    assert plain.grid == (4, 3)
    assert plain.period.tolist() == [12.0, 9.0]
    assert (coarsen_image(noisy, 3) == image[::3, ::3]).all()
    assert image_cell(noisy, {**PHASES, "d": 7}, crop=[[0, 12], [0, 9]]).grid == (12, 9)
    with pytest.raises(InputError, match=r"phase 'd' \(label 7\) has no voxel left after coarsening by 3"):
        image_cell(noisy, {**PHASES, "d": 7}, coarsen=3)


@pytest.mark.parametrize(
    ("shape", "labels", "factor"), [((60, 60), 2, 2), ((36, 36, 36), 3, 2), ((40, 40), 40, 4)]
)
def test_ties_keep_the_fractions(shape: tuple[int, ...], labels: int, factor: int) -> None:
    """White noise, in which most blocks are tied: turns can keep every fraction to a few blocks."""
    image = np.random.default_rng(3).integers(0, labels, shape).astype(np.uint8)
    coarse = coarsen_image(image, factor)
    before, after = (
        np.bincount(array.reshape(-1), minlength=labels) / array.size for array in (image, coarse)
    )
    assert np.abs(after - before).max() <= 2.0 / coarse.size


def test_ties_know_no_label_and_no_axis() -> None:
    """Other numbers for the labels give the same phases; a chessboard does not turn into layers."""
    image = pattern(40, 40)
    renamed = np.array([200, 3, 90])[image]
    assert (np.array([200, 3, 90])[coarsen_image(image, 2)] == coarsen_image(renamed, 2)).all()
    board = coarsen_image(np.add.outer(np.arange(80), np.arange(80)) % 2, 2)
    assert board.mean() == 0.5
    for means in (board.mean(axis=0), board.mean(axis=1)):  # of 40 blocks each: three standard deviations
        assert np.abs(means - 0.5).max() < 3 * 0.5 / np.sqrt(40)


def test_changed_fractions_are_a_warning_and_kept() -> None:
    image = np.zeros((12, 12), dtype=int)
    image[::4, ::4] = image[1::4, ::4] = image[:9, 8] = 1
    match = r"coarsen = 4 changes volume fractions by more than 1 %: a from 0\.\d+ to 0\.\d+, b from"
    with pytest.warns(fe2.Fe2Warning, match=match):
        cell = image_cell(np.pad(image, ((0, 0), (0, 12)), constant_values=1), {"a": 0, "b": 1}, coarsen=4)
    assert cell.fractions_before["b"] != cell.volume_fractions["b"]


def test_a_crop_keeps_its_voxels() -> None:
    image = pattern(8, 7)
    part = image_cell(image, PHASES, crop=[[2, 7], [1, 5]])
    whole = image_cell(image[2:7, 1:5], PHASES)
    assert mesh_facts(part.mesh, part.phases) == mesh_facts(whole.mesh, whole.phases)


def test_a_label_without_a_phase_is_refused_with_its_place() -> None:
    image = np.zeros((6, 5, 4), dtype=int)
    image[4, 3, 2] = image[5, 0, 0] = 8
    match = r"label 8 has no phase: 2 voxels have it, the first is \[4, 3, 2\] at \(9, 7, 5\)"
    with pytest.raises(InputError, match=match):
        image_cell(image, {"a": 0}, voxel_size=2.0)
    with pytest.raises(InputError, match=r"the first is \[4, 3, 2\]"):
        image_cell(image, {"a": 0}, crop=[[1, 5], [1, 5], [1, 4]])


def test_a_phase_without_a_label_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"phase 'b': no voxel has its label 1; the image has 0 \(12 voxels\)"
    ):
        image_cell(np.zeros((4, 3), dtype=int), {"a": 0, "b": 1})
    with pytest.raises(InputError, match="label 0 is given to more than one phase, among them 'a'"):
        image_cell(np.zeros((4, 3), dtype=int), {"a": 0, "b": 0})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"coarsen": 2}, r"coarsen = 2: it does not divide the image's shape \[9, 7\]; crop it to \[8, 6\]"),
        ({"coarsen": 0}, "coarsen = 0: a positive whole number"),
        ({"voxel_size": 0.0}, "voxel_size = 0.0: one positive length"),
        ({"voxel_size": [1, 1, 1]}, "or one for each of 2 axes"),
        ({"crop": [[0, 9]]}, "crop .* for each of 2 axes"),
        ({"crop": [[0, 10], [0, 7]]}, r"0 <= low < high <= \[9, 7\]"),
        ({"crop": [[3, 3], [0, 7]]}, "crop"),
        ({"crop": [[0, 9], [0, 2]]}, "2 elements in the period along y: at least 3"),
    ],
)
def test_wrong_numbers_are_refused(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        image_cell(pattern(9, 7), PHASES, **arguments)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros(4, dtype=int), np.zeros((3,) * 4, dtype=int)])
def test_an_array_that_is_no_label_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="a label image has 2 or 3 dimensions and integers"):
        image_cell(image, {"a": 0})


# Files


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i4"])
def test_raw_voxels_run_fastest_along_x(dtype: str, tmp_path: Path) -> None:
    image = pattern(5, 4, 3)
    path = tmp_path / "image.raw"
    path.write_bytes(image.astype(dtype).tobytes(order="F"))
    assert (read_image(path, shape=(5, 4, 3), dtype=dtype) == image).all()


def test_a_raw_file_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.raw"
    path.write_bytes(b"\0" * 59)
    with pytest.raises(InputError, match=r"image\.raw: the file has 59 bytes.* takes 60: it is truncated"):
        read_image(path, shape=(5, 4, 3), dtype="u1")
    with pytest.raises(InputError, match=r"has 59 bytes.* takes 58: shape or dtype is another"):
        read_image(path, shape=(29, 2), dtype="u1")
    with pytest.raises(InputError, match="raw voxels have no header"):
        read_image(path)
    with pytest.raises(InputError, match="positive numbers of voxels"):
        read_image(path, shape=(-59, -1), dtype="u1")


def test_numpy_arrays_keep_their_axes(tmp_path: Path) -> None:
    path, image = tmp_path / "image.npy", pattern(5, 4, 3)
    np.save(path, image)
    assert (read_image(path) == image).all()
    assert (read_image(path, shape=(5, 4, 3), dtype=np.uint8) == image).all()
    with pytest.raises(InputError, match=r"shape \(5, 4, 3\) in \[x, y, z\], not \(3, 4, 5\)"):
        read_image(path, shape=(3, 4, 5))
    with pytest.raises(InputError, match="holds uint8, not int32"):
        read_image(path, dtype="i4")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"image\.npy: the file has 53 bytes of voxels.* takes 60"):
        read_image(path)
    path.write_bytes(b"no header")
    with pytest.raises(InputError, match=r"image\.npy: not a NumPy array that can be read, or truncated"):
        read_image(path)
    np.save(path, np.array([[None]]), allow_pickle=True)
    with pytest.raises(InputError, match="holds object: save them as integers"):
        read_image(path)


@pytest.mark.parametrize("pages", [1, 3])
def test_tiff_pages_are_z_rows_y_and_columns_x(pages: int, tmp_path: Path) -> None:
    path, image = tmp_path / "image.tif", pattern(7, 6, pages)
    tifffile.imwrite(path, image.T, photometric="minisblack", compression="zlib")
    assert (read_image(path) == (image if pages > 1 else image[:, :, 0])).all()


def test_tiff_pages_that_were_written_one_by_one_are_stacked(tmp_path: Path) -> None:
    path, image = tmp_path / "image.tiff", pattern(7, 6, 3)
    with tifffile.TiffWriter(path) as file:
        for page in image.T:
            file.write(page, contiguous=False)
    assert (read_image(path) == image).all()


def test_tiff_files_that_are_no_label_stack_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match=r"image\.tif: one stack of equal pages.*axes YXS"):
        read_image(path)
    tifffile.imwrite(path, np.zeros((5, 6), np.float32))
    with pytest.raises(InputError, match="labels are integers, but the image holds float32"):
        read_image(path)
    path.write_bytes(b"II*\0 nothing more")
    with pytest.raises(InputError, match=r"image\.tif: .*damaged|not a TIFF"):
        read_image(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_truncated_tiff_is_refused(compression: str | None, share: float, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pattern(20, 20, 20), photometric="minisblack", compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"image\.tif: .*truncated"):
        read_image(path)


def test_a_compression_that_needs_imagecodecs_is_named(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("imagecodecs is installed, so every compression can be read")
    path = tmp_path / "image.tif"
    pillow.fromarray(pattern(20, 30)).save(path, compression="tiff_lzw")
    with pytest.raises(InputError, match=r"image\.tif: the compression .*LZW.*pip install imagecodecs"):
        read_image(path)


def test_missing_files_and_other_endings_are_refused(tmp_path: Path) -> None:
    for name in ("image.npy", "image.tif"):
        with pytest.raises(InputError, match=f"{name}: the image cannot be read: No such file"):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match="No such file"):
        read_image(tmp_path / "image.raw", shape=(3, 3), dtype="u1")
    with pytest.raises(InputError, match=r"images end in \.raw, \.npy, \.tif or \.tiff, not in '\.png'"):
        read_image(tmp_path / "image.png")


def test_the_package_offers_both_ways_to_a_cell() -> None:
    assert {"image_cell", "read_cell", "read_image"} <= set(fe2.__all__)


# Sizes


@pytest.mark.parametrize("name", ["image.npy", "image.raw", "image.tif"])
def test_a_single_slice_is_an_image_in_the_plane(name: str, tmp_path: Path) -> None:
    path, image = tmp_path / name, pattern(8, 7, 1)
    if name.endswith(".npy"):
        np.save(path, image)
    elif name.endswith(".raw"):
        path.write_bytes(image.tobytes(order="F"))
    else:
        tifffile.imwrite(path, image.T, photometric="minisblack")
    for shape in ((8, 7, 1), (8, 7)):
        assert (read_image(path, shape=shape, dtype="u1") == image[:, :, 0]).all()
    assert fe2.image_facts(path, shape=(8, 7, 1), dtype="u1").shape == (8, 7)


def test_a_crop_may_leave_a_single_slice() -> None:
    image = np.kron(pattern(4, 4, 5), np.ones((2, 2, 1), dtype=int))[:, :7]
    part = image_cell(image, PHASES, crop=[[0, 8], [0, 6], [3, 4]], voxel_size=[1.0, 2.0, 5.0], coarsen=2)
    whole = image_cell(image[:, :6, 3], PHASES, voxel_size=[1.0, 2.0], coarsen=2)
    assert (part.phase_of_voxel == whole.phase_of_voxel).all()
    assert part.period.tolist() == whole.period.tolist() == [8.0, 12.0]
    with pytest.raises(InputError, match="1 voxel along y: an image in the plane has the axes x and y"):
        image_cell(image, PHASES, crop=[[0, 8], [3, 4], [0, 5]])


@pytest.mark.parametrize("name", ["image.npy", "image.tif"])
def test_a_header_that_promises_more_than_the_file_holds_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith(".npy"):
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**5,) * 3}
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
    else:
        tifffile.imwrite(path, pattern(8, 8), photometric="minisblack")
        with tifffile.TiffFile(path, mode="r+") as file:
            for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                file.pages[0].tags[tag].overwrite(10**5)
    with pytest.raises(InputError, match=rf"{path}: .* (takes|truncated).*\d{{11}}"):
        read_image(path)


def test_what_does_not_fit_into_the_memory_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, np.zeros((500, 500), np.uint8), photometric="minisblack", compression="zlib")
    monkeypatch.setattr("fe2.memory.available_memory", lambda: 4e5)
    with pytest.raises(InputError, match=r"image\.tif: an image of \(500, 500\) voxels of uint8 needs about"):
        read_image(path)


def imagej(path: Path, image: np.ndarray, **metadata: object) -> None:
    """A stack as ImageJ writes it, with 0.5 and 0.25 pixels in a unit of length."""
    tifffile.imwrite(path, image.T, imagej=True, resolution=(0.5, 0.25), metadata={"axes": "ZYX", **metadata})


def test_spacing_of_a_stack(tmp_path: Path) -> None:
    path, image = tmp_path / "image.tif", pattern(5, 4, 3)
    imagej(path, image, spacing=3.0, unit="um")
    facts = fe2.image_facts(path)
    assert (facts.shape, facts.spacing, facts.unit) == ((5, 4, 3), (2.0, 4.0, 3.0), "um")
    tifffile.imwrite(
        path, image.T, photometric="minisblack", resolution=(1e3, 5e2), resolutionunit="CENTIMETER"
    )
    facts = fe2.image_facts(path)
    assert facts.spacing == pytest.approx((0.01, 0.02))
    assert facts.unit == "mm"
    path = tmp_path / "image.ome.tif"
    sizes = {"PhysicalSizeX": 2.0, "PhysicalSizeY": 2.0, "PhysicalSizeZ": 5.0}
    tifffile.imwrite(path, image.T, photometric="minisblack", metadata={"axes": "ZYX", **sizes})
    facts = fe2.image_facts(path)
    assert (facts.spacing, facts.unit) == ((2.0, 2.0, 5.0), "µm")
    tifffile.imwrite(path, image.T, photometric="minisblack")
    assert fe2.image_facts(path).spacing is None


@pytest.mark.parametrize(("axes", "words"), [("CYX", "channels"), ("TYX", "times")])
def test_pages_that_are_no_slices_are_a_warning(axes: str, words: str, tmp_path: Path) -> None:
    path, image = tmp_path / "image.tif", pattern(5, 4, 3)
    tifffile.imwrite(path, image.T, imagej=True, metadata={"axes": axes})
    with pytest.warns(fe2.Fe2Warning, match=f"its 3 pages are {words}"):
        assert (read_image(path) == image).all()


def test_colours_in_planes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pattern(5, 4, 3).T, photometric="rgb", planarconfig="separate")
    with pytest.raises(InputError, match="axes SYX"):
        read_image(path)
