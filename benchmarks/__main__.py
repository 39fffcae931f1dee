"""`make bench`: every figure of one run, with its limit or target. `ARGS=--quick` takes about a minute."""

import argparse
import os
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

import django


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer streams, wallets and rounds")
    parser.add_argument("--only", choices=("streams", "charges"), help="one of the parts")
    options = parser.parse_args()

    from config.embedded import postgres
    from config.env import BASE_DIR
    from config.env import path as path_setting

    postgres.ensure_running(path_setting("PARLOR_DATA_DIR", Path(BASE_DIR) / ".local"))
    django.setup()
    from benchmarks import charges, report, streams

    print(report.environment(), flush=True)
    if options.only != "charges":
        for figure in streams.run(quick=options.quick):
            print(figure, flush=True)
    if options.only != "streams":
        size = {"wallets": 1_000, "seconds": 1.0, "rounds": 2} if options.quick else {}
        for result in charges.run(**size):
            print(result, flush=True)


if __name__ == "__main__":
    main()
