"""Running the ledger's invariants and keeping the result."""

import structlog
from django.utils import timezone

from billing import invariants, metrics
from billing.models import LedgerCheck

logger = structlog.get_logger("parlor.billing")


def check_ledger() -> LedgerCheck:
    """Run every invariant over the whole ledger, store what was found, and sound the alarm if need be."""
    started_at = timezone.now()
    violations = invariants.find_violations(now=started_at)
    count = sum(violation.count for violation in violations)
    if count:
        metrics.VIOLATIONS.inc(count)
        logger.error("ledger_check_failed", checks=[violation.check for violation in violations], rows=count)
    return LedgerCheck.objects.create(
        created_at=started_at,
        finished_at=timezone.now(),
        is_clean=not violations,
        violations=count,
        results={
            violation.check: {"count": violation.count, "rows": violation.rows} for violation in violations
        },
    )
