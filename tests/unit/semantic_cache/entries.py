"""Entries and questions for tests."""

from services.semantic_cache.entry import Alias, Entry, Kept, Usage, answer_group
from services.semantic_cache.scope import Question, Scope, ask, user_mark


def scope(
    tenant: str = "t1",
    user: str = "u1",
    *,
    personal: bool = False,
    tier: int = 1,
    model: str = "",
    instructions: str = "",
    tools: str = "",
    language: str = "",
    context: str = "",
) -> Scope:
    return Scope(tenant, user, personal, tier, model, instructions, tools, language, context)


def question(text: str, *, tenant: str = "t1", user: str = "u1", personal: bool = False) -> Question:
    return ask(scope(tenant, user, personal=personal), text)


def entry(
    answer: str = "the answer",
    *,
    text: str = "a question",
    asked_at: int = 0,
    expires_at: float = 1e12,
    created_at: float = 0.0,
    marks: tuple[bytes, ...] = (),
    cost: int = 500,
) -> Entry:
    return Entry(
        text, answer, "a-model", Usage(1, 2, 3, 4), cost, created_at, expires_at, asked_at=asked_at, marks=marks
    )


def entry_of(asked: Question, answer: str = "the answer", *, asked_at: int = 0, expires_at: float = 1e12) -> Entry:
    """With the marks that `Keeper` gives it."""
    marks = (*asked.scope.marks(), user_mark(asked.scope.user_id))
    return entry(answer, text=asked.text, asked_at=asked_at, expires_at=expires_at, marks=marks)


def alias_of(target: Question, found: Entry, similarity: float = 0.95) -> Kept:
    """What a hit by meaning leaves behind."""
    return Kept(found, Alias(target.key.entry, answer_group(found.answer), similarity, b""))
