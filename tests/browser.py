"""A real browser without a window, spoken to over the DevTools protocol; needs nothing but Chromium."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

# The protocol is spoken on the descriptors 3 and 4.
_CONNECT = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def browser() -> str | None:
    """The browser of this machine; the variable BROWSER_FOR_TESTS names another one."""
    return os.environ.get("BROWSER_FOR_TESTS") or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A page that is open in the browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, os.fdopen(read, "rb")
        self._numbers, self._session = itertools.count(1), None
        self.events: list[dict[str, Any]] = []

    def open(self, file: Path) -> None:
        """Open a file in a new tab and wait until all of it is loaded."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")
        self.ask("Page.navigate", url=file.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def value(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def requests(self) -> list[str]:
        """Addresses of everything that the page asked for."""
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def complaints(self) -> list[str]:
        """What the browser complained about."""
        return [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        text = b""
        while not text.endswith(b"\0"):
            letter = self._read.read(1)
            assert letter, "the browser ended"
            text += letter
        message: dict[str, Any] = json.loads(text[:-1])
        if "method" in message:
            self.events.append(message)
        return message


@contextmanager
def opened(file: Path, profile: Path) -> Iterator[Page]:
    """A file in the browser, which ends with the block; `profile` is a folder for its own files."""
    (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
    command = [str(browser()), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-first-run", "--remote-debugging-pipe", f"--user-data-dir={profile}"]

    descriptors = (read_in, write_out)
    start = [sys.executable, "-c", _CONNECT, *map(str, descriptors), *command]
    process = subprocess.Popen(
        start, pass_fds=descriptors, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(read_in)
    os.close(write_out)
    page = Page(write_in, read_out)
    try:
        page.open(file)
        yield page
        page.ask("Browser.close")
    finally:
        os.close(write_in)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
