"""Questions that tell of who asks."""

import re
from typing import Final

# Whom and what of a person a statement is about. "My card is blocked" tells nothing of who asks.
_OWN: Final = (
    "name|age|birthday|wife|husband|spouse|partner|fiancee?|boyfriend|girlfriend|ex|son|daughter|child|children|kids?|baby|mother|mom|mum"
    "|father|dad|parents|brother|sister|family|grand\\w+|uncle|aunt|cousin|niece|nephew|friend|boss|dog|cat|pet|job|salary|income|weight"
    "|height|health|body|heart|blood|skin|hair|eyes?|diagnosis|illness|religion|address|nationality|gender|password|ssn"
)
_STATEMENT: Final = re.compile(
    rf"(?<!\w)(?:my\s+name['\u2019]s|my\s+(?:\w+\s+)?(?:{_OWN})\s+(?:is|are|was|has|had)|my\s+favou?rite\s+\w+\s+(?:is|are)"
    r"|i(?:\s+am|['\u2019]m)(?!\s+(?:\w+ing|not\s+sure|unsure|interested|curious|about|able|unable|here|sure|afraid|allowed|supposed|located"
    r"|at|in|on|out|all|just|currently|still|also|sorry|ready|locked|stuck|done|called)\b)"
    r"|i\s+(?:live|was\s+born|come\s+from|weigh|suffer))(?!\w)",
    re.IGNORECASE,
)
_ASKING: Final = re.compile(
    r"\b(?:who|what|which|when|where|why|how|if|whether|know|see|check|is|are|do|does|am|will|because|since|so)\b",
    re.IGNORECASE,
)


def tells_of_speaker(text: str) -> bool:
    """Whether the text says something about who asks, so that its answer is not for others.

    Such a question is found by equal text alone. What is said inside a question ("when is it that my son is of age")
    only asks.
    """
    return any(
        not _ASKING.search(text, _sentence_start(text, found.start()), found.start())
        for found in _STATEMENT.finditer(text)
    )


def _sentence_start(text: str, place: int) -> int:
    return 1 + max(text.rfind(end, 0, place) for end in ".!?\n")
