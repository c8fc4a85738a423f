"""Which part of a conversation a model gets to read: whole recent turns, as many as the budget holds.

Only a newest turn that is too long by itself is shortened: of all the history it is what the next question is most
likely about, and a model that reads nothing of it would answer as if nothing had been said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from libs.core.tokens import estimate_message_tokens
from services.memory.shortening import shorten


class Role(Enum):
    """Who said something."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message, with the estimated tokens it takes."""

    role: Role
    content: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Context:
    """The chosen history."""

    messages: tuple[Spoken, ...]
    """Oldest first; begins with the user, and the two take turns."""
    token_count: int
    message_count: int
    """Messages of the history that went in; several of one speaker in a row have become one of `messages`."""
    shortened_count: int = 0
    """Of `messages`, those whose middle was left out; each says so, and how much, where the middle was."""


def choose(history: Sequence[Spoken], max_tokens: int) -> Context:
    """The newest whole turns of `history` (oldest first) that together fit into `max_tokens`.

    A turn is what the user said and what was answered. A question without its answer, or an answer whose question
    is not in `history`, is no whole turn and is left out. The first turn that does not fit ends the choice, so that
    what is chosen has no gaps. If that is the newest, it is shortened, and left out only if hardly anything of it fits.
    """
    chosen: list[tuple[Spoken, ...]] = []
    left = max_tokens
    for turn in _turns_newest_first(history):
        tokens = sum(message.tokens for message in turn)
        if tokens > left:
            if not chosen:
                return _shortened(turn, max_tokens)
            break
        chosen.append(turn)
        left -= tokens
    messages = tuple(spoken for turn in reversed(chosen) for spoken in _alternating(turn))
    return Context(messages, max_tokens - left, sum(len(turn) for turn in chosen))


def _shortened(turn: Sequence[Spoken], max_tokens: int) -> Context:
    question, answer = _alternating(turn)
    # Whoever needs less than half leaves the rest to the other.
    for_answer = max(max_tokens // 2, max_tokens - question.tokens)
    short_answer = _fitted(answer, for_answer)
    short_question = _fitted(question, max_tokens - short_answer.tokens) if short_answer is not None else None
    if short_question is None or short_answer is None:
        return Context((), 0, 0)
    messages = (short_question, short_answer)
    count = (short_question is not question) + (short_answer is not answer)
    return Context(messages, sum(message.tokens for message in messages), len(turn), count)


def _fitted(message: Spoken, max_tokens: int) -> Spoken | None:
    if message.tokens <= max_tokens:
        return message
    text = shorten(message.content, max_tokens)
    return None if text is None else Spoken(message.role, text, estimate_message_tokens(text))


def _turns_newest_first(history: Sequence[Spoken]) -> Iterator[tuple[Spoken, ...]]:
    end = len(history)
    while end > 0:
        # An unanswered question: it is no whole turn.
        while end > 0 and history[end - 1].role is Role.USER:
            end -= 1
        start = end
        while start > 0 and history[start - 1].role is Role.ASSISTANT:
            start -= 1
        answers_from = start
        while start > 0 and history[start - 1].role is Role.USER:
            start -= 1
        if start == answers_from:
            return
        yield tuple(history[start:end])
        end = start


def _alternating(turn: Sequence[Spoken]) -> Iterator[Spoken]:
    for role in (Role.USER, Role.ASSISTANT):
        said = [message for message in turn if message.role is role]
        if len(said) == 1:
            yield said[0]
        else:
            yield Spoken(role, "\n\n".join(message.content for message in said), sum(m.tokens for m in said))
