"""Money is an integer of micro-dollars, everywhere; rounding happens once, where tokens become money."""

from typing import NewType

UsdMicros = NewType("UsdMicros", int)
"""Millionths of a US dollar."""

_TOKENS_PER_PRICE = 1_000_000


def cost_usd_micros(*priced_tokens: tuple[int, int]) -> UsdMicros:
    """What tokens cost, rounded up once over the whole sum, so that a sum of many small calls never undercounts.

    Args:
        priced_tokens: pairs of (tokens, price in micro-dollars per million tokens); both at least 0.
    """
    total = 0
    for tokens, price in priced_tokens:
        if tokens < 0 or price < 0:
            raise ValueError(f"tokens and price must not be negative, got {tokens} and {price}")
        total += tokens * price
    return UsdMicros(-(-total // _TOKENS_PER_PRICE))


def format_usd(micros: int) -> str:
    """`$1.25`, `$0.0042`: four digits where cents would say nothing."""
    dollars = micros / 1_000_000
    return f"${dollars:,.2f}" if abs(dollars) >= 1 or micros == 0 else f"${dollars:.6f}".rstrip("0")
