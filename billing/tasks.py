from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing.models import Store
from billing.services import (
    allowance,
    backoffice,
    checkout,
    checks,
    google_play,
    holds,
    inbox,
    leaving,
    mails,
    management,
    promises,
    reconciliation,
    renewals,
    replays,
    usage,
)


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


@shared_task(name="billing.forget_old_events")
def forget_old_events(**kwargs: Any) -> None:
    inbox.forget_old_events()


@shared_task(name="billing.end_at_store")
def end_at_store(*, subscription_id: str, **kwargs: Any) -> None:
    management.end_at_store(subscription_id=UUID(subscription_id))


@shared_task(name="billing.end_beside_lifetime")
def end_beside_lifetime(*, user_id: str, **kwargs: Any) -> None:
    management.end_beside_lifetime(user_id=UUID(user_id))


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


@shared_task(name="billing.acknowledge_google_play")
def acknowledge_google_play(*, product_id: str, purchase_token: str, kind: str, **kwargs: Any) -> None:
    google_play.acknowledge(product_id=product_id, purchase_token=purchase_token, kind=kind)


@shared_task(name="billing.look_for_voided")
def look_for_voided(**kwargs: Any) -> None:
    google_play.look_for_voided()
    google_play.retry_acknowledgements()


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


# --- Mails ----------------------------------------------------------------------------------------


@shared_task(name="billing.mail_receipt")
def mail_receipt(*, payment_id: str, **kwargs: Any) -> None:
    mails.mail_receipt(payment_id=UUID(payment_id))


@shared_task(name="billing.mail_refund")
def mail_refund(*, payment_id: str, external_id: str, **kwargs: Any) -> None:
    mails.mail_refund(payment_id=UUID(payment_id), external_id=external_id)


@shared_task(name="billing.tell_subscription_changed")
def tell_subscription_changed(*, subscription_id: str, from_state: str, to_state: str, **kwargs: Any) -> None:
    mails.tell_subscription_changed(
        subscription_id=UUID(subscription_id), from_state=from_state, to_state=to_state
    )


@shared_task(name="billing.tell_staff_of_event")
def tell_staff_of_event(*, event_id: str, **kwargs: Any) -> None:
    mails.tell_staff_of_event(event_id=UUID(event_id))


@shared_task(name="billing.tell_staff_of_dispute")
def tell_staff_of_dispute(*, dispute_id: str, **kwargs: Any) -> None:
    mails.tell_staff_of_dispute(dispute_id=UUID(dispute_id))


@shared_task(name="billing.tell_staff_of_reconciliation")
def tell_staff_of_reconciliation(*, reconciliation_id: str, **kwargs: Any) -> None:
    mails.tell_staff_of_reconciliation(reconciliation_id=UUID(reconciliation_id))


# --- The office -----------------------------------------------------------------------------------


@shared_task(name="billing.reconcile")
def reconcile(**kwargs: Any) -> None:
    reconciliation.reconcile()


@shared_task(name="billing.run_reconciliation")
def run_reconciliation(*, reconciliation_id: str, **kwargs: Any) -> None:
    reconciliation.carry_out(reconciliation_id=UUID(reconciliation_id))


@shared_task(name="billing.mend_from_stores")
def mend_from_stores(*, reconciliation_id: str, **kwargs: Any) -> None:
    reconciliation.mend(reconciliation_id=UUID(reconciliation_id))


@shared_task(name="billing.send_refund")
def send_refund(*, payment_id: str, amount: int | None, refund_key: str, reason: str, **kwargs: Any) -> None:
    backoffice.send_refund(payment_id=UUID(payment_id), amount=amount, key=refund_key, reason=reason)


@shared_task(name="billing.retry_money_promises")
def retry_money_promises(**kwargs: Any) -> None:
    promises.retry_money_promises()


@shared_task(name="billing.replay_store_event")
def replay_store_event(*, event_id: str, **kwargs: Any) -> None:
    inbox.apply_event(UUID(event_id), again=True)


@shared_task(name="billing.replay_events_since")
def replay_events_since(*, since: str, **kwargs: Any) -> None:
    replays.replay_events_since(since=datetime.fromisoformat(since))


@shared_task(name="billing.forget_customer")
def forget_customer(*, store: str, external_id: str, **kwargs: Any) -> None:
    leaving.forget_customer(store=Store(store), external_id=external_id)


@shared_task(name="billing.end_at_google")
def end_at_google(*, product_id: str, purchase_token: str, **kwargs: Any) -> None:
    leaving.end_at_google(product_id=product_id, purchase_token=purchase_token)
