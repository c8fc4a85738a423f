"""Signs that calculate or compare."""

import re
from typing import Final

from services.semantic_cache.guards.contrast import Contrast

# Between two letters or digits a hyphen, a slash or a tilde joins; elsewhere they mean something. Currencies are units.
_SIGN: Final = re.compile(
    r"(?<![^\W_])[-\u2212/|~]|[-\u2212/|~](?![^\W_])|(?<=\d)[-\u2212](?=\d)|[+*^=<>#\u00d7\u00f7\u00b1\u221a\u2264\u2265\u2260]"
    r"|[\u00b2\u00b3]|(?<=\d)!"
)
_ANY_SIGN: Final = re.compile(r"[-\u2212/|~+*^=<>#\u00d7\u00f7\u00b1\u221a\u2264\u2265\u2260\u00b2\u00b3!]")
_DASHES: Final = str.maketrans({"\u2212": "-", "\u2013": "-", "\u2014": "-"})
# A dash between words is punctuation.
_ASIDE: Final = re.compile(r"(?<=[^\W\d_]{2})[,;]? -+ (?=[^\W\d_]{2})")


def differ(pair: Contrast) -> bool:
    """Whether the signs differ: `17*3` and `17+3`, `C++` and `C#`, `x < y` and `x > y`."""
    first, second = pair.one.text, pair.other.text
    if not _ANY_SIGN.search(first) and not _ANY_SIGN.search(second):
        return False
    return _signs(first) != _signs(second)


def _signs(text: str) -> list[str]:
    return _SIGN.findall(_ASIDE.sub(" ", text.translate(_DASHES)))
