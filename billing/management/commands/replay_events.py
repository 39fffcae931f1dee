from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from billing.services import replays
from common.errors import DomainError


class Command(BaseCommand):
    help = "Fetch what the store told since a moment and apply it: after a backup was put back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("since", help="such as 2026-05-01T03:00, in the operator's time zone")

    def handle(self, *args: Any, **options: Any) -> None:
        since = _moment(options["since"])
        if since is None:
            raise CommandError("Give a moment such as 2026-05-01T03:00.")
        if timezone.is_naive(since):
            since = timezone.make_aware(since)
        try:
            found = replays.replay_events_since(since=since)
        except DomainError as error:
            raise CommandError(str(error.detail)) from error
        for state, count in sorted(found.items()):
            self.stdout.write(f"{count} {state}")


def _moment(text: str) -> Any:
    try:
        return parse_datetime(text)
    except ValueError:
        return None
