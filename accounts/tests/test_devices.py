import pytest

from accounts.devices import describe_device

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Chrome/156.0 Safari/537.36", "Chrome on Linux"),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64) {WEBKIT} Chrome/156 Safari/537.36 Edg/156",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Safari/604.1",
            "Safari on iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 16) {WEBKIT} Chrome/156 Mobile Safari/537.36", "Chrome on Android"),
        ("ParlorApp/3.1 (build 7)", "ParlorApp"),
        ("", "Unknown device"),
        ("x" * 500, "x" * 60),
    ],
)
def test_devices_are_named_in_words_people_know(user_agent: str, words: str) -> None:
    assert describe_device(user_agent) == words
