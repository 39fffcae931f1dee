from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts.models import User
from accounts.services import emails
from personas.services import demo

HOUSE = "house@example.com"
DEMO = ("demo@example.com", "parlor-demo")
STAFF = ("staff@example.com", "parlor-demo-staff")
_BORN = date(1990, 1, 1)


class Command(BaseCommand):
    help = "Adds the demo accounts and personas; only with the embedded database, and only what is missing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.EMBEDDED:
            raise CommandError("Demo data is never loaded beside a database of your own.")
        house = _user(HOUSE, None, display_name="Parlor", handle="parlor")
        _user(*DEMO, display_name="Demo", birth_date=_BORN)
        _user(*STAFF, display_name="Staff", birth_date=_BORN, is_staff=True, is_superuser=True)
        number = demo.load_demo_personas(owner_id=house.pk)
        if number and options["verbosity"]:
            self.stdout.write(f"{number} demo personas added.")


def _user(email: str, password: str | None, **fields: Any) -> User:
    """The account of this address, made and taken as verified if it is new; what was changed stays so."""
    known = User.objects.filter(email=email).first()
    if known is not None:
        return known
    with transaction.atomic():
        user = User.objects.create_user(email, password, **fields)
        emails.mark_email_verified(user_id=user.pk)
    return user
