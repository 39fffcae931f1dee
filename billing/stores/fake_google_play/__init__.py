"""Google Play for development and tests: a real HTTP server that speaks Google's wire format."""

from billing.stores.fake_google_play.server import FakeGooglePlay

__all__ = ["FakeGooglePlay"]
