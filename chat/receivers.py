from typing import Any
from uuid import UUID

from django.dispatch import receiver

from accounts.signals import access_revoked
from chat.services.stopping import stop_replies_of_user


@receiver(access_revoked, dispatch_uid="chat.stop_replies_of_user")
def stop_replies(sender: Any, user_id: UUID, **kwargs: Any) -> None:
    stop_replies_of_user(user_id)
