"""What is known of the request being served, for log lines and error answers."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
