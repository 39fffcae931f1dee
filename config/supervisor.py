"""Several web processes on one socket: started, replaced when one dies, and told to stop together."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

SOCKET_VARIABLE = "PARLOR_SERVE_FD"
_PAUSE_SECONDS = 0.5


def inherited_socket() -> socket.socket | None:
    """The listening socket a supervisor passed down; None in a process that binds its own."""
    number = os.environ.get(SOCKET_VARIABLE)
    return socket.socket(fileno=int(number)) if number else None


class Supervisor:
    def __init__(self, listener: socket.socket, count: int) -> None:
        self._listener = listener
        self._count = count
        self._children: list[subprocess.Popen[bytes]] = []
        self._is_stopping = False

    def run(self) -> None:
        """Keep `count` processes alive until SIGTERM or SIGINT, then wait until all have drained."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        while not self._is_stopping:
            self._children = [child for child in self._children if child.poll() is None]
            while len(self._children) < self._count and not self._is_stopping:
                self._children.append(self._start())
            time.sleep(_PAUSE_SECONDS)
        for child in self._children:
            child.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        number = self._listener.fileno()
        return subprocess.Popen(
            [sys.executable, "-m", "config.serve"],
            env={**os.environ, SOCKET_VARIABLE: str(number)},
            pass_fds=[number],
        )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
