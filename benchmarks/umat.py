"""Calls of a UMAT in a second: the example of docs/umat.md, in this process and in one of its own.

python benchmarks/umat.py
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import fe2
from fe2.testing.material_point import respond, virgin

PAGE = Path(__file__).parents[1] / "docs" / "umat.md"
POINTS = 5_000

(source,) = re.findall(r"File `umat.c`:\n\n```c\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
strains = 4e-3 * np.random.default_rng(0).normal(size=(POINTS, 6))
with tempfile.TemporaryDirectory() as folder:
    file, library = Path(folder) / "umat.c", Path(folder) / "libsteel.so"
    file.write_text(source, encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, file, "-lm"], check=True)
    for is_isolated in (False, True):
        law = fe2.Umat(str(library), np.array([200e3, 0.3, 400.0, 2e3]), 7, is_isolated=is_isolated)
        history = virgin(law, POINTS, 6)
        respond(law, strains[:10], virgin(law, 10, 6))
        begin = time.process_time() if not is_isolated else time.perf_counter()
        respond(law, strains, history)
        seconds = (time.process_time() if not is_isolated else time.perf_counter()) - begin
        print(f"{'own process' if is_isolated else 'this process'}: {POINTS / seconds:,.0f} calls a second")
