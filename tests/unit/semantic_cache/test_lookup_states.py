"""Two replicas that share a store, and all that can happen to them, in any order."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from typing import TypeVar

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.core.errors import MeshError
from libs.testing.clock import ManualClock
from services.semantic_cache.judging import Verdict
from services.semantic_cache.lookup import Outcome
from services.semantic_cache.scope import Question, Scope, ask, prefix_mark, tag_mark, user_mark
from tests.unit.semantic_cache.entries import scope
from tests.unit.semantic_cache.fake_store import FakeEntryStore
from tests.unit.semantic_cache.properties import seeded
from tests.unit.semantic_cache.replica import ACKNOWLEDGED, replica

T = TypeVar("T")

TEXTS = [
    "How do I reset my password?",
    "How can I reset the password?",
    "What is a password reset?",
    "Where is the nearest harbour?",
    "My name is Anna, how do I reset my password?",
]
TAGS = ["product:1", "product:2"]
TTL = 20.0


class Trouble(Enum):
    """What happens to replicas and their store. What is down comes back with the next of its kind."""

    CUT_OFF = "cut off"
    """It does not hear what is invalidated."""
    GAP = "gap"
    """It will not hear of what was invalidated and it has not heard of yet."""
    STORE_LOST = "store lost"
    EVICTION = "eviction"
    RESTART = "restart"
    ODD_VERDICT = "odd verdict"


replicas = st.integers(0, 1)
usually = st.sampled_from([True, True, True, False])
texts = st.sampled_from(TEXTS[:2] * 2 + TEXTS)
tags = st.lists(st.sampled_from(TAGS), unique=True, max_size=2).map(tuple)
# Mostly one, so that there are hits; the others differ from it in one respect each.
scopes = st.sampled_from([scope()] * 4 + [scope(personal=True)] * 2) | st.sampled_from(
    [scope("t2"), scope(user="u2"), scope(user="u2", personal=True), scope("t2", personal=True), scope(language="de")]
)


class Made:
    """An answer as the model behind the cache made it, and what has become known of it."""

    def __init__(self, number: int, asked: Question, tags: tuple[str, ...], until: float) -> None:
        self.answer = f"answer {number}"
        self.asked = asked
        self.until = until
        self.marks = {b"", asked.key.entry, user_mark(asked.scope.user_id), *asked.scope.marks(), *map(tag_mark, tags)}
        self.invalidated = False


class CacheMachine(RuleBasedStateMachine):
    """What is served is never another tenant's, user's or scope's; never expired; never invalidated before."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.store = FakeEntryStore(self.clock, news=3)
        self.replicas = [replica(self.clock, self.store, seed=number, capacity=5) for number in range(2)]
        self.made: dict[str, Made] = {}
        self.wrong: set[tuple[bytes, str]] = set()
        """Texts, and the answers that were found wrong for them."""
        self.open: list[tuple[int, Question, Outcome, int]] = []
        """Lookups that missed, whose answers are being made, and what had been invalidated by then."""
        self.said: list[tuple[str, bytes]] = []
        """Invalidations, by tenant."""
        for cache in self.replicas:
            self.run(cache.hear())

    def teardown(self) -> None:
        self.loop.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    @rule(at=replicas, owner=scopes, text=texts, lease=st.booleans(), heard=usually)
    def ask(self, at: int, owner: Scope, text: str, lease: bool, heard: bool) -> None:
        asked = ask(owner, text)
        if lease and self.store.leased(asked.key):
            # It would wait, and nobody else acts meanwhile.
            lease = False
        if heard:
            # As it does many times a second.
            self.run(self.replicas[at].hear())
        outcome = self.run(self.replicas[at].lookup(asked, max_wait=1.0 if lease else 0.0))
        if outcome.entry is None:
            self.open.append((at, asked, outcome, len(self.said)))
            return
        event(f"served by {outcome.layer.value}")
        made = self.made[outcome.entry.answer]
        assert made.asked.scope.tenant_id == owner.tenant_id
        assert made.asked.key.scope == asked.key.scope
        assert not owner.personal or made.asked.key == asked.key
        assert made.until > self.clock.time()
        assert not made.invalidated
        assert (asked.key.entry, made.answer) not in self.wrong
        if outcome.similarity == 1.0:
            assert made.asked.key == asked.key
        else:
            assert "Anna" not in text + made.asked.text

    @rule(at=replicas, owner=scopes, text=texts, tags=tags)
    def ask_and_answer(self, at: int, owner: Scope, text: str, tags: tuple[str, ...]) -> None:
        self.ask(at, owner, text, lease=True, heard=True)
        if self.open:
            self.answer(len(self.open) - 1, tags)
        self.run(self.replicas[at].backlog.work())

    @rule(which=st.integers(0, 9), tags=tags)
    def answer(self, which: int, tags: tuple[str, ...]) -> None:
        if not self.open:
            return
        at, asked, outcome, said = self.open.pop(which % len(self.open))
        if outcome.receipt is None:
            # The store could not be asked, so nobody knows when this was begun: it counts as begun now.
            said = len(self.said)
        made = Made(len(self.made), asked, tags, self.clock.time() + TTL)
        made.invalidated = any(
            tenant == asked.key.tenant_id and mark in made.marks for tenant, mark in self.said[said:]
        )
        self.made[made.answer] = made
        put = self.replicas[at].put(
            asked,
            made.answer,
            TTL,
            outcome.vector,
            lease_token=outcome.lease_token,
            receipt=outcome.receipt,
            tags=tags,
        )
        with suppress(MeshError):
            self.run(put)

    @rule(
        owner=scopes,
        text=texts,
        length=st.integers(0, 7),
        tag=st.sampled_from(TAGS),
        what=st.integers(0, 4),
        heard=st.booleans(),
    )
    def invalidate(self, owner: Scope, text: str, length: int, tag: str, what: int, heard: bool) -> None:
        asked = ask(owner, text)
        prefix = prefix_mark(owner.path()[:length]) if length else b""
        mark = [b"", asked.key.entry, prefix, tag_mark(tag), user_mark(owner.user_id)][what]
        self.store.invalidate(owner.tenant_id, mark)
        # Some hear of it, perhaps; all have heard, or know that they have not, when it is acknowledged.
        for cache in self.replicas:
            if not cache.link.down and heard:
                self.run(cache.hear())
        self.clock.advance(ACKNOWLEDGED)
        self.said.append((owner.tenant_id, mark))
        for made in self.made.values():
            if made.asked.key.tenant_id == owner.tenant_id and mark in made.marks:
                made.invalidated = True
            if mark == asked.key.entry and made.asked.key.tenant_id == owner.tenant_id:
                self.wrong.add((mark, made.answer))
        for at in (0, 1):
            self.ask(at, owner, text, lease=False, heard=heard)

    @rule(at=replicas, kind=st.sampled_from(Trouble), verdict=st.sampled_from(Verdict))
    def trouble(self, at: int, kind: Trouble, verdict: Verdict) -> None:
        cache = self.replicas[at]
        match kind:
            case Trouble.CUT_OFF:
                cache.link.down = not cache.link.down
            case Trouble.GAP:
                cache.link.forgotten = len(self.store.announcements)
            case Trouble.STORE_LOST:
                self.store.down = not self.store.down
            case Trouble.EVICTION:
                self.store.evict()
            case Trouble.RESTART:
                self.replicas[at] = replica(self.clock, self.store, seed=at, capacity=5)
            case Trouble.ODD_VERDICT:
                cache.judge.verdicts.append(verdict)

    @rule(seconds=st.floats(0.01, 8))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(owner=scopes)
    def erase(self, owner: Scope) -> None:
        if self.store.down or self.replicas[0].link.down:
            return

        async def erase() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.replicas[0].invalidator.erase_user(owner.tenant_id, owner.user_id))
                await self.clock.settle()
                self.clock.advance(ACKNOWLEDGED)

        self.run(erase())
        self.said.append((owner.tenant_id, user_mark(owner.user_id)))
        for made in self.made.values():
            if (made.asked.scope.tenant_id, made.asked.scope.user_id) == (owner.tenant_id, owner.user_id):
                made.invalidated = True

    @invariant()
    def nobody_is_left_waiting(self) -> None:
        assert all(cache.flights.statistics().waiting == 0 for cache in self.replicas)


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(seeded, max_examples=80, stateful_step_count=40)
