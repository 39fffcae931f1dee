"""A value remembered for a few seconds in this process."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
MARGIN_SECONDS = 0.5


class Remembered(Generic[T]):
    """Holds what `load` returned for `seconds`; `forget` makes the next `get` load anew."""

    def __init__(self, load: Callable[[], T], seconds: float) -> None:
        self._load = load
        self._seconds = seconds
        self._entry: tuple[float, T] | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether `get`, called in a moment, answers from memory."""
        return self._entry is not None and time.monotonic() < self._entry[0] - MARGIN_SECONDS

    def get(self) -> T:
        entry = self._entry
        if entry is not None and time.monotonic() < entry[0]:
            return entry[1]
        value = self._load()
        self._entry = (time.monotonic() + self._seconds, value)
        return value

    def forget(self) -> None:
        self._entry = None
