"""What a browser says of itself, in words its owner recognises."""

import re

from django.utils.translation import gettext as _

# Browsers name their ancestors too, so the first match decides.
_BROWSERS = [
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chrome", r"\b((Headless)?Chrome|CriOS)/"),
    ("Safari", r"\bSafari/"),
]
_SYSTEMS = [
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("ChromeOS", r"CrOS"),
    ("Mac", r"Mac OS X|Macintosh"),
    ("Linux", r"Linux|X11"),
]
_SHOWN = 60


def describe_device(user_agent: str) -> str:
    """`"Firefox on Windows"`; what matches nothing is an app, named by its own first word."""
    browser = _first(_BROWSERS, user_agent)
    system = _first(_SYSTEMS, user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or user_agent.partition("/")[0].strip()[:_SHOWN] or _("Unknown device")


def _first(candidates: list[tuple[str, str]], user_agent: str) -> str:
    return next((name for name, pattern in candidates if re.search(pattern, user_agent)), "")
