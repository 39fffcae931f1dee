"""The log of model calls."""

from dataclasses import asdict
from uuid import UUID

from django.db import transaction

from ai import metrics
from ai.models import ModelCall
from ai.services import spend
from ai.types import CallOutcome
from common.db import transaction_required


def record_call(outcome: CallOutcome, *, user_id: UUID | None, purpose: str, reference: str) -> ModelCall:
    """Log how a call ended, in one INSERT inside the caller's transaction.

    Its id is the call's, so that a call is logged once. Raises TransactionRequired.
    """
    transaction_required()
    usage = outcome.usage
    call = ModelCall.objects.create(
        id=outcome.call_id,
        user_id=user_id,
        purpose=purpose,
        reference=reference,
        model=outcome.model,
        provider=outcome.provider,
        status=outcome.status,
        error_code=outcome.error_code,
        error_detail=outcome.error_detail[:300],
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cost_micro_usd=outcome.cost_micro_usd,
        first_token_ms=outcome.first_token_ms,
        duration_ms=outcome.duration_ms,
        attempts=[asdict(attempt) for attempt in outcome.attempts] if len(outcome.attempts) > 1 else [],
    )
    transaction.on_commit(lambda: _after_commit(outcome))
    return call


def _after_commit(outcome: CallOutcome) -> None:
    spend.today.logged(outcome.call_id, outcome.cost_micro_usd)
    metrics.CALLS.labels(outcome.provider, outcome.status).inc()
    metrics.COST.labels(outcome.provider).inc(outcome.cost_micro_usd / spend.MICRO)
