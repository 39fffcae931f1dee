from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing.services import allowance, checkout, checks, holds, inbox, renewals, usage


@shared_task(name="billing.expire_holds")
def expire_holds(**kwargs: Any) -> None:
    holds.expire_holds()


@shared_task(name="billing.refresh_allowances")
def refresh_allowances(**kwargs: Any) -> None:
    allowance.refresh_allowances()


@shared_task(name="billing.apply_store_event")
def apply_store_event(*, event_id: str, **kwargs: Any) -> None:
    inbox.apply_event(UUID(event_id))


@shared_task(name="billing.apply_waiting_events")
def apply_waiting_events(**kwargs: Any) -> None:
    inbox.apply_waiting()


@shared_task(name="billing.advance_subscriptions")
def advance_subscriptions(**kwargs: Any) -> None:
    renewals.look_at_due()


@shared_task(name="billing.expire_orders")
def expire_orders(**kwargs: Any) -> None:
    # Checkouts of Stripe end after a day; what was paid in time is heard of by then.
    checkout.expire_open_orders(before=timezone.now() - timedelta(days=3))


@shared_task(name="billing.check_ledger")
def check_ledger(**kwargs: Any) -> None:
    checks.check_ledger()


# --- Usage ----------------------------------------------------------------------------------------


@shared_task(name="billing.aggregate_usage")
def aggregate_usage(**kwargs: Any) -> None:
    usage.aggregate_usage()


@shared_task(name="billing.make_usage_export")
def make_usage_export(*, export_id: str, **kwargs: Any) -> None:
    usage.make_usage_export(export_id=UUID(export_id))


@shared_task(name="billing.expire_usage_exports")
def expire_usage_exports(**kwargs: Any) -> None:
    usage.expire_usage_exports()
