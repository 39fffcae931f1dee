"""Amounts of money for people. Inside they are whole numbers of a currency's smallest unit."""

from billing.stores.currencies import decimals


def format_amount(amount: int, currency: str) -> str:
    """`899, "USD"` -> `"8.99"`; `500, "JPY"` -> `"500"`."""
    places = decimals(currency)
    whole, part = divmod(abs(amount), 10**places)
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{part:0{places}d}" if places else f"{sign}{whole}"


def format_money(amount: int, currency: str) -> str:
    """For reading: `899, "USD"` -> `"8.99 USD"`; `-500, "JPY"` -> `"−500 JPY"`."""
    return f"{format_amount(amount, currency).replace('-', '−')} {currency}"
