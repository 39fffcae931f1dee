"""What a reconciliation finds, and how rows of a store are held against ours: in batches, not kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from django.db import connection as db
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from billing.models import Payment, Store, Subscription
from billing.money import format_money

T = TypeVar("T")

# How far back payments are compared; ours must be that much younger to be expected among the store's.
WINDOW = timedelta(days=35)
MARGIN = timedelta(days=7)
# What happened a moment ago is still on its way.
ON_ITS_WAY = timedelta(minutes=10)
BATCH = 100
# The rest is counted, and found again once these are mended.
KEPT = 500


@dataclass(slots=True)
class Comparison:
    """What one run finds."""

    now: datetime
    differences: list[dict[str, Any]] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    money: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def since(self) -> datetime:
        return self.now - WINDOW

    @property
    def settled(self) -> datetime:
        """What happened before must be in the books."""
        return self.now - ON_ITS_WAY

    def count(self, kind: str, rows: int = 1) -> None:
        self.compared[kind] = self.compared.get(kind, 0) + rows

    def differ(
        self, kind: str, row: str, *, ours: object, theirs: object, amount: int = 0, currency: str = ""
    ) -> None:
        """`row` names it: "payment:<our id>", or the store's own id where we have none."""
        if currency:
            self.money[currency] = self.money.get(currency, 0) + abs(amount)
        if len(self.differences) >= KEPT:
            self.left_out += 1
            return
        self.differences.append(
            {
                "kind": kind,
                "row": row,
                "ours": _plain(ours),
                "theirs": _plain(theirs),
                "amount": amount,
                "currency": currency,
            }
        )


class Seen:
    """The ids a store listed, in a temporary table of this connection."""

    def __enter__(self) -> "Seen":
        self._execute("CREATE TEMPORARY TABLE IF NOT EXISTS reconciled_ids (external_id text PRIMARY KEY)")
        self._execute("TRUNCATE reconciled_ids")
        return self

    def __exit__(self, *error: object) -> None:
        self._execute("DROP TABLE IF EXISTS reconciled_ids")

    def add(self, external_ids: Iterable[str]) -> None:
        self._execute(
            "INSERT INTO reconciled_ids SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
            [list(external_ids)],
        )

    def is_unseen(self, table: str) -> RawSQL:
        """For a filter: rows of ours the store did not list."""
        return RawSQL(  # noqa: S611 - our own names
            f"NOT EXISTS (SELECT FROM reconciled_ids seen WHERE seen.external_id = {table}.external_id)",
            [],
            output_field=BooleanField(),
        )

    def _execute(self, statement: str, parameters: list[Any] | None = None) -> None:
        with db.cursor() as cursor:
            cursor.execute(statement, parameters)


def has_business(store: Store, since: datetime) -> bool:
    live = Subscription.objects.filter(store=store, entitled_until__isnull=False)
    return Payment.objects.filter(store=store, paid_at__gte=since).exists() or live.exists()


def batches(rows: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def money(amount: int, currency: str) -> str:
    return format_money(amount, currency)


def _plain(value: object) -> Any:
    return value if value is None or isinstance(value, int) else str(value)
