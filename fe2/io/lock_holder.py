"""Who holds a folder of results, and whether that run can still be there."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Holder:
    """Who holds a folder.

    Attributes:
        host: Name of the machine of rank 0.
        boot: What tells this machine since it was started from all others, or "" where nothing does.
        process: Number of the process of rank 0.
        ranks: Number of ranks.
        since: When the run began.
        job: Number of the Slurm job, or "".
        restart: How often that job went back into the queue.
    """

    host: str
    boot: str
    process: int
    ranks: int
    since: str
    job: str = ""
    restart: int = 0

    def __str__(self) -> str:
        job = f", Slurm job {self.job}" if self.job else ""
        return f"process {self.process} on {self.host}, ranks: {self.ranks}{job}, since {self.since}"

    @classmethod
    def this_process(cls, ranks: int) -> Holder:
        """This process, now."""
        restart = os.environ.get("SLURM_RESTART_COUNT", "")
        return cls(
            host=socket.gethostname(),
            boot=_boot(),
            process=os.getpid(),
            ranks=ranks,
            since=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            job=os.environ.get("SLURM_JOB_ID", ""),
            restart=int(restart) if restart.isdecimal() else 0,
        )

    def is_gone(self, here: Holder, *, locks: bool) -> bool:
        """True where this run cannot be running any more, as seen by another one.

        Args:
            here: The other one, which has the file's advisory lock.
            locks: Whether the file system knows such locks.
        """
        if self.boot == here.boot and self.boot:
            return locks or not _runs(self.process)
        restarted = self.host == here.host
        requeued = bool(self.job) and self.job == here.job and self.restart < here.restart
        return restarted or requeued


def read_holder(content: Any) -> Holder | None:
    """The holder that :func:`dataclasses.asdict` made plain, or None where it is something else."""
    kinds = Holder.__annotations__
    if not isinstance(content, Mapping) or set(content) != set(kinds):
        return None
    right = all(type(content[name]).__name__ == kind for name, kind in kinds.items())
    return Holder(**content) if right else None


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
