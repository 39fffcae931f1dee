from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.models import Reconciliation
from billing.services import reconciliation


class Command(BaseCommand):
    help = "Compare ledger, payments and subscriptions with the stores; fails unless all agree."

    def handle(self, *args: Any, **options: Any) -> None:
        result = reconciliation.reconcile()
        for kind, rows in result.compared.items():
            self.stdout.write(f"compared {rows} {kind}")
        for line in result.differences:
            self.stdout.write(f"{line['kind']} {line['row']}: ours {line['ours']}, theirs {line['theirs']}")
        if result.state != Reconciliation.State.CLEAN:
            raise CommandError(f"{result.get_state_display()}. {result.detail}".strip())
