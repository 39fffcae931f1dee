"""What accounts announce and billing follows."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver

from accounts import signals
from billing.services import grants


@receiver(signals.email_verified)
def give_sign_up_bonus(user_id: UUID, **kwargs: Any) -> None:
    grants.grant_sign_up_bonus(user_id=user_id)
