"""Refusals in Stripe's error shape."""

from typing import Any


class StripeError(Exception):
    """Becomes Stripe's `{"error": {...}}` with its HTTP status."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        fields = {"type": kind, "code": code, "message": message, "param": param, **extra}
        self.body: dict[str, Any] = {"error": {name: value for name, value in fields.items() if value}}


def missing(object_name: str, object_id: str, param: str = "id") -> StripeError:
    return StripeError(
        f"No such {object_name}: '{object_id}'", status=404, code="resource_missing", param=param
    )


def required(param: str) -> StripeError:
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def declined(intent_error: dict[str, Any]) -> StripeError:
    fields = dict(intent_error)
    return StripeError(
        fields.pop("message"), status=402, kind=fields.pop("type"), code=fields.pop("code"), **fields
    )
