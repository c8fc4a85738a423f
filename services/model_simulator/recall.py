"""Answers questions about the conversation itself, from what was said earlier or stands in the system prompt."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from services.model_simulator.call import Prompt
from services.model_simulator.text import (
    capitalise,
    clauses,
    clip,
    is_question,
    keywords,
    sentences,
    split_role,
    to_second_person,
)

_MY: Final = re.compile(
    r"\b(?:what|who|where|when|which)(?:\s+(?:is|are|was|were)|'s|'re)\s+"
    r"(?:the\s+name\s+of\s+)?my\s+([\w' -]{1,60})",
    re.IGNORECASE,
)
_REMEMBER_MY: Final = re.compile(
    r"\b(?:remember|recall|know|tell me|remind me of|remind me)\s+(?:again\s+)?(?:what\s+)?my\s+([\w' -]{1,60})",
    re.IGNORECASE,
)
_MOST_STATEMENTS: Final = 3000
_WHO_AM_I: Final = re.compile(r"\bwho am i\b|\bwhat am i called\b", re.IGNORECASE)
_SAID: Final = re.compile(
    r"\bwhat (?:did|have) (?:i|we) (?:just )?"
    r"(?:say|said|tell|told|mention|mentioned|ask|asked|discuss|discussed|talk|write)"
    r"(?: to)?(?: you)?(?: about| of| on)?\s*(.{0,80})",
    re.IGNORECASE | re.DOTALL,
)
_OF_MINE: Final = re.compile(
    r"\b(?:what|where|who|when|which|how|whom)\b[^?]{0,60}?\b(?:i|my|me|we|our)\b", re.IGNORECASE
)
_TAIL: Final = re.compile(r"\s+(?:again|please|now|called|is|are|was|were|then|by the way)\s*$", re.IGNORECASE)
_VALUE: Final = (
    r"(.{1,120}?)(?=[,;!?\n]|\.(?:\s|$)|[\"”]|\s+(?:and|but)\s+(?:i|my|we|the user|their|they|you|it|his|her)\b|$)"
)
_OWNER: Final = r"\b(?:my|your|their|his|her|(?:the\s+)?user's)\s+"
_NAMED: Final = re.compile(
    r"\b(?:[Ii] am|[Ii]'m|[Cc]all me|[Tt]he user is|[Uu]ser is|named|called)\s+([A-Z][\w'-]+(?:\s[A-Z][\w'-]+)*)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence that may hold a fact."""

    text: str
    by_user: bool
    """Whether it is the user's own; else it comes from the system prompt."""


def recall(prompt: Prompt) -> str | None:
    """An answer out of the conversation, or None if the question does not look back."""
    question = prompt.question
    if _WHO_AM_I.search(question):
        return _attribute(prompt, "name")
    match = _MY.search(question) or _REMEMBER_MY.search(question)
    if match:
        return _attribute(prompt, _TAIL.sub("", match.group(1).strip()))
    match = _SAID.search(question)
    if match:
        return _said(prompt, match.group(1))
    if _OF_MINE.search(question) and is_question(sentences(question)[-1]):
        return _best(prompt, question, 1)
    return None


def known(prompt: Prompt) -> str | None:
    """What the conversation holds on any other question, or None."""
    question = prompt.question
    return _best(prompt, question, 2) if is_question(question) else None


def statements(prompt: Prompt) -> Iterator[Statement]:
    """What was told rather than asked, newest first, the system prompt last; no more than a context window's worth."""
    return islice(_all_statements(prompt), _MOST_STATEMENTS)


def _all_statements(prompt: Prompt) -> Iterator[Statement]:
    for turn in reversed(prompt.turns):
        if turn.role == "user":
            for sentence in reversed(sentences(turn.text)):
                if not is_question(sentence):
                    yield from (Statement(clause, by_user=True) for clause in reversed(clauses(sentence)))
        elif turn.role == "system":
            yield from _told(turn.text)
    yield from _told(prompt.system)


def _told(text: str) -> Iterator[Statement]:
    for line in reversed(text.splitlines()):
        role, said = split_role(line)
        for sentence in reversed(sentences(said)):
            if not is_question(sentence):
                yield from (Statement(clause, by_user=role == "user") for clause in reversed(clauses(sentence)))


def _attribute(prompt: Prompt, name: str) -> str:
    pattern = re.compile(
        _OWNER + _spelled(name) + r"(?:\s+(?:is|are|was|were|will be)|'s|:|\s*=)\s+" + _VALUE, re.IGNORECASE
    )
    for statement in statements(prompt):
        match = pattern.search(statement.text)
        if match is None and name.lower() == "name":
            match = _NAMED.search(statement.text)
        if match:
            value = to_second_person(match.group(1).strip().rstrip("."))
            return f"You told me your {name} is {value}."
    found = _best(prompt, name, 1)
    return found or f"You have not told me your {name} in what I can see of this conversation."


def _spelled(name: str) -> str:
    pattern = r"\s+".join(re.escape(word) for word in name.split())
    return re.sub(r"favou?rite", "favou?rite", re.sub(r"colou?r", "colou?r", pattern, flags=re.IGNORECASE))


def _said(prompt: Prompt, topic: str) -> str:
    wanted = keywords(topic)
    if wanted:
        return _best(prompt, topic, 1) or f"You have said nothing about {clip(topic.strip(' ?.!'), 12)} that I can see."
    earlier = [turn.text for turn in prompt.turns if turn.role == "user"][:-1]
    if not earlier:
        return "This is the first thing you have said to me in this conversation."
    return f"Before this you said: “{clip(earlier[-1], 30)}”"


def _best(prompt: Prompt, question: str, least: int) -> str | None:
    wanted = set(keywords(question))
    best: Statement | None = None
    most = least - 1
    for statement in statements(prompt):
        score = len(wanted.intersection(keywords(statement.text)))
        if score > most:
            best, most = statement, score
    if best is None:
        return None
    said = clip(best.text.rstrip(".!"), 40)
    if best.by_user:
        return f"You told me: {to_second_person(said)}."
    return f"From what I was given: {capitalise(said)}."
