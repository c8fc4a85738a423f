"""What the simulator says.

It is always the same to the same prompt, is drawn from the prompt's own words, and never poses as a model's
knowledge: every answer begins with `LABEL`.
"""

import re
import zlib
from collections.abc import Callable
from typing import Final

from services.model_simulator.arithmetic import solve
from services.model_simulator.call import Prompt
from services.model_simulator.recall import known, recall
from services.model_simulator.summaries import summarise
from services.model_simulator.text import clip, is_question, plain_keywords, sentences, to_second_person

LABEL: Final = "(simulated answer)"
# Words; there are about four tokens to three of them.
_SHORTEST: Final = 30
_GREETING: Final = re.compile(
    r"\s*(?:hi|hello|hey|good (?:morning|afternoon|evening|day))\b[\s\w,']{0,24}[.!?]*\s*$", re.IGNORECASE
)
_THANKS: Final = re.compile(r"\s*(?:thanks|thank you|cheers|many thanks)\b", re.IGNORECASE)
_ORDER: Final = r"(?:^|[.!?,\n]\s*)(?:(?:please|now|and|can you|could you|would you)\s+){0,2}"
_EXPLAIN: Final = re.compile(
    _ORDER + r"(?:explain|describe|tell me (?:more )?about|define|teach me(?: about)?)\s+(?:to me\s+)?(.{2,200})",
    re.IGNORECASE,
)
_LIST: Final = re.compile(
    _ORDER + r"(?:list|name|give me|suggest|enumerate)\s+(?:me\s+)?(?:the\s+|some\s+|a few\s+)?"
    r"(\d+|two|three|four|five|six|seven|eight|nine|ten)?\s*(.{2,120})",
    re.IGNORECASE,
)
_NUMBERS: Final = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
_ASPECTS: Final = (
    "what it is for",
    "how it works",
    "what it costs",
    "where it is used",
    "what can go wrong",
    "who works with it",
    "what came before it",
    "what it needs",
    "how to tell it apart",
    "what comes next",
)
_CLOSINGS: Final = (
    "I am a stand-in without a model behind me, so I keep to the words of this conversation.",
    "A real model would say more here; this stand-in only rearranges what it was given.",
    "Nothing here comes from a model: the text above is made of what you wrote to me.",
    "Take it as a placeholder of realistic length, built from your own words.",
)


def answer(prompt: Prompt) -> str:
    """The reply to `prompt`: `LABEL` and about 40 to 80 tokens."""
    # A summary is kept and read again by others, so it stays free of small talk.
    summary = summarise(prompt)
    if summary is not None:
        return f"{LABEL} {summary}"
    body = next(said for rule in _RULES if (said := rule(prompt)) is not None)
    return _padded(f"{LABEL} {body}", prompt)


def _padded(text: str, prompt: Prompt) -> str:
    seed = zlib.crc32(f"{prompt.model}\n{prompt.question}".encode())
    size = len(text.split())
    for offset in range(len(_CLOSINGS)):
        if size >= _SHORTEST:
            break
        closing = _CLOSINGS[(seed + offset) % len(_CLOSINGS)]
        text = f"{text} {closing}"
        size += len(closing.split())
    return text


def _arithmetic(prompt: Prompt) -> str | None:
    solved = solve(prompt.question)
    return None if solved is None else f"{solved}."


def _courtesy(prompt: Prompt) -> str | None:
    if _GREETING.match(prompt.question):
        return "Hello! How can I help you today?"
    if _THANKS.match(prompt.question):
        return "You are welcome. Is there anything else you would like to talk about?"
    return None


def _explanation(prompt: Prompt) -> str | None:
    match = _EXPLAIN.search(prompt.question)
    if match is None:
        return None
    topic = _topic(match.group(1))
    first, second, third = _aspects(prompt, 3)
    return (
        f"You would like to understand {topic}. Three questions lead into it: {first}, {second}, and {third}. "
        f"Once those are answered for {topic}, the details fall into place, and each can be looked at by itself."
    )


def _enumeration(prompt: Prompt) -> str | None:
    match = _LIST.search(prompt.question)
    if match is None:
        return None
    digits = match.group(1)
    count = 3 if digits is None else _NUMBERS.get(digits.lower()) or min(10, max(1, int(digits[:3])))
    topic = _topic(match.group(2))
    items = " ".join(f"{number}. {aspect};" for number, aspect in enumerate(_aspects(prompt, count), start=1))
    return f"Here are {count} points on {topic}: {items[:-1]}."


def _acknowledgement(prompt: Prompt) -> str | None:
    told = sentences(prompt.question)
    if not told or any(is_question(sentence) for sentence in told):
        return None
    said = " ".join(told[:2]).rstrip(".!")
    second = to_second_person(said)
    if second == said:
        return None
    return f"Thank you, I have noted: {clip(second, 40)}. Ask me about it whenever you like."


def _generic(prompt: Prompt) -> str:
    question = clip(" ".join(sentences(prompt.question)[:2]), 30)
    terms = plain_keywords(prompt.question)[:6]
    about = f" It turns on {_joined(terms)}." if terms else ""
    earlier = sum(1 for turn in prompt.turns if turn.role == "user") - 1
    context = f" I have {earlier} earlier message{'s' if earlier > 1 else ''} of yours to go by." if earlier else ""
    return f"You wrote: “{question}”{about}{context}"


_RULES: Final[tuple[Callable[[Prompt], str | None], ...]] = (
    recall,
    _arithmetic,
    _courtesy,
    _explanation,
    _enumeration,
    known,
    _acknowledgement,
    _generic,
)


def _topic(text: str) -> str:
    return clip(sentences(text)[0].rstrip(" .?!,;:"), 14) if text.strip() else "this"


def _aspects(prompt: Prompt, count: int) -> list[str]:
    start = zlib.crc32(prompt.question.encode()) % len(_ASPECTS)
    return [_ASPECTS[(start + offset) % len(_ASPECTS)] for offset in range(count)]


def _joined(terms: list[str]) -> str:
    shown = [clip(term[:30], 1) for term in terms]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
