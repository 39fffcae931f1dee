"""`make bench`: every figure of one run, with its limit or target. `ARGS=--quick` takes fewer minutes."""

import argparse
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

import django

_CHARGES_QUICK = {"wallets": 1_000, "seconds": 1.0, "rounds": 2}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer streams, wallets and rounds")
    parser.add_argument("--only", choices=("streams", "charges", "money"), help="one of the parts")
    parser.add_argument("--seed", type=int, default=1, help="which wallets are charged and checked")
    options = parser.parse_args()

    from config.embedded import postgres
    from config.env import BASE_DIR
    from config.env import path as path_setting

    postgres.ensure_running(path_setting("PARLOR_DATA_DIR", Path(BASE_DIR) / ".local"))
    django.setup()
    # Requests by the thousand are among what is measured.
    logging.disable(logging.WARNING)
    from benchmarks import charges, money, report, streams

    print(f"{report.environment()}, seed {options.seed}", flush=True)
    parts: dict[str, Callable[[], Iterable[object]]] = {
        "streams": lambda: streams.run(quick=options.quick),
        "charges": lambda: charges.run(**_CHARGES_QUICK if options.quick else {}),
        "money": lambda: money.run(quick=options.quick, seed=options.seed),
    }
    for name, run in parts.items():
        if options.only in (None, name):
            for figure in run():
                print(figure, flush=True)


if __name__ == "__main__":
    main()
