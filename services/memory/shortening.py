"""Cutting what was said so that it fits, visibly: the beginning and the end stay, a mark counts what is missing."""

from typing import Final

from libs.core.tokens import estimate_message_tokens

# As in `estimate_tokens`.
_BYTES_PER_TOKEN: Final = 3.5
_LONGEST_MARK: Final = len(" [… 10,000,000 characters left out …] ".encode())
_TOKENS_OF_EMPTY: Final = estimate_message_tokens("")
_LEAST_KEPT: Final = 32
"""Bytes. With less of a message than this nobody knows what it was about."""


def shorten(text: str, max_tokens: int) -> str | None:
    """`text` with its middle left out, at most `max_tokens` long; None if hardly anything of it would be left.

    Args:
        text: what was said, up to some megabytes.
        max_tokens: as `estimate_message_tokens` counts.
    """
    if estimate_message_tokens(text) <= max_tokens:
        return text
    kept = int((max_tokens - _TOKENS_OF_EMPTY) * _BYTES_PER_TOKEN) - _LONGEST_MARK
    if kept < _LEAST_KEPT:
        return None
    encoded = text.encode()
    # A character that was cut in two is dropped.
    beginning = encoded[: kept - kept // 2].decode(errors="ignore")
    end = encoded[len(encoded) - kept // 2 :].decode(errors="ignore")
    return f"{beginning} [… {len(text) - len(beginning) - len(end):,} characters left out …] {end}"
