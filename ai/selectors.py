"""The catalogue as callers see it, and what was spent. The catalogue is remembered for some seconds."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils.translation import gettext as _

from ai.cache import Remembered
from ai.errors import ModelUnavailable
from ai.models import AIModel, ModelCall, ProviderName, SpendLimit, catalogue_changed, spend_limit_changed
from ai.providers import registry

_REMEMBER_SECONDS = 10.0


def _load_catalogue() -> dict[str, AIModel]:
    return {model.slug: model for model in AIModel.objects.order_by("display_name", "slug")}


def _load_limit() -> SpendLimit:
    return SpendLimit.objects.filter(id=SpendLimit.ONLY_ID).first() or SpendLimit(
        daily_alert_usd=Decimal(50), daily_cap_usd=Decimal(500)
    )


catalogue = Remembered(_load_catalogue, _REMEMBER_SECONDS)
limits = Remembered(_load_limit, _REMEMBER_SECONDS)


def _forget_catalogue(sender: Any, **kwargs: Any) -> None:
    catalogue.forget()


def _forget_limits(sender: Any, **kwargs: Any) -> None:
    limits.forget()


catalogue_changed.connect(_forget_catalogue, dispatch_uid="ai.forget_catalogue")
spend_limit_changed.connect(_forget_limits, dispatch_uid="ai.forget_limits")


def _is_usable(model: AIModel) -> bool:
    return model.is_enabled and registry.is_configured(model.provider)


def get_model(slug: str | None) -> AIModel:
    """The model of that slug, or the default one for None. Raises ModelUnavailable."""
    if slug is None:
        return _default_model()
    model = catalogue.get().get(slug)
    if model is None or not _is_usable(model):
        raise ModelUnavailable(_("The model %(slug)s is not available.") % {"slug": slug})
    return model


def choose_model(slug: str | None) -> AIModel:
    """The preferred model while it can be used, else the default one. Raises ModelUnavailable."""
    model = catalogue.get().get(slug) if slug else None
    return model if model is not None and _is_usable(model) else _default_model()


def _default_model() -> AIModel:
    models = catalogue.get().values()
    for provider in registry.default_order():
        own = [model for model in models if model.provider == provider and model.is_enabled]
        if own:
            return next((model for model in own if model.is_default), own[0])
    raise ModelUnavailable


def list_models() -> list[AIModel]:
    """The models people may choose from now; the demo model only where there is no other."""
    providers = registry.default_order()
    return [model for model in catalogue.get().values() if model.is_enabled and model.provider in providers]


def fallback_chain(model: AIModel) -> list[AIModel]:
    """`model` and the models to try after it, each once, without those that cannot be used now."""
    by_id = {other.id: other for other in catalogue.get().values()}
    chain: list[AIModel] = []
    seen = set()
    step: AIModel | None = model
    while step is not None and step.id not in seen:
        seen.add(step.id)
        if _is_usable(step):
            chain.append(step)
        step = by_id.get(step.fallback_id) if step.fallback_id else None
    return chain


def is_demo_model(slug: str) -> bool:
    """Whether this is the offline stand-in, which people should be told about."""
    model = catalogue.get().get(slug)
    return model is not None and model.provider == ProviderName.ECHO


def get_spend_limit() -> SpendLimit:
    return limits.get()


def cost_between(start: datetime, end: datetime | None = None) -> int:
    """What calls logged from `start` up to before `end` cost, in micro-USD."""
    calls = ModelCall.objects.filter(created_at__gte=start)
    if end is not None:
        calls = calls.filter(created_at__lt=end)
    return calls.aggregate(total=Sum("cost_micro_usd"))["total"] or 0
