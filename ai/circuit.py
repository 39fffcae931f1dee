"""Circuit breakers: a model that keeps failing is left alone for a while instead of asked again and again."""

import time


class Circuit:
    """Opens after `failures` in a row; after `seconds` it lets one call through to see if all is well."""

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._failed = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def seconds_left(self) -> float:
        """How long until a call may be let through; 0 where one may now."""
        if self._opened_at is None:
            return 0.0
        return max(self._opened_at + self._seconds - time.monotonic(), 0.0)

    def admits(self) -> bool:
        """Whether a call may be made now. After True, report how it went by one of the methods below."""
        if self._opened_at is None:
            return True
        if self._is_probing or self.seconds_left > 0:
            return False
        self._is_probing = True
        return True

    def answered(self) -> None:
        """The first words came: good enough to let others through, not yet to forget earlier failures."""
        self._is_probing = False
        self._opened_at = None

    def succeeded(self) -> None:
        self.answered()
        self._failed = 0

    def failed(self) -> None:
        self._failed += 1
        if self._is_probing or self._failed >= self._limit:
            self._opened_at = time.monotonic()
        self._is_probing = False

    def abandoned(self) -> None:
        """The call was given up by our side before it could tell anything."""
        self._is_probing = False
