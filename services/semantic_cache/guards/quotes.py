"""Words in quotation marks, of which every letter counts."""

import re
from typing import Final

from services.semantic_cache.guards.contrast import Contrast

_QUOTE_MARK: Final = re.compile(r"[\"\u201c\u00ab`'\u2018]")
# Longer quotations are compared like other words.
_PART: Final = re.compile(r"[^\W_]+|[^\w\s\"'`\u201c\u201d\u00ab\u00bb\u2018\u2019?.,!]")
_QUOTED: Final = re.compile(
    r'"([^"]{0,200})"|\u201c([^\u201d]{0,200})\u201d|\u00ab([^\u00bb]{0,200})\u00bb|`([^`]{0,200})`'
    r"|(?<!\w)['\u2018]([^'\u2019]{1,200})['\u2019](?!\w)"
)


def differ(pair: Contrast) -> bool:
    """Whether the quoted words of one text are missing in the other, where they need no quotation marks."""
    first, second = pair.one.text, pair.other.text
    if not _QUOTE_MARK.search(first) and not _QUOTE_MARK.search(second):
        return False
    return _missing(_quoted(first), second) or _missing(_quoted(second), first)


def _quoted(text: str) -> set[str]:
    return {_bare(part) for groups in _QUOTED.findall(text) for part in groups if part}


def _missing(quoted: set[str], text: str) -> bool:
    whole = f" {_bare(text)} "
    return any(f" {part} " not in whole for part in quoted)


def _bare(text: str) -> str:
    return " ".join(_PART.findall(text.casefold()))
