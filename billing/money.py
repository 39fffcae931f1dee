"""Amounts of money for people. Inside they are whole numbers of a currency's smallest unit."""

# Of the currencies that have not two.
# fmt: off
_DECIMALS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "MGA": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}
# fmt: on


def format_money(amount: int, currency: str) -> str:
    """`899, "USD"` -> `"8.99 USD"`; `-500, "JPY"` -> `"−500 JPY"`."""
    decimals = _DECIMALS.get(currency, 2)
    whole, part = divmod(abs(amount), 10**decimals)
    sign = "−" if amount < 0 else ""
    digits = f".{part:0{decimals}d}" if decimals else ""
    return f"{sign}{whole}{digits} {currency}"
