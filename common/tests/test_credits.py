import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.credits import InvalidCredits, format_credits, parse_credits


@pytest.mark.parametrize(
    ("micro", "text"),
    [
        (0, "0"),
        (23_400, "0.0234"),
        (10_000_000, "10"),
        (-1_500_000, "-1.5"),
        (1, "0.000001"),
        (100, "0.0001"),
    ],
)
def test_formats_without_trailing_zeros(micro: int, text: str) -> None:
    assert format_credits(micro) == text


@given(st.integers(min_value=0, max_value=10**17))
def test_what_is_formatted_parses_back(micro: int) -> None:
    assert parse_credits(format_credits(micro)) == micro


@pytest.mark.parametrize("text", ["", "-1", "+1", "1e3", "١٢", "0x10", "1.1234567", "1.", ".5", "nan", "1 0"])
def test_refuses_what_is_not_a_plain_decimal(text: str) -> None:
    with pytest.raises(InvalidCredits):
        parse_credits(text)
