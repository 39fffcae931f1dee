from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing import invariants
from billing.services import checks


class Command(BaseCommand):
    help = "Check every promise of the ledger and store the result; fails when one is broken."

    def handle(self, *args: Any, **options: Any) -> None:
        result = checks.check_ledger()
        for name, promise in invariants.promises().items():
            found = result.results.get(name)
            self.stdout.write(f"{'FAIL' if found else 'ok':5}{promise}")
            for row in found["rows"] if found else []:
                self.stdout.write(f"     {row}")
        if not result.is_clean:
            raise CommandError(f"{result.violations} rows break the ledger's promises.")
