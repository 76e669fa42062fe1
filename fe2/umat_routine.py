"""Calls of Abaqus's UMAT in a shared object: by ctypes in this process, or in one of its own.

As a program, ``python -m fe2.umat_routine LIBRARY SYMBOL``, it answers on standard output what comes
on standard input: so a routine that crashes ends that process and no other.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from fe2.arrays import Array
from fe2.errors import Fe2Error, InputError, MicroSolveError

type Routine = Any
"""A function of ctypes."""

_MOST_CRASHES = 10
"""Crashes one after the other after which a process is not started again."""

NAME_LENGTH = 80
"""Characters of the name of a material."""

_ORDERS = {4: (3, 1), 6: (3, 3)}
"""Numbers of direct and of shear components, by their sum."""


@dataclass(frozen=True, eq=False)
class Calls:
    """A call for each of n points, in Abaqus's components; stress, state and tangent are written.

    Attributes:
        stress: Stress at the beginning, then at the end of the step, shape (n, k).
        state: State variables, likewise, shape (n, s).
        strain: Strain at the beginning, engineering shear, shape (n, k).
        change: Its change in the step.
        tangent: DDSDDE, column by column, shape (n, k, k).
        ratio: PNEWDT: less than one where the routine wants a shorter step, shape (n,).
        properties: PROPS.
        numbers: Time at the beginning, length of the step, temperature, its change, length of the element.
    """

    stress: Array
    state: Array
    strain: Array
    change: Array
    tangent: Array
    ratio: Array
    properties: Array
    numbers: Array


@cache
def routine(library: Path, symbol: str) -> Routine:
    """The routine of a shared object.

    Raises:
        InputError: The file cannot be loaded, or has no such symbol.
    """
    try:
        loaded = ctypes.CDLL(str(library))
    except OSError as error:
        raise InputError(f"the library {library} cannot be loaded: {error}") from error
    for name in dict.fromkeys((symbol, f"{symbol}_", symbol.upper())):
        if hasattr(loaded, name):
            found = getattr(loaded, name)
            found.restype = None
            return cast("Routine", found)
    raise InputError(
        f"the library {library} has no symbol {symbol!r}, nor {symbol}_ as Fortran compilers write it; "
        f"`nm -D {library.name}` lists those that it has"
    )


def call(function: Routine, calls: Calls, name: str) -> None:
    """Call the routine for all points, one after the other."""
    n, k = calls.stress.shape
    direct, shear = _ORDERS[k]
    start, dt, temperature, warming, length = calls.numbers.tolist()
    scratch, heat = np.zeros(8), np.zeros((3, k))
    time, predefined = np.array([0.0, start]), np.zeros(2)
    place, identity = np.zeros(3), np.eye(3)
    single = np.array([dt, temperature, warming, length])
    whole = np.array([direct, shear, k, calls.state.shape[1], len(calls.properties), 1, 1], dtype=np.int32)
    text = ctypes.create_string_buffer(name.encode("ascii", "replace")[:NAME_LENGTH].ljust(NAME_LENGTH))

    def of(array: np.ndarray, item: int = 0) -> ctypes.c_void_p:
        return ctypes.c_void_p(array.ctypes.data + item * array.itemsize)

    stress, state, strain, change, tangent, ratio = (
        (array.ctypes.data, array.strides[0])
        for array in (calls.stress, calls.state, calls.strain, calls.change, calls.tangent, calls.ratio)
    )
    # SSE, SPD, SCD, RPL, DDSDDT, DRPLDE, DRPLDT
    before_strain = [*(of(scratch, k) for k in range(4)), of(heat), of(heat, k), of(scratch, 4)]
    until_ratio = [
        *(of(time), of(single), of(single, 1), of(single, 2), of(predefined), of(predefined, 1), text),
        *(of(whole, k) for k in range(4)),  # NDI, NSHR, NTENS, NSTATV
        *(of(calls.properties), of(whole, 4), of(place), of(identity)),
    ]
    one, point = of(whole, 5), of(whole, 6)
    # CELENT, DFGRD0, DFGRD1, NOEL, NPT, LAYER, KSPT, KSTEP, KINC, and the length of CMNAME
    after_ratio: list[Any] = [of(single, 3), of(identity), of(identity), one, point, one, one, one, one]
    after_ratio.append(ctypes.c_size_t(NAME_LENGTH))
    pointer = ctypes.c_void_p
    _watch_exit()
    _RUNNING.append(name)
    for i in range(n):
        whole[6] = i + 1
        function(
            *(pointer(start + i * stride) for start, stride in (stress, state, tangent)),
            *before_strain,
            *(pointer(start + i * stride) for start, stride in (strain, change)),
            *until_ratio,
            pointer(ratio[0] + i * ratio[1]),
            *after_ratio,
        )
    _RUNNING.pop()


_RUNNING: list[str] = []
"""Name of the material whose routine is running in this process."""


@cache
def _watch_exit() -> Any:
    """A routine that calls exit(), with whatever status, ends the program as a failure, with a sentence."""

    def ended(_: int | None) -> None:
        if _RUNNING:
            os.write(2, f"fe2: error: the UMAT of {_RUNNING[-1].strip()} ended the program\n".encode())
            os._exit(1)

    kept = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ended)
    getattr(ctypes.CDLL(None), "__cxa_atexit")(kept, None, None)
    return kept


class Process:
    """A process of its own in which the routine runs; it starts anew after a crash."""

    def __init__(self, library: Path, symbol: str) -> None:
        """Keep what is needed."""
        self._command = [sys.executable, "-m", __name__, str(library), symbol]
        self._child: subprocess.Popen[bytes] | None = None
        self._crashes = 0

    def check(self) -> None:
        """Load the library in a process of its own, which ends.

        Raises:
            InputError: It cannot be loaded, or has no such symbol.
        """
        trial = subprocess.run(self._command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if trial.returncode:
            said = trial.stderr.decode("utf-8", "replace").strip().splitlines()
            raise InputError(said[-1] if said else f"the library {self._command[-2]} cannot be loaded")

    def call(self, calls: Calls, name: str) -> None:
        """As :func:`call`.

        Raises:
            MicroSolveError: The process ended.
            Fe2Error: It did so in several calls one after the other.
        """
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child = self._child
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(name.encode("ascii", "replace")[:NAME_LENGTH].ljust(NAME_LENGTH))
            _write(child.stdin, calls)
            answer = _read(child.stdout)
        except (BrokenPipeError, EOFError) as error:
            code = child.wait()
            reason = signal.Signals(-code).name if code < 0 else f"the exit status {code}"
            text = f"the library {self._command[-2]} ended its process with {reason} in a call for "
            text += f"{len(calls.stress)} points"
            self._crashes += 1
            if self._crashes >= _MOST_CRASHES:
                raise Fe2Error(f"{text}, {self._crashes} times one after the other") from error
            raise MicroSolveError(text) from error
        self._crashes = 0
        for field in ("stress", "state", "tangent", "ratio"):
            getattr(calls, field)[:] = getattr(answer, field)


def _write(stream: IO[bytes], calls: Calls) -> None:
    for field in fields(calls):
        array = getattr(calls, field.name)
        stream.write(np.array([array.ndim, *array.shape], dtype=np.int64).tobytes())
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def _read(stream: IO[bytes]) -> Calls:
    arrays = []
    for _ in fields(Calls):
        (ndim,) = np.frombuffer(_exactly(stream, 8), dtype=np.int64)
        shape = np.frombuffer(_exactly(stream, 8 * int(ndim)), dtype=np.int64)
        values = np.frombuffer(_exactly(stream, 8 * int(np.prod(shape))), dtype=np.float64)
        arrays.append(values.reshape(shape).copy())
    return Calls(*arrays)


def _exactly(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


def _serve(library: str, symbol: str) -> None:
    function, source, target = routine(Path(library), symbol), sys.stdin.buffer, sys.stdout.buffer
    # what the routine prints goes to the errors, and not among the answers
    while name := source.read(NAME_LENGTH):
        calls = _read(source)
        call(function, calls, name.decode())
        _write(target, calls)


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(answers, "w")
    try:
        _serve(sys.argv[1], sys.argv[2])
    except InputError as error:
        sys.exit(str(error))
