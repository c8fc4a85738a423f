"""Whatever is put, invalidated, lost and asked in whatever order: what is given out is what the rules allow."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.store.connection import Store, connect
from libs.store.embedded import EmbeddedRedis
from services.semantic_cache.adapters import keys
from services.semantic_cache.adapters.redis_invalidations import RedisInvalidationStore
from services.semantic_cache.entry import Entry
from tests.integration.semantic_cache.stored import (
    HOUR,
    TTL,
    alias_of,
    entry,
    entry_store,
    key,
    new,
    set_clock_back,
)

MARKS: Final = (b"mark one", b"mark two")
TEXTS: Final = "ab"

Step = tuple[str, str, int]

steps = st.lists(
    st.tuples(
        # What builds up more often than what tears down.
        st.sampled_from(
            [*["ask", "put"] * 4, *["alias"] * 3, *["mark", "text"] * 2, "all", "lose", "back", "remove"],
        ),
        st.sampled_from(TEXTS),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=40,
)


@dataclass
class Making:
    """An answer that somebody has begun to make."""

    number: int
    """Of the question, as they were asked."""
    asked_at: int
    dead: bool = False
    marks: tuple[bytes, ...] = ()


@dataclass
class Model:
    """What the rules say, without clocks: an invalidation kills what was asked before it, and that is all."""

    begun: dict[str, list[Making]] = field(default_factory=lambda: {text: [] for text in TEXTS})
    kept: dict[str, tuple[Making, Entry]] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)
    barred: dict[str, int] = field(default_factory=dict)
    """Questions whose answer was found wrong, and how many had been asked by then."""
    asked: int = 0

    def alive(self, text: str) -> Entry | None:
        making, kept = self.kept.get(text, (None, None))
        return None if making is None or making.dead else kept

    def expected(self, text: str) -> Entry | None:
        other = TEXTS[1 - TEXTS.index(text)]
        own, led_to = self.alive(text), self.alive(other) if text in self.aliases else None
        if own is not None or led_to is None:
            return own
        return led_to if self.kept[other][0].number > self.barred.get(text, 0) else None

    def kill(self, mark: bytes | None, text: str | None) -> None:
        for about, makings in self.begun.items():
            for making in makings:
                making.dead |= (mark in making.marks if mark else True) and text in (None, about)


class Play:
    """A model and a store to which the same happens."""

    def __init__(self, store: Store) -> None:
        self.model = Model()
        self._store = store
        self._entries = entry_store(store)
        self._invalidations = RedisInvalidationStore(store, HOUR)
        self._answers = 0

    async def step(self, kind: str, text: str, number: int) -> None:
        match kind:
            case "ask":
                await self._ask(text, number)
            case "put":
                await self._put(text, number)
            case "alias":
                await self._alias(text)
            case "remove":
                await self._remove(text)
            case "lose":
                await self._store.execute("DEL", keys.floors("t1"))
                self.model.kill(None, None)
            case "back":
                if await self._store.execute("EXISTS", keys.floors("t1")):
                    await set_clock_back(self._store, keys.floors("t1"), HOUR)
            case _:
                await self._invalidate(kind, text, MARKS[number % 2])
        await self._check()

    async def _remove(self, text: str) -> None:
        await self._entries.remove([key(text)])
        self.model.kept.pop(text, None)
        self.model.aliases.discard(text)

    async def _invalidate(self, kind: str, text: str, mark: bytes) -> None:
        model = self.model
        if kind == "text":
            await self._invalidations.invalidate("t1", key(text).entry)
            model.kill(None, text)
            model.barred[text] = model.asked
        else:
            await self._invalidations.invalidate("t1", mark if kind == "mark" else b"")
            model.kill(mark if kind == "mark" else None, None)

    async def _ask(self, text: str, number: int) -> None:
        # With a lease, so that every question has an instant of its own.
        await self._store.execute("DEL", keys.lease(key("z")))
        asked_at = (await self._entries.open(key("z"), 5.0)).asked_at
        self.model.asked += 1
        marks = tuple(mark for bit, mark in enumerate(MARKS) if number >> bit & 1)
        self.model.begun[text].append(Making(self.model.asked, asked_at, marks=marks))

    async def _put(self, text: str, number: int) -> None:
        model = self.model
        if not model.begun[text]:
            return
        making = model.begun[text][number % len(model.begun[text])]
        self._answers += 1
        made = entry(f"{text} {self._answers}", making.asked_at, TTL, making.marks)
        kept, _ = model.kept.get(text, (making, made))
        outdated = making.dead or (not kept.dead and kept.number > making.number)
        assert await self._entries.put(key(text), new(made)) is not outdated
        if not outdated:
            model.kept[text] = making, made
            model.aliases.discard(text)

    async def _alias(self, text: str) -> None:
        model = self.model
        other = TEXTS[1 - TEXTS.index(text)]
        await self._entries.put_alias(key(text), alias_of(other), TTL, "u1")
        if model.expected(text) is None and model.alive(other) is not None:
            model.aliases.add(text)
            if model.expected(text) is None:
                model.aliases.discard(text)

    async def _check(self) -> None:
        for text in TEXTS:
            expected, own = self.model.expected(text), self.model.alive(text)
            past = (await self._entries.open(key(text), past_alias=True)).kept
            assert (None if past is None else past.entry) == own
            kept = (await self._entries.open(key(text))).kept
            assert (None if kept is None else kept.entry) == expected
            assert await self._entries.get_many([key(text)]) == [own]
            if expected is None:
                # Asking has forgotten it, whatever becomes of its target later.
                self.model.aliases.discard(text)


@given(steps)
@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_given_out_is_what_the_rules_allow(redis: EmbeddedRedis, chosen: list[Step]) -> None:
    async def play() -> None:
        async with connect(redis.url) as store:
            await store.execute("FLUSHALL")
            played = Play(store)
            for step in chosen:
                await played.step(*step)

    asyncio.run(play())
