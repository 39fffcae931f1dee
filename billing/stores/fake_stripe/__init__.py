"""A local server that speaks Stripe's wire format: the tests' double and the sandbox shop."""

from .shop import FakeStripe

__all__ = ["FakeStripe"]
