"""A usage export in a process of its own, so that what memory it takes can be told.

`python -m benchmarks.exports DATABASE NUMBER FORMAT` writes one and prints rows, seconds and bytes as JSON.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from benchmarks import database
from benchmarks.report import Figure, Result

GROWTH_MB = 50
# How much more ten times the rows may take.
MORE_MB = 5
_COPY = """
COPY (SELECT created_at, details ->> 'persona_name', description, details ->> 'model',
             details ->> 'input_tokens', details ->> 'output_tokens', details ->> 'cached_tokens',
             -amount / 1e6, reference
        FROM billing_ledgertransaction WHERE user_id = %s AND kind = 'charge' ORDER BY number)
  TO STDOUT WITH (FORMAT csv)
"""


def run(name: str, histories: dict[int, int]) -> Iterator[Result | Figure]:
    """`histories` are numbers of wallets with how many charges each has, small ones first."""
    for file_format in ("csv", "json"):
        growths = []
        for number, rows in histories.items():
            written = _in_a_process(name, number, file_format)
            if written["rows"] != rows:
                raise RuntimeError(f"{written['rows']} rows in an export of {rows}")
            growths.append(written["bytes"] / 1e6)
            title = f"memory an export of {rows:,} rows as {file_format} takes, MB"
            yield Figure(title, growths[-1], GROWTH_MB, at_most=True)
        title = f"memory more for ten times the rows as {file_format}, MB"
        yield Figure(title, growths[-1] - growths[0], MORE_MB, at_most=True)
        rate = written["rows"] / written["seconds"]
        yield Result(
            f"rows exported a second as {file_format} against COPY", rate, _copied(name, number, rows), 0
        )


def _in_a_process(name: str, number: int, file_format: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.exports", name, str(number), file_format],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    written: dict[str, float] = json.loads(done.stdout)
    return written


def _copied(name: str, number: int, rows: int) -> float:
    """Rows a second the database hands over by itself."""
    started = time.perf_counter()
    with database.as_superuser(name) as admin, admin.cursor() as cursor:
        statement = _COPY.replace("%s", f"'{database.user_id(number)}'")
        with cursor.copy(statement) as copy, tempfile.TemporaryFile() as file:
            for part in copy:
                file.write(part)
    return rows / (time.perf_counter() - started)


def main(name: str, number: int, file_format: str) -> None:
    from django.conf import settings

    from billing.models import UsageExport
    from billing.services import usage

    database.use_database(name)
    export = UsageExport(user_id=database.user_id(number), format=file_format, time_zone=settings.TIME_ZONE)
    nobody = UsageExport(user_id=database.user_id(0), format=file_format, time_zone=settings.TIME_ZONE)
    # Connects, and imports what the first query imports.
    usage.write_usage_export(BytesIO(), nobody)
    before = _peak_memory()
    started = time.perf_counter()
    with tempfile.TemporaryFile() as file:
        rows = usage.write_usage_export(file, export)
    seconds = time.perf_counter() - started
    print(json.dumps({"rows": rows, "seconds": seconds, "bytes": _peak_memory() - before}))


def _peak_memory() -> int:
    """Bytes. What `getrusage` tells would begin with the memory of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    import django

    django.setup()
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
