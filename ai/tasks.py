from decimal import Decimal
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.utils.translation import gettext as _

from ai.services import spend

logger = structlog.get_logger("parlor.ai")


@shared_task(name="ai.check_daily_spend")
def check_daily_spend(**kwargs: Any) -> None:
    spend.check_today()


@shared_task(name="ai.mail_spend_warning")
def mail_spend_warning(
    *, day: str, name: str, spent_micro_usd: int, threshold_usd: str, **kwargs: Any
) -> None:
    """Tell staff that a day's costs passed the alert or the cap."""
    spent = f"{Decimal(spent_micro_usd) / spend.MICRO:.2f}"
    logger.warning(
        "daily_spend_threshold_passed", threshold=name, day=day, spent_usd=spent, limit_usd=threshold_usd
    )
    words = {"day": day, "spent": spent, "limit": threshold_usd, "site": settings.PUBLIC_URL}
    if name == "cap":
        subject = _("Parlor stopped calling AI models: the daily cap is reached")
        body = _(
            "On %(day)s AI models cost %(spent)s USD, which reaches the cap of %(limit)s USD. "
            "New replies are refused until midnight.\n\n"
            "Raise the cap in the admin to go on at once: %(site)s/admin/ai/spendlimit/"
        )
    else:
        subject = _("AI costs passed the daily alert")
        body = _(
            "On %(day)s AI models cost %(spent)s USD so far, past the alert at %(limit)s USD.\n\n"
            "Calls by model and user: %(site)s/admin/ai/modelcall/"
        )
    staff = get_user_model().objects.filter(is_active=True, is_staff=True, email__isnull=False)
    addresses = [str(email) for email in staff.order_by("id").values_list("email", flat=True)]
    if addresses:
        EmailMessage(subject, body % words, bcc=addresses).send()
