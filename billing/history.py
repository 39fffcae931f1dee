"""A wallet's history as a list a person can read: replies of one talk on one day are one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone

from billing.models import LedgerTransaction


@dataclass(slots=True)
class HistoryLine:
    """`amount` in microcredits, over `count` transactions, of which the latest left `balance_after`."""

    kind: str
    label: str
    day: date
    at: datetime
    amount: int
    balance_after: int
    count: int = 1


def readable_lines(transactions: Iterable[LedgerTransaction]) -> list[HistoryLine]:
    """Lines for transactions given latest first; neighbouring charges for the same thing are joined."""
    lines: list[HistoryLine] = []
    for transaction in transactions:
        day = timezone.localdate(transaction.created_at)
        label = transaction.description or transaction.get_kind_display()
        last = lines[-1] if lines else None
        if (
            last is not None
            and last.kind == transaction.kind == LedgerTransaction.Kind.CHARGE
            and (last.day, last.label) == (day, label)
        ):
            last.amount += transaction.amount
            last.count += 1
            continue
        lines.append(
            HistoryLine(
                kind=transaction.kind,
                label=label,
                day=day,
                at=transaction.created_at,
                amount=transaction.amount,
                balance_after=transaction.balance_after,
            )
        )
    return lines
