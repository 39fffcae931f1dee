"""Which model answers, what the catalogue accepts, and how soon a change of it is seen."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from ai import selectors
from ai.errors import ModelUnavailable
from ai.models import AIModel
from ai.tests.factories import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(settings: Any) -> Any:
    def give(*providers: str) -> None:
        for provider in ("anthropic", "openai", "xai", "gemini"):
            setattr(settings, f"{provider.upper()}_API_KEY", "key" if provider in providers else "")
        settings.COMPATIBLE_BASE_URL = "http://localhost:11434/v1" if "compatible" in providers else ""

    return give


@pytest.mark.parametrize(
    ("providers", "default"),
    [
        ((), "echo"),
        (("anthropic", "openai", "xai", "gemini", "compatible"), "claude-sonnet-5-5"),
        (("openai", "xai", "gemini", "compatible"), "gpt-6.1-terra"),
        (("xai", "gemini", "compatible"), "grok-4.3"),
        (("gemini", "compatible"), "gemini-3.8-flash"),
        (("compatible",), "local"),
    ],
)
def test_e1_the_first_provider_with_a_key_supplies_the_default(
    keys: Any, providers: tuple[str, ...], default: str
) -> None:
    keys(*providers)
    assert selectors.get_model(None).slug == default
    assert selectors.is_demo_model(default) is (default == "echo")


def test_the_default_of_a_provider_is_the_operators_choice(keys: Any) -> None:
    keys("anthropic")
    AIModel.objects.filter(slug="claude-sonnet-5-5").update(is_default=False)
    haiku = AIModel.objects.get(slug="claude-haiku-5-5")
    haiku.is_default = True
    haiku.save()
    assert selectors.get_model(None).slug == "claude-haiku-5-5"


def test_without_a_default_any_model_of_the_provider_and_then_the_next_provider(keys: Any) -> None:
    keys("anthropic", "gemini")
    AIModel.objects.filter(provider="anthropic").update(is_default=False)
    assert selectors.get_model(None).provider == "anthropic"
    AIModel.objects.filter(provider="anthropic").update(is_enabled=False)
    selectors.catalogue.forget()
    assert selectors.get_model(None).slug == "gemini-3.8-flash"


def test_m13_a_model_that_is_unknown_switched_off_or_without_a_key_is_unavailable(keys: Any) -> None:
    keys("anthropic")
    make_model("off", is_enabled=False)
    for slug in ("missing", "off", "gpt-6-sol", ""):
        with pytest.raises(ModelUnavailable) as caught:
            selectors.get_model(slug)
        assert (caught.value.code, caught.value.status) == ("provider_unavailable", 503)


def test_m13_with_every_model_switched_off_none_is_available(keys: Any) -> None:
    keys()
    AIModel.objects.update(is_enabled=False)
    with pytest.raises(ModelUnavailable):
        selectors.get_model(None)


def test_a_preference_that_cannot_be_met_gives_the_default(keys: Any) -> None:
    keys("anthropic")
    assert selectors.choose_model("claude-opus-5-5").slug == "claude-opus-5-5"
    for slug in (None, "", "missing", "gpt-6-sol"):
        assert selectors.choose_model(slug).slug == "claude-sonnet-5-5"


def test_people_choose_among_models_that_can_answer(keys: Any) -> None:
    keys()
    assert [model.slug for model in selectors.list_models()] == ["echo"]
    keys("gemini", "xai")
    slugs = {model.slug for model in selectors.list_models()}
    assert slugs == {"grok-4.3", "grok-4.5", "gemini-3.8-flash", "gemini-3.5-flash-lite"}


def test_a_saved_change_is_seen_at_once(keys: Any) -> None:
    keys("anthropic")
    assert selectors.get_model("claude-haiku-4-5").display_name == "Claude Haiku 4.5"
    model = AIModel.objects.get(slug="claude-haiku-4-5")
    model.display_name = "Small"
    model.save()
    assert selectors.get_model("claude-haiku-4-5").display_name == "Small"
    model.delete()
    with pytest.raises(ModelUnavailable):
        selectors.get_model("claude-haiku-4-5")


def test_the_catalogue_is_read_once_for_many_questions(keys: Any, django_assert_num_queries: Any) -> None:
    keys("anthropic")
    with django_assert_num_queries(1):
        for _ in range(5):
            model = selectors.get_model(None)
            selectors.fallback_chain(model)
            selectors.list_models()
            selectors.is_demo_model("echo")


def test_fall_backs_shipped_with_parlor_lead_to_models_of_the_same_provider() -> None:
    for model in AIModel.objects.exclude(fallback=None).select_related("fallback"):
        assert model.fallback is not None
        assert model.fallback.provider == model.provider
    assert AIModel.objects.filter(provider="anthropic", fallback__isnull=False).count() == 3


@pytest.mark.parametrize("field", ["input_price", "output_price", "cached_price", "cache_write_price"])
def test_m13_a_negative_price_cannot_be_saved(field: str) -> None:
    with pytest.raises(IntegrityError, match="ai_model_prices_not_negative"), transaction.atomic():
        AIModel.objects.filter(slug="echo").update(**{field: Decimal("-0.0001")})
    model = AIModel.objects.get(slug="echo")
    setattr(model, field, Decimal(-1))
    with pytest.raises(ValidationError) as caught:
        model.full_clean()
    assert field in caught.value.message_dict


def test_a_provider_has_one_default() -> None:
    with pytest.raises(IntegrityError, match="ai_model_one_default_a_provider"), transaction.atomic():
        make_model("second-default", is_default=True)


def test_a_window_must_hold_the_longest_reply() -> None:
    with pytest.raises(IntegrityError, match="ai_model_window_holds_reply"), transaction.atomic():
        make_model("narrow", context_window=100, max_output_tokens=100)


@pytest.mark.parametrize("options", [[1], "x", {"model": "other"}, {"stream": False, "messages": []}])
def test_options_may_not_replace_what_parlor_sets(options: Any) -> None:
    model = AIModel.objects.get(slug="echo")
    model.options = options
    with pytest.raises(ValidationError) as caught:
        model.full_clean()
    assert list(caught.value.message_dict) == ["options"]


@pytest.mark.parametrize("options", [None, [], ""])
def test_cleared_options_are_no_options(options: Any) -> None:
    model = AIModel.objects.get(slug="echo")
    model.options = options
    model.full_clean()
    assert model.options == {}


@pytest.mark.parametrize("slug", ["", "Has Space", "UPPER", "-x", "a/b", "a\n"])
def test_a_slug_is_plain(slug: str) -> None:
    model = AIModel.objects.get(slug="echo")
    model.slug = slug
    with pytest.raises(ValidationError) as caught:
        model.full_clean()
    assert "slug" in caught.value.message_dict
