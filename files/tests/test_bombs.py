"""X41 and X42: what the child process holds in memory, for bombs and for the largest files that are taken."""

import contextlib
import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import pytest

from files import sandbox
from files.tests import samples

MEGABYTES = 300
BOMBS = {
    "2.5 gigapixels": ("attachment", lambda: samples.png_of(50_000, 50_000)),
    "100 megapixels that are there": ("attachment", lambda: samples.png_of(10_000, 10_000, real=True)),
    "a text of 64 MB in a picture": ("attachment", lambda: samples.with_text(64 * 1024 * 1024)),
    "ten thousand frames": ("attachment", lambda: samples.moving(10_000, (1, 1))),
    "few frames, each of 16 megapixels": ("attachment", lambda: samples.moving(15, (4096, 4096))),
    "a PDF whose index has 1 GB": ("pdf", lambda: samples.pdf_with_index(1024 * 1024 * 1024)),
}
LARGEST = {
    "PNG": lambda: samples.picture("PNG", (4096, 4096), "RGBA"),
    "GIF": lambda: samples.picture("GIF", (4096, 4096), "P"),
    "JPEG": lambda: samples.picture("JPEG", (8000, 6200)),
    "JPEG in passes": lambda: samples.picture("JPEG", (8000, 6200), progressive=True),
    "JPEG of a phone": lambda: samples.phone_picture((8000, 6200)),
    "moving": lambda: samples.moving(57, (1024, 1024)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_little_memory(name: str) -> None:
    kind, make = BOMBS[name]
    answer, megabytes = run_sandbox(kind, make())
    assert "error" in answer
    assert megabytes < MEGABYTES


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_pictures_are_read_in_bounded_memory(name: str) -> None:
    answer, megabytes = run_sandbox("attachment", LARGEST[name]())
    assert "error" not in answer
    assert megabytes < MEGABYTES


def run_sandbox(kind: str, data: bytes) -> tuple[dict[str, Any], int]:
    """The child's answer, and the most memory it held, in megabytes."""
    command = [sys.executable, "-I", str(Path(sandbox.__file__))]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL) as child:
        peaks = [0]
        answered = threading.Event()
        watcher = threading.Thread(target=_watch, args=(child.pid, answered, peaks))
        watcher.start()
        output, _errors = child.communicate(json.dumps({"kind": kind}).encode() + b"\n" + data)
        answered.set()
        watcher.join()
    return json.loads(output.splitlines()[0]), max(peaks) // 1024


def _watch(pid: int, answered: threading.Event, peaks: list[int]) -> None:
    status = Path(f"/proc/{pid}/status")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended in between
        while not answered.wait(0.002):
            found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
            if found:
                peaks.append(int(found[1]))
