"""Django's database sessions, for keys that look like ours only."""

import re

from django.contrib.sessions.backends import db

_KEY = re.compile(r"[a-z0-9]{32}", re.ASCII)


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        # A forged cookie may hold anything, even what the database cannot compare with.
        return key is not None and _KEY.fullmatch(key) is not None
