from typing import Any
from uuid import uuid4

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.models import User, normalise_email
from accounts.services import emails
from billing import selectors
from billing.services import adjustments
from common.credits import InvalidCredits, format_credits, parse_credits
from common.errors import DomainError


class Command(BaseCommand):
    help = "Give a user a tier or credits, or take their email address as verified."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--tier", help="slug of a tier, such as vip")
        parser.add_argument("--credits", help="bonus credits to add, such as 1000 or 2.5")
        parser.add_argument("--verified", action="store_true", help="take the email address as proved")
        parser.add_argument("--reason", default="Support")
        parser.add_argument("--token", help="the same token adds the credits once, however often it is used")

    def handle(self, *args: Any, **options: Any) -> None:
        amount = _amount(options["credits"])
        user = User.objects.filter(email=normalise_email(options["email"])).first()
        if user is None:
            raise CommandError(f"There is no user with the address {options['email']}.")
        try:
            with transaction.atomic():
                self._grant(user, amount, options)
        except DomainError as error:
            raise CommandError(str(error.detail)) from error
        wallet = selectors.get_wallet(user.pk)
        self.stdout.write(
            f"{options['email']}: tier {wallet.tier.slug}, {format_credits(wallet.available)} credits"
        )

    def _grant(self, user: User, amount: int | None, options: dict[str, Any]) -> None:
        if options["verified"]:
            emails.mark_email_verified(user_id=user.pk)
        if options["tier"]:
            adjustments.set_tier(user_id=user.pk, tier=options["tier"], reason=options["reason"])
        if amount is not None:
            adjustments.adjust_credits(
                user_id=user.pk,
                amount=amount,
                reason=options["reason"],
                actor_id=None,
                token=options["token"] or str(uuid4()),
            )


def _amount(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        amount = parse_credits(text)
    except InvalidCredits:
        raise CommandError("Give credits as a decimal number such as 1000 or 2.5.") from None
    if amount == 0:
        raise CommandError("Give more than 0 credits.")
    return amount
