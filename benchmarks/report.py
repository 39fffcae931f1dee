"""How figures are shown: `name: value (limit value, ratio)`, a missed target said plainly."""

import os
import platform
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    target: float | None = None
    at_most: bool = False

    @property
    def is_missed(self) -> bool:
        if self.target is None:
            return False
        return self.value > self.target if self.at_most else self.value < self.target

    def __str__(self) -> str:
        digits = 0 if isinstance(self.value, int) else 2
        text = f"{self.name}: {self.value:,.{digits}f}"
        if self.target is None:
            return text
        sign = "≤" if self.at_most else "≥"
        share = f", ratio {self.value / self.target:.2f}" if self.target else ""
        return f"{text} (target {sign} {self.target:g}{share}){'  MISSED' if self.is_missed else ''}"


@dataclass(frozen=True, slots=True)
class Result:
    """A figure beside the limit measured in the same run; `target` is for their ratio."""

    name: str
    value: float
    limit: float
    target: float
    is_ceiling: bool = False

    def __str__(self) -> str:
        ratio = self.value / self.limit
        is_met = ratio <= self.target if self.is_ceiling else ratio >= self.target
        missed = "" if is_met else f", MISSED: target {self.target:.2f}"
        return f"{self.name}: {self.value:,.0f} (limit {self.limit:,.0f}, ratio {ratio:.2f}{missed})"


def environment() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return (
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"commit {commit.stdout.strip() or 'unknown'}"
    )
