"""Feeds the sandbox many files quickly: each is decoded in a fork of a process with the decoders loaded.

Run by its path. In: a line of JSON with `size`, then so many bytes. Out: a line of JSON, the answer or how
the fork ended.
"""

import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

SANDBOX = Path(__file__).resolve().parents[1] / "sandbox.py"


def main() -> None:
    sandbox = _load()
    while line := sys.stdin.buffer.readline():
        job = json.loads(line)
        data = sys.stdin.buffer.read(job["size"])
        sys.stdout.write(json.dumps(_decode(sandbox, job, data)) + "\n")
        sys.stdout.flush()


def _load() -> Any:
    import tinytag  # noqa: F401 - here, so that no fork has to load it

    spec = importlib.util.spec_from_file_location("sandbox", SANDBOX)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _decode(sandbox: Any, job: dict[str, Any], data: bytes) -> dict[str, Any]:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        resource.setrlimit(resource.RLIMIT_AS, (sandbox.MEMORY_BYTES, sandbox.MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (sandbox.CPU_SECONDS, sandbox.CPU_SECONDS))
        header, parts = sandbox.answer(job, data)
        magic = [part[8:12].decode("latin-1") for part in parts]
        os.write(theirs, json.dumps({**header, "magic": magic}).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        answer = pipe.read()
    _child, status, usage = os.wait4(child, 0)
    found = json.loads(answer) if answer and status == 0 else {"died": status}
    return {**found, "megabytes": usage.ru_maxrss // 1024, "seconds": usage.ru_utime}


if __name__ == "__main__":
    main()
