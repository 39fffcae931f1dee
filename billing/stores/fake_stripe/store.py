"""Documents by id, kept in memory and, with a path, in a SQLite file as JSON."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Doc = dict[str, Any]


class Store:
    """Callers hold the world's lock around every use.

    What was handed out may have been changed by its reader, so `flush` compares all of it with what the file
    holds and writes the differences in one transaction.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._documents: dict[str, Doc] = {}
        self._by_kind: dict[str, list[str]] = {}
        self._written: dict[str, str] = {}
        self._touched: dict[str, None] = {}
        self._database = None if path is None else self._open(path)

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, check_same_thread=False)
        database.execute(
            "CREATE TABLE IF NOT EXISTS documents"
            " (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)"
        )
        for identifier, body in database.execute("SELECT id, body FROM documents ORDER BY position"):
            self._remember(json.loads(body))
            self._written[identifier] = body
        return database

    def _remember(self, document: Doc) -> None:
        if document["id"] not in self._documents:
            self._by_kind.setdefault(document["object"], []).append(document["id"])
        self._documents[document["id"]] = document

    def add(self, document: Doc) -> Doc:
        self._remember(document)
        self._touched[document["id"]] = None
        return document

    def find(self, identifier: str) -> Doc | None:
        document = self._documents.get(identifier)
        if document is not None:
            self._touched[identifier] = None
        return document

    def all(self, kind: str) -> Iterator[Doc]:
        """Every document of a kind, oldest first."""
        for identifier in list(self._by_kind.get(kind, ())):
            self._touched[identifier] = None
            yield self._documents[identifier]

    def flush(self) -> None:
        """Write what changed."""
        touched, self._touched = self._touched, {}
        if self._database is None:
            return
        changed = []
        for identifier in touched:
            body = json.dumps(self._documents[identifier])
            if self._written.get(identifier) != body:
                self._written[identifier] = body
                changed.append((identifier, body))
        if changed:
            with self._database:
                self._database.executemany(
                    "INSERT INTO documents (id, body) VALUES (?, ?)"
                    " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                    changed,
                )

    def close(self) -> None:
        if self._database is not None:
            self.flush()
            self._database.close()
            self._database = None
