"""Credits for the operators' dashboard; amounts are microcredits."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db.models import Sum
from django.db.models.functions import TruncDate

from billing.models import LedgerCheck, LedgerTransaction, Wallet


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What people could still spend and did not get for the day only."""

    bonus: int
    purchased: int

    @property
    def total(self) -> int:
        return self.bonus + self.purchased


def outstanding_credits() -> Outstanding:
    sums = Wallet.objects.aggregate(bonus=Sum("bonus_balance"), purchased=Sum("purchased_balance"))
    return Outstanding(sums["bonus"] or 0, sums["purchased"] or 0)


def charged_by_day(since: datetime) -> dict[date, int]:
    rows = (
        LedgerTransaction.objects.filter(kind=LedgerTransaction.Kind.CHARGE, id__gte=_first_id(since))
        .annotate(day=TruncDate("created_at"))
        .values("day")
        .annotate(amount=Sum("amount"))
    )
    return {row["day"]: -row["amount"] for row in rows}


def last_ledger_check() -> LedgerCheck | None:
    return LedgerCheck.objects.order_by("-created_at").first()


def _first_id(moment: datetime) -> UUID:
    """The smallest id of that time: ids begin with their milliseconds, and they are indexed."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
