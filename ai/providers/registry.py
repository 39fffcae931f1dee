"""Every provider by its name in the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

from ai.models import ProviderName
from ai.providers import anthropic, gemini, openai
from ai.providers.base import Decoder, HttpCall, ProviderCall


@dataclass(frozen=True, slots=True)
class HttpProvider:
    is_configured: Callable[[], bool]
    build: Callable[[ProviderCall], HttpCall]
    make_decoder: Callable[[], Decoder]


# In the order in which they supply the default model.
HTTP_PROVIDERS: dict[str, HttpProvider] = {
    ProviderName.ANTHROPIC: HttpProvider(anthropic.is_configured, anthropic.build, anthropic.Decoder),
    **{
        service.name: HttpProvider(service.is_configured, service.build, openai.Decoder)
        for service in (openai.OPENAI, openai.XAI)
    },
    ProviderName.GEMINI: HttpProvider(gemini.is_configured, gemini.build, gemini.Decoder),
    openai.COMPATIBLE.name: HttpProvider(
        openai.COMPATIBLE.is_configured, openai.COMPATIBLE.build, openai.Decoder
    ),
}


def is_configured(provider: str) -> bool:
    """Whether the provider has what it needs to be called; echo needs nothing."""
    if provider == ProviderName.ECHO:
        return True
    http = HTTP_PROVIDERS.get(provider)
    return http is not None and http.is_configured()


def default_order() -> list[str]:
    """The configured providers, most preferred first; echo where there is no other."""
    names = [name for name, provider in HTTP_PROVIDERS.items() if provider.is_configured()]
    return names or [ProviderName.ECHO.value]
