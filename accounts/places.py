"""Where an address is, roughly, by a database on this machine: nobody else is asked.

Any database in MaxMind's format with cities or countries will do (GeoLite2, DB-IP Lite).
"""

import ipaddress
from functools import cache
from typing import Any

import maxminddb
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _


def place_of(address: str | None) -> str:
    """ "Helsinki, Finland"; empty where nothing is known."""
    try:
        where = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    if where.is_loopback:
        return _("this computer")
    if where.is_private:
        return _("a private network")
    if not settings.ACCOUNTS_GEOIP_DATABASE:
        return ""
    found: Any = _database(settings.ACCOUNTS_GEOIP_DATABASE).get(str(where)) or {}
    names = [_name(found.get("city")), _name(found.get("country"))]
    return ", ".join(name for name in names if name)


def _name(place: Any) -> str:
    names = place.get("names", {}) if isinstance(place, dict) else {}
    return str(names.get(get_language() or "en") or names.get("en") or "")


@cache
def _database(path: str) -> maxminddb.Reader:
    return maxminddb.open_database(path)
