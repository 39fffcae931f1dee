from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.services import closing
from common.errors import DomainError


class Command(BaseCommand):
    help = "End what a test shop sold and take back what is left of its credits: once the live key is set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be ended")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = closing.close_test_shops(dry_run=options["dry_run"])
        except DomainError as error:
            raise CommandError(str(error.detail)) from error
        done = "would be" if options["dry_run"] else "were"
        self.stdout.write(f"{found.subscriptions} subscriptions {done} ended.")
        self.stdout.write(f"{found.payments} payments {done} taken back.")
