"""Compiled code is loaded only from a folder of the user alone; where it cannot be kept, that is said."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import pytest
from case_files import RUN, write
from mpi import mpiexec, run
from mpi4py import MPI

from fe2.code_cache import cache_folder, check_cache
from fe2.errors import InputError, MissingDependencyError
from fe2.jit import try_compiler

pytestmark = pytest.mark.skipif(MPI.COMM_WORLD.size > 1, reason="starts mpiexec, which does not nest")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_folder_is_the_users_own_whatever_the_mask_of_new_files(cache):
    before = os.umask(0)
    try:
        folder = cache_folder()
    finally:
        os.umask(before)
    assert folder.parent == cache / f"fe2-{os.getuid()}"
    for path in (folder, folder.parent):
        assert path.stat().st_mode & 0o777 == 0o700
    check_cache()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_folder_that_others_can_write_to_is_refused(cache, inner, mode):
    folder = cache_folder() if inner else cache_folder().parent
    folder.chmod(mode)
    with pytest.raises(InputError, match=rf"{folder} can be written to by others: code from there is not"):
        cache_folder()


def test_folder_of_another_user_is_refused(cache, monkeypatch):
    folder = cache_folder()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    folder.parent.rename(cache / f"fe2-{uid + 1}")
    with pytest.raises(InputError, match=f"belongs to the user {uid} and not to {uid + 1}"):
        cache_folder()


def test_link_to_another_place_is_refused(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.mkdir()
    (cache / f"fe2-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is no folder"):
        cache_folder()


def test_full_file_system_is_named_also_where_it_fills_up_later(cache):
    folder = cache_folder()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for attempt in (check_cache, lambda: try_compiler(folder)):
            with pytest.raises(
                InputError, match=rf"cannot be written to {folder}: File too large; make room"
            ):
                attempt()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_compiler_is_named_where_there_is_room(cache, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(MissingDependencyError, match="no working C compiler"):
        try_compiler(cache_folder())


@pytest.mark.mpi
def test_info_run_and_homogenize_agree_on_a_place_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """A file in the place of the folder stands for one that cannot be written to: it stops root, too."""
    (tmp_path / "cache").touch()
    variables = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    fe2 = [sys.executable, "-m", "fe2"]
    info = run([*fe2, "info", "--json"], timeout=100.0, variables=variables)
    assert info.returncode == 1
    assert "cannot be made: File exists; set XDG_CACHE_HOME" in json.loads(info.stdout)["compiler"]["message"]
    case = write(tmp_path, RUN)
    ended = run([*fe2, "run", str(case)], timeout=100.0, variables=variables)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "cannot be made: File exists; set XDG_CACHE_HOME" in ended.stderr


@pytest.mark.mpi
def test_info_names_the_folder_in_which_code_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    info = mpiexec(2, ["-m", "fe2", "info", "--json"], timeout=200.0)
    assert info.returncode == 0, info.stderr
    compiler = json.loads(info.stdout)["compiler"]
    assert compiler["works"] is True
    assert compiler["cache"] == str(cache_folder())
    assert list(cache_folder().iterdir()) == []
