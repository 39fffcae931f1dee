"""Adding usage up from the ledger, and making files of it for its owner."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import IO, Any
from uuid import UUID

from django.core import signing
from django.core.files.base import File
from django.core.files.storage import storages
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from billing import database, usage_reports
from billing.models import LedgerTransaction, UsageExport, UsageMark, UsageSlot
from common.credits import format_credits
from common.errors import Invalid, NotFound, RateLimited
from common.ids import uuid7
from common.jobs import enqueue

WALLETS_AT_ONCE = 200
# A wallet's backlog is added up in parts, so that no transaction is long.
NUMBERS_AT_ONCE = 20_000

EXPORTS_PER_DAY = 20
EXPORT_DAYS = 7
_LINK_SECONDS = 300
_SALT = "billing.usage_exports"
_PAGE = 2_000
_OPEN = (UsageExport.State.QUEUED, UsageExport.State.PROCESSING)
_COLUMNS = (
    "time",
    "persona",
    "description",
    "model",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "credits",
    "reference",
)
# A spreadsheet would run a cell that begins so, the full-width forms too (X51).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_BEHIND = """
SELECT w.user_id FROM billing_wallet w LEFT JOIN billing_usagemark m ON m.user_id = w.user_id
 WHERE w.user_id > %s AND w.last_number > coalesce(m.through_number, 0)
 ORDER BY w.user_id LIMIT %s
"""
_MAKE_MARKS = """
INSERT INTO billing_usagemark (user_id, through_number)
SELECT user_id, 0 FROM unnest(%s::uuid[]) AS user_id ORDER BY user_id
ON CONFLICT (user_id) DO NOTHING
"""
_CLAIM = """
SELECT user_id FROM billing_usagemark WHERE user_id = ANY(%s) ORDER BY user_id FOR UPDATE SKIP LOCKED
"""
# Who never opened a wallet has none.
_CLOSE_MARK = """
INSERT INTO billing_usagemark (user_id, through_number)
SELECT user_id, %s FROM billing_wallet WHERE user_id = %s
ON CONFLICT (user_id) DO UPDATE SET through_number = excluded.through_number
"""
# `last_number` and the ledger are seen from one moment, and a wallet's numbers are committed in order, so
# everything up to it is here. Whoever holds the mark moves it together with what it stands for.
_ADD_UP = f"""
WITH part AS (
    SELECT m.user_id, m.through_number AS after, least(w.last_number, m.through_number + %s) AS upto
      FROM billing_usagemark m JOIN billing_wallet w ON w.user_id = m.user_id
     WHERE m.user_id = ANY(%s) AND w.last_number > m.through_number
), line AS (
    SELECT t.user_id, {usage_reports.CHARGE_COLUMNS}
      FROM part JOIN billing_ledgertransaction t
        ON t.user_id = part.user_id AND t.number > part.after AND t.number <= part.upto
     WHERE t.kind = 'charge'
), added AS (
    INSERT INTO billing_usageslot AS slot (
        user_id, starts_at, persona_id, label, model, charges, replies, input_tokens, output_tokens,
        cached_tokens, credits)
    SELECT user_id, starts_at, persona_id, label, model, sum(charges), sum(replies), sum(input_tokens),
           sum(output_tokens), sum(cached_tokens), sum(credits)
      FROM line
     GROUP BY user_id, starts_at, persona_id, label, model
    ON CONFLICT ON CONSTRAINT usage_slot_once DO UPDATE
       SET charges = slot.charges + excluded.charges, replies = slot.replies + excluded.replies,
           input_tokens = slot.input_tokens + excluded.input_tokens,
           output_tokens = slot.output_tokens + excluded.output_tokens,
           cached_tokens = slot.cached_tokens + excluded.cached_tokens,
           credits = slot.credits + excluded.credits
)
UPDATE billing_usagemark m SET through_number = part.upto FROM part WHERE m.user_id = part.user_id
RETURNING m.user_id, part.upto - part.after >= %s
"""  # noqa: S608 - the columns are ours


def aggregate_usage() -> int:
    """Add what is new in the ledger to the slots; answers how many wallets had something new.

    May break off, run twice and run beside itself: each charge is counted once.
    """
    total, after = 0, UUID(int=0)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_BEHIND, [after, WALLETS_AT_ONCE])
            behind = [row[0] for row in cursor.fetchall()]
        if not behind:
            return total
        total += database.atomically(lambda wallets=behind: _add_up(wallets))  # type: ignore[misc]
        after = behind[-1]


def _add_up(wallets: list[UUID]) -> int:
    """Wallets another run is working on are left to it."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKE_MARKS, [wallets])
        cursor.execute(_CLAIM, [wallets])
        own = open_ended = [row[0] for row in cursor.fetchall()]
        while open_ended:
            cursor.execute(_ADD_UP, [NUMBERS_AT_ONCE, open_ended, NUMBERS_AT_ONCE])
            open_ended = [user_id for user_id, has_more in cursor.fetchall() if has_more]
    return len(own)


@transaction.atomic
def forget_usage(*, user_id: UUID) -> None:
    """Delete what was added up for somebody who leaves, and add nothing up for them again."""
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE_MARK, [UsageMark.CLOSED, user_id])
    UsageSlot.objects.filter(wallet_id=user_id).delete()


@transaction.atomic
def request_usage_export(
    *, user_id: UUID, file_format: str, first: date | None = None, last: date | None = None
) -> UsageExport:
    """Have a file of the user's charges made, of the days from `first` to `last` (both included).

    While the same file is on its way, that one is the answer. Raises RateLimited (with `retry_after`,
    seconds) after too many in a day, Invalid for days out of order, NotFound for a closed account.
    """
    if first and last and first > last:
        raise Invalid.field("to", "invalid", _("The last day comes before the first."))
    user = _lock_active_user(user_id)
    if user is None:
        raise NotFound
    wanted = {"user_id": user_id, "format": file_format, "first_day": first, "last_day": last}
    same = UsageExport.objects.filter(state__in=_OPEN, **wanted).first()
    if same is not None:
        return same
    day_ago = timezone.now() - timedelta(days=1)
    if UsageExport.objects.filter(user_id=user_id, created_at__gt=day_ago).count() >= EXPORTS_PER_DAY:
        raise RateLimited(_("You had your exports for today."), retry_after=86_400)
    export = UsageExport.objects.create(time_zone=usage_reports.zone_of(user_id), **wanted)
    enqueue("billing.make_usage_export", export_id=str(export.id))
    return export


def make_usage_export(*, export_id: UUID) -> None:
    """Write the file; the memory it takes does not depend on how many rows there are. For the task."""
    export = _claim(export_id)
    if export is None:
        return
    is_ready = False
    try:
        rows, size = _save_file(export)
        is_ready = _publish(export, rows, size)
    finally:
        if not is_ready:
            _discard(export)


def write_usage_export(
    file: IO[bytes], export: UsageExport, progress: Callable[[int], object] = lambda rows: None
) -> int:
    """Write the rows as they come from the ledger; answers how many."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    rows = _counted(_charges(export), progress)
    count = _write_csv(text, rows) if export.format == UsageExport.Format.CSV else _write_json(text, rows)
    text.flush()
    text.detach()
    return count


def sign_usage_export(export: UsageExport) -> str | None:
    """The token of a link that gives the file to its owner for five minutes; None while there is none."""
    is_there = (
        export.state == UsageExport.State.READY
        and export.expires_at is not None
        and export.expires_at > timezone.now()
    )
    return signing.dumps([str(export.id), str(export.user_id)], salt=_SALT) if is_there else None


def open_usage_export(*, user_id: UUID, token: str) -> tuple[UsageExport, File]:
    """The file a link stands for. Raises NotFound for anybody else's, old ones and made-up links."""
    try:
        export_id, owner_id = signing.loads(token, salt=_SALT, max_age=_LINK_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound from None
    export = UsageExport.objects.filter(
        id=export_id, user_id=user_id, state=UsageExport.State.READY, expires_at__gt=timezone.now()
    ).first()
    if export is None or owner_id != str(user_id):
        raise NotFound
    try:
        return export, storages["private"].open(export.key)
    except FileNotFoundError:
        raise NotFound from None


def expire_usage_exports() -> int:
    """Delete files whose days are over, and give up on those never finished; answers how many files went."""
    now = timezone.now()
    stuck = UsageExport.objects.filter(state__in=_OPEN, created_at__lt=now - timedelta(days=1))
    stuck.update(state=UsageExport.State.FAILED)
    over = Q(state=UsageExport.State.READY, expires_at__lte=now)
    done_with = Q(state__in=[UsageExport.State.FAILED, UsageExport.State.EXPIRED])
    count = 0
    for export in UsageExport.objects.filter(over | done_with).exclude(key="").order_by("created_at"):
        failed = export.state == UsageExport.State.FAILED
        storages["private"].delete(export.key)
        UsageExport.objects.filter(id=export.id, key=export.key).update(
            state=UsageExport.State.FAILED if failed else UsageExport.State.EXPIRED, key=""
        )
        count += 1
    return count


def delete_usage_exports(*, user_id: UUID) -> None:
    """All of somebody's files and that they were asked for. The account must be closed before."""
    for key in UsageExport.objects.filter(user_id=user_id).exclude(key="").values_list("key", flat=True):
        storages["private"].delete(key)
    UsageExport.objects.filter(user_id=user_id).delete()


def _claim(export_id: UUID) -> UsageExport | None:
    """The export with a key for its file, in the row before there are bytes; else a crash would hide them."""
    owner_id = UsageExport.objects.filter(id=export_id).values_list("user_id", flat=True).first()
    with transaction.atomic():
        user = _lock_active_user(owner_id) if owner_id else None
        export = UsageExport.objects.filter(id=export_id, user=user, state__in=_OPEN).first()
        if user is None or export is None:
            return None
        abandoned = export.key
        export.state, export.rows = UsageExport.State.PROCESSING, 0
        export.key = f"usage/{uuid7().hex}.{export.format}"
        export.save(update_fields=["state", "rows", "key"])
    if abandoned:
        storages["private"].delete(abandoned)
    return export


def _save_file(export: UsageExport) -> tuple[int, int]:
    with tempfile.TemporaryFile() as file:
        own = UsageExport.objects.filter(id=export.id, key=export.key)
        rows = write_usage_export(file, export, lambda count: own.update(rows=count))
        file.seek(0, io.SEEK_END)
        size = file.tell()
        file.seek(0)
        storages["private"].save(export.key, File(file))
    return rows, size


@transaction.atomic
def _publish(export: UsageExport, rows: int, size: int) -> bool:
    """Hand the file over; False where the account was closed meanwhile, or another run took the export."""
    user = _lock_active_user(export.user_id)
    running = UsageExport.objects.filter(
        id=export.id, key=export.key, state=UsageExport.State.PROCESSING
    ).select_for_update()
    expires_at = timezone.now() + timedelta(days=EXPORT_DAYS)
    return user is not None and bool(
        running.update(state=UsageExport.State.READY, rows=rows, size=size, expires_at=expires_at)
    )


def _discard(export: UsageExport) -> None:
    storages["private"].delete(export.key)
    UsageExport.objects.filter(id=export.id, key=export.key).update(state=UsageExport.State.FAILED, key="")


def _lock_active_user(user_id: UUID) -> User | None:
    """Locked, so that an erasure comes wholly before what the caller does, or wholly after."""
    return User.objects.select_for_update(no_key=True).filter(id=user_id, is_active=True).first()


def _charges(export: UsageExport) -> Iterator[dict[str, Any]]:
    """Page by page along the wallet's own numbering; rows are only ever added behind."""
    charges = LedgerTransaction.objects.filter(
        wallet_id=export.user_id, kind=LedgerTransaction.Kind.CHARGE
    ).order_by("number")
    if export.first_day:
        charges = charges.filter(
            created_at__gte=usage_reports.midnight_of(export.first_day, export.time_zone)
        )
    if export.last_day:
        end = usage_reports.midnight_of(export.last_day + timedelta(days=1), export.time_zone)
        charges = charges.filter(created_at__lt=end)
    after = 0
    while True:
        fields = ("number", "created_at", "amount", "reference", "description", "details")
        page = list(charges.filter(number__gt=after).only(*fields)[:_PAGE])
        yield from map(_charge_row, page)
        if len(page) < _PAGE:
            return
        after = page[-1].number


def _charge_row(charge: LedgerTransaction) -> dict[str, Any]:
    details = charge.details
    return {
        "time": charge.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "persona": _text(details.get("persona_name")),
        "description": charge.description,
        "model": _text(details.get("model")),
        "input_tokens": _number(details.get("input_tokens")),
        "output_tokens": _number(details.get("output_tokens")),
        "cached_tokens": _number(details.get("cached_tokens")),
        "credits": format_credits(-charge.amount),
        "reference": charge.reference,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _counted(rows: Iterable[dict[str, Any]], progress: Callable[[int], object]) -> Iterator[dict[str, Any]]:
    for count, row in enumerate(rows, start=1):
        yield row
        if count % (10 * _PAGE) == 0:
            progress(count)


def _write_csv(text: io.TextIOWrapper, rows: Iterable[dict[str, Any]]) -> int:
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007 - counted for the answer
        # Credits and times are written by us and stay plain numbers and times.
        texts = {name: safe_cell(row[name]) for name in ("persona", "description", "model", "reference")}
        writer.writerow([{**row, **texts}[name] for name in _COLUMNS])
    return count


def safe_cell(text: str) -> str:
    """The text as a spreadsheet may read it: what looks like a formula gets a quote before it."""
    is_formula = text.startswith(_FORMULA_STARTS) or text.lstrip().startswith(_FORMULA_STARTS)
    return f"'{text}" if is_formula else text


def _write_json(text: io.TextIOWrapper, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    text.write("[")
    for count, row in enumerate(rows, start=1):
        text.write(",\n" if count > 1 else "\n")
        text.write(json.dumps(row, ensure_ascii=False))
    text.write("\n]\n")
    return count
