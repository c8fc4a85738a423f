"""A token estimate that needs no tokenizer: for budgets and reservations, never for bills."""

from typing import Final

_BYTES_PER_TOKEN: Final = 3.5
_TOKENS_PER_MESSAGE: Final = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens a Claude model reads in `text`, rather too many than too few.

    English runs at about 4 bytes a token; 3.5 leaves room for code and names, and counting UTF-8 bytes
    rather than characters keeps scripts such as Chinese (about one token a character) from being undercounted.
    """
    return int(len(text.encode()) / _BYTES_PER_TOKEN) + 1


def estimate_message_tokens(text: str) -> int:
    """`estimate_tokens` and what the role and the separators around one message cost."""
    return estimate_tokens(text) + _TOKENS_PER_MESSAGE
