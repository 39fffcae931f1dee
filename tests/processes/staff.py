"""Somebody of the staff at the admin of a running site, by plain HTTP."""

import re
from html.parser import HTMLParser
from typing import Any

import requests

LOGIN = {"login": "staff@example.com", "password": "parlor-demo-staff"}


class Staff:
    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.headers["Referer"] = url
        self.post("/accounts/login/", LOGIN)

    def post(self, path: str, values: dict[str, Any]) -> None:
        self.http.get(f"{self.url}{path}", timeout=20)
        token = self.http.cookies["parlor_csrf"]
        answer = self.http.post(
            f"{self.url}{path}",
            data={**values, "csrfmiddlewaretoken": token},
            allow_redirects=False,
            timeout=20,
        )
        assert answer.status_code in (200, 302), answer.text
        assert "errornote" not in answer.text

    def change(self, path: str, **changes: Any) -> None:
        """Save a page of the admin as it is, but for these fields."""
        form = _Form(self.http.get(f"{self.url}{path}", timeout=20).text)
        self.post(path, {**form.values, **changes})

    def option(self, path: str, label: str) -> str:
        """The value of the choice with this label on a page."""
        page = self.http.get(f"{self.url}{path}", timeout=20).text
        found = re.search(rf'<option value="([^"]+)"[^>]*>\s*{label}\s*</option>', page)
        assert found is not None
        return found[1]


class _Form(HTMLParser):
    """What a browser would send of the forms on a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._select = self._area = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name, value = found.get("name") or "", found.get("value") or ""
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self.values[name] = [""]
        elif tag == "option" and "selected" in found:
            self.values.setdefault(self._select, []).append(value)
        elif tag == "input" and name and not name.startswith("_"):
            is_box = found.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in found:
                self.values.setdefault(name, []).append(value or "on" * is_box)

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] = [data.strip()]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._select = self._area = ""
