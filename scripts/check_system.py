"""Says what fe2 needs from the machine beside Python packages, and how to install what is missing.

Run by `make setup` with the interpreter that the virtual environment will have. Exits with 1 where
nothing of fe2 could run: DOLFINx compiles its forms when they are first used, so a C compiler and
Python's headers are needed at run time. What only meshes and pictures need is a warning.
"""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

# Debian's package for each library that gmsh's and VTK's wheels expect from the system.
GRAPHICS = {
    "libGLU.so.1": "libglu1-mesa",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libXcursor.so.1": "libxcursor1",
    "libXext.so.6": "libxext6",
    "libXfixes.so.3": "libxfixes3",
    "libXft.so.2": "libxft2",
    "libXinerama.so.1": "libxinerama1",
    "libXrender.so.1": "libxrender1",
    "libfontconfig.so.1": "libfontconfig1",
    "libgomp.so.1": "libgomp1",
}

PROGRAM = "#include <Python.h>\n#include <complex.h>\nPyObject *none(void) { Py_RETURN_NONE; }\n"


def missing_platform() -> str | None:
    """Why the DOLFINx wheel cannot be installed here, or None."""
    glibc = platform.libc_ver()
    numbers = tuple(int(part) for part in glibc[1].split(".")[:2]) if glibc[0] == "glibc" else (0, 0)
    if sys.platform == "linux" and platform.machine() == "x86_64" and numbers >= (2, 34):
        return None
    here = f"{sys.platform} on {platform.machine()}, {' '.join(glibc).strip() or 'without glibc'}"
    return (
        f"DOLFINx exists as a wheel for Linux on x86-64 with glibc 2.34 or newer; this is {here}.\n"
        "Take DOLFINx from conda instead, or use the container (docker/README.md):\n"
        "  conda create -n fe2 -c conda-forge python=3.12 fenics-dolfinx mpich && conda activate fe2\n"
        "  pip install -e ."
    )


def missing_compiler() -> str | None:
    """Why no extension module can be compiled here, or None."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(command[0]) is None:
        return f"There is no C compiler ({command[0]}), which DOLFINx needs to compile forms at run time."
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").is_file():
        return "Python's headers (Python.h) are missing, which DOLFINx needs to compile forms at run time."
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROGRAM)
        output = str(source.with_suffix(".so"))
        result = subprocess.run(
            [*command, "-shared", "-fPIC", f"-I{include}", str(source), "-o", output, "-lm"],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        first = next((line for line in result.stderr.splitlines() if "error" in line), result.stderr.strip())
        return f"The C compiler ({command[0]}) cannot compile an extension module:\n  {first}"
    return None


def missing_graphics() -> list[str]:
    """Debian's names of the packages whose libraries are not found."""
    packages = []
    for library, package in GRAPHICS.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            packages.append(package)
    return packages


def main() -> int:
    """Print what is missing; 1 where fe2 could not run at all."""
    if problem := missing_platform():
        print(problem, file=sys.stderr)
        return 1
    if problem := missing_compiler():
        print(
            f"{problem}\n"
            "Install it, then run the same command again:\n"
            "  Debian, Ubuntu:   apt-get install gcc libc6-dev libpython3-dev\n"
            "  Fedora:           dnf install gcc python3-devel\n"
            "  conda:            conda install -c conda-forge gcc_linux-64 sysroot_linux-64",
            file=sys.stderr,
        )
        return 1
    if packages := missing_graphics():
        print(
            "Warning: system libraries are missing; making meshes with gmsh or drawing pictures will fail.\n"
            f"  Debian, Ubuntu:   apt-get install --no-install-recommends {' '.join(packages)}\n"
            "  Fedora:           dnf install mesa-libGLU mesa-libEGL libXcursor libXft libXinerama",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
