from typing import Any

from celery import shared_task

from billing.services import allowance, checks, holds


@shared_task(name="billing.expire_holds")
def expire_holds(**kwargs: Any) -> None:
    holds.expire_holds()


@shared_task(name="billing.refresh_allowances")
def refresh_allowances(**kwargs: Any) -> None:
    allowance.refresh_allowances()


@shared_task(name="billing.check_ledger")
def check_ledger(**kwargs: Any) -> None:
    checks.check_ledger()
