"""Reads files with the `read` of the program in the first argument, and prints one line for each."""

from __future__ import annotations

import json
import resource
import signal
import sys
import traceback
from typing import Any

import fe2

MEMORY = 6 << 30
"""Address space beyond what the libraries take at the start."""

report = sys.stdout
sys.stdout = sys.stderr  # what a reader prints is no outcome
program, *paths = sys.argv[1:]
names: dict[str, Any] = {}
exec(program, names)
print("ready", file=report, flush=True)
with open("/proc/self/statm", encoding="ascii") as statm:
    limit = int(statm.read().split()[0]) * resource.getpagesize() + MEMORY
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in paths:
    signal.alarm(30)  # ends the process: a reader that hangs
    try:
        names["read"](path)
    except fe2.Fe2Error as error:
        outcome = f"refused: {error}"
    except BaseException:
        outcome = traceback.format_exc()
    else:
        outcome = "accepted"
    signal.alarm(0)
    print(json.dumps(outcome), file=report, flush=True)
