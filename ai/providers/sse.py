"""The event-stream format (text/event-stream) as the HTML standard defines it, for bytes as they arrive.

Only `data` matters here: the providers repeat the event's name inside it.
"""


class EventTooLarge(ValueError):
    """A line or an event is longer than any honest provider sends."""


class EventStreamReader:
    """Splits chunks of bytes into the data of events.

    Lines may end in LF, CR or CRLF, in any mixture, and chunks may be cut anywhere. Nothing is decoded
    here, so that a character cut in two by a chunk's border is whole again before it is looked at. An
    event without its closing blank line is not delivered, as the standard says.
    """

    __slots__ = ("_data", "_data_size", "_is_start", "_limit", "_pieces", "_pieces_size", "_skip_lf")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._pieces_size = 0
        self._data: list[bytes] = []
        self._data_size = 0
        self._skip_lf = False
        self._is_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes. Raises EventTooLarge."""
        if b"\r" in chunk or self._skip_lf:
            chunk = self._with_plain_line_ends(chunk)
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._pieces:
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces_size = 0
        events = self._read_lines(lines) if lines else []
        if rest:
            self._pieces.append(rest)
            self._pieces_size += len(rest)
            if self._pieces_size + self._data_size > self._limit:
                raise EventTooLarge
        return events

    def _read_lines(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        data = self._data
        if self._is_start:
            self._is_start = False
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
        for line in lines:
            if not line:
                if data:
                    events.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._data_size = 0
            elif line.startswith(b"data:"):
                self._data_size += len(line)
                if self._data_size > self._limit:
                    raise EventTooLarge
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif line == b"data":
                self._data_size += len(line)
                data.append(b"")
        return events

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        # A CR at the end of a chunk ends its line at once; the LF that may follow belongs to it.
        if self._skip_lf and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._skip_lf = False
        if chunk:
            self._skip_lf = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
