"""Failures on order: the next matching requests go wrong in a chosen way."""

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["500", "429", "timeout_after", "reset"]


@dataclass
class Fault:
    method: str
    path_prefix: str
    kind: Kind
    times: int


class Faults:
    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def plan(self, method: str, path_prefix: str, kind: Kind, times: int) -> None:
        if kind not in get_args(Kind):
            raise ValueError(f"Unknown kind of fault: {kind}")
        self._planned.append(Fault(method.upper(), path_prefix, kind, times))

    def take(self, method: str, path: str) -> Kind | None:
        """The fault for this request, used up once."""
        for fault in self._planned:
            if fault.times > 0 and fault.method == method and path.startswith(fault.path_prefix):
                fault.times -= 1
                return fault.kind
        return None
