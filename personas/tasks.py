from typing import Any

from celery import shared_task
from django.utils import timezone

from personas.services import activity


@shared_task(name="personas.recompute_trending")
def recompute_trending(**kwargs: Any) -> None:
    activity.recompute_trending(timezone.now().date())
